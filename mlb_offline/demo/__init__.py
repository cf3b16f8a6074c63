"""What the demonstration runs against: a tiny real model, a llama.cpp server for it, and a scripted server.

In: a seed, a model file or a table of replies. Out: a GGUF file, or a server on a Unix socket or a loopback port.
May fail: ``UsageError`` where the ``demo`` extra is not installed, ``TargetError`` where a server does not start.
"""
