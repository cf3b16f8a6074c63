"""The policy: thresholds that somebody approved, and what a summary makes of them.

In: a policy TOML and a ``Summary``. Out: gates, verdict and reasons. May fail: ``InputError`` naming file, line
and field of a policy that cannot be read. A policy without thresholds or without an approver never yields a pass.
"""
