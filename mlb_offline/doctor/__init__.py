"""What would stop a run here, and what to do about it.

In: the options that a run would be given, all of them optional. Out: findings, each *ok*, *warning* or *failure*, a
failure with the exit code that a run would end with; what could not be looked at for want of an option; the egress
evidence. May fail: nothing. What the functions of other packages raise becomes a finding, whatever it is.

``finding`` is the one type of result, ``options`` what is looked at, ``examine`` the order. Each of the other modules
reads one part of the machine (``read_…``) and judges what was read (``check_…``), which needs no machine: ``cpu``,
``memory``, ``disk``, ``clock``, ``system``, ``egress``, ``places``, ``opening``, ``models``. ``words`` shows the
findings to a person; ``support`` writes them, without any content, to a file that may leave the house, ``scrub`` takes
out what must not.
"""
