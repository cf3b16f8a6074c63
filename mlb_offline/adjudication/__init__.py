"""What physicians settle of a finished run.

In: what the judges said of every criterion. Out: how many items a physician must label to decide a gate, and which
criteria come first. Pure; may fail with ``ValueError`` where arguments are out of range.
"""
