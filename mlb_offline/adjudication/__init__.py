"""What physicians settle of a finished run, offline, blind to judges and model (docs/adjudication.md).

In: what the judges said of every criterion, and a packet of tasks. Out: how many items must be labelled to decide a
gate, a page for a browser or a table, and the signed verdicts that come back. May fail: ``InputError`` for what is
malformed, ``TrustError`` for verdicts that are unsigned, edited, by a key that is no trusted reviewer's, or of another
packet.
"""
