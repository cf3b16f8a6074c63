"""The model under test: an OpenAI-compatible server (TCP or Unix socket), a GGUF file, or a file of answers.

In: a target spec such as ``unix:/run/model.sock``, a target config, and one question at a time.
Out: a ``Response`` per question, and a ``description`` that goes into the run's identity (never a secret).
May fail: ``Retry`` (ask again), ``ItemFailed`` (this item is refused for good), ``TargetError`` (the whole run is
pointless until somebody acts), and at opening ``UsageError`` or ``InputError``.
"""
