"""Looking for what a source folder ought not to have, before it is sealed: a folder in, faults out.

What the format forbids (``bundle.source``) is a fault too; the rest is what makes a figure wrong although every item is
well formed: copies, keys that can be guessed, annotations that the text does not bear out, personal data. A rule looks
at one item (``items``, ``annotations``, ``personal``), at those of one dataset (``choices``), or at all (``likeness``).
"""
