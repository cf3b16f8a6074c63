"""The sealed bundle: source folder in, ``.mlbb`` file out, and back.

In: a source folder (``source``) or a bundle file (``opening``). Out: a sealed, signed file (``build``), or datasets
with their prompts and items, once every claim about the file has held. May fail: ``InputError`` for a source or a
missing file, ``TrustError`` for anything about an existing bundle that is not what it must be.
"""
