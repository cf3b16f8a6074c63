"""Scoring of one raw answer, as pure functions; every reading rule is numbered in docs/scoring.md.

In: a dataset, an item with its reference answer, and the text a model returned for it. Out: a ``Score``.
May fail: never because of the model's text (what cannot be read is the outcome *unreadable*); ``InputError`` for
an item whose dataset needs a reference answer and that has none.
"""
