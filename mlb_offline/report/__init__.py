"""The report: one signed HTML file, its items file, and the proof that both are what they say.

In: ``RunResults`` of a finished run, its policy, a signing key. Out: the page with its signed trailer, the
items file, and what ``openssl`` needs to check them; or, the other way, the verified data of a report file.
May fail: ``TrustError`` saying which claim of a report does not hold; ``InputError`` for paths.
"""
