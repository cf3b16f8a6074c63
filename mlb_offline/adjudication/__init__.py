"""Physicians settle criteria: how many and which, the page or table on which they do it, and what comes back.

Judges cannot certify (DESIGN, section 5): a gate on a judged dataset rests on a physician's labels of a random sample.
"""
