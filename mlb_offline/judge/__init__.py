"""The judge: from an answer and one binary criterion to a verdict with a probability.

In: criteria (``annotation``), an answer, and a model file that stands in a signed manifest (``manifest``). Out: the
probability of 是 for each criterion. May fail: ``InputError`` (a file, row or model cannot be used), ``TrustError``
(a model is not the one that its manifest describes). ``training`` makes judges, and is never imported here.
"""
