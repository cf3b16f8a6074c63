"""No byte leaves: the guard that the kernel enforces, the evidence of it, and the bridge to a vendor's TCP port.

In: a guard mode, before anything heavy is imported. Out: a process (and all its children) that can open no socket but
those of its mode, and snapshots of what the kernel says about that. May fail: ``EgressError`` (exit 6) where the kernel
refuses or where a look finds less than was promised.

``filters`` is the seccomp program, ``kernel`` the system calls, ``guard`` the order in which they are made, ``probes``
the attempts by which a guarded process finds out for itself, ``network`` and ``evidence`` what is recorded.
"""
