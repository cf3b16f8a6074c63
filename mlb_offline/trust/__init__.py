"""Keys, signatures and what is trusted.

In: key files, folders of trusted public keys, signed envelopes. Out: signing and recipient keys, a ``TrustSet``,
and the body of an envelope once its signatures have been checked. May fail: ``TrustError`` for anything that is
not what it must be, ``InputError`` for a file that is missing or is no key at all.
"""
