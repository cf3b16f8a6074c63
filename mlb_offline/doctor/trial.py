"""Why is there no guard? A process of its own tries to put one up, and says what the kernel answered.

In this process it cannot be found out any more: either it was told not to (``--guard none``), or it was refused at
the start, before anything could be said.
"""

from __future__ import annotations

import json
import subprocess
import sys

from mlb_offline.errors import EgressError
from mlb_offline.language import Language, current, set_language

_PATIENCE = 30.0  # seconds; it takes a tenth of one


def refusal() -> EgressError | None:
    """What the kernel says to the guard ``unix-only``; None where it puts it up.

    Raises:
        OSError: no process can be started.
        TimeoutExpired: it does not end.
        ValueError: it ended without an answer.
    """
    done = subprocess.run(  # noqa: S603 - our own module
        [sys.executable, "-P", "-m", __name__, current()],
        capture_output=True,
        text=True,
        check=False,
        timeout=_PATIENCE,
    )
    said = json.loads(done.stdout)
    return EgressError(said["message"], remedy=said["remedy"]) if said else None


def _try(language: Language) -> dict[str, str]:
    from mlb_offline.airgap.guard import install
    from mlb_offline.airgap.modes import Mode

    set_language(language)
    try:
        install(Mode.UNIX_ONLY)
    except EgressError as error:
        return {"message": error.message, "remedy": error.remedy}
    return {}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_try("zh" if sys.argv[1:] == ["zh"] else "en")) + "\n")
