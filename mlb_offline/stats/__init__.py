"""Statistics: from counted outcomes to figures with intervals, and to the bounds that gates use.

In: one ``DatasetSample`` a dataset (counts only, no item text). Out: ``Summary`` (figures for reading) and
one-sided lower bounds (``bounds``). May fail: ``InputError`` where counts contradict each other.
Pure and reproducible: the same counts and seed give the same figures on any platform (docs/statistics.md).
"""
