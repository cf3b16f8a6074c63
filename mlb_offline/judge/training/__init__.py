"""Making judges, and measuring them: needs the extra ``train``, and is never imported by the evaluator.

In: labelled criteria (``judge.annotation``). Out: judges, and figures of how far they agree with labels. May fail:
``InputError`` (a file or row cannot be used), ``ValueError`` (a training set that teaches nothing).
"""
