"""The run: every item asked once, every answer kept, each step in a hash chain.

In: an opened bundle, a target, a policy, a declaration. Out: ``DIR/run.sqlite`` (docs/run-store.md), which
``results.read_results`` turns into outcomes for the statistics and the report.
May fail: ``TargetError`` (the target is gone; resumable), ``InterruptedRunError`` (the operator stopped it;
resumable), ``UsageError`` (a resume that is not the same run), ``InputError`` (a path or a full disk),
``TrustError`` (the store was altered, or the key is not its key).
"""
