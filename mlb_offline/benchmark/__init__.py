"""The benchmark: its datasets as data, typed items, and prompts.

In: item records from a bundle or source folder. Out: ``Item`` and the prompt text of each.
May fail: ``InputError`` naming file, line and field of a bad record; ``UsageError`` for an unknown dataset.
"""
