"""Physicians settle criteria offline, blind to the judges' verdicts and to the model's name (docs/adjudication.md).

In: a packet of tasks, one binary criterion each. Out: a page for a browser or a table, and the signed verdicts that
come back. May fail: ``InputError`` for what is malformed, ``TrustError`` for verdicts that are unsigned, edited, by a
key that is no trusted reviewer's, or of another packet.
"""
