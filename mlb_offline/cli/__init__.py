"""The command line: one short module a command group, no logic.

In: arguments. Out: text or JSON on stdout, progress and errors on stderr, and an exit code of DESIGN section 9.
``main`` chooses the language before any help text is made and turns every ``MlbError`` into its message.
"""

from __future__ import annotations

import os
import sys

from mlb_offline.errors import Exit, MlbError
from mlb_offline.language import Language, set_language, tr


def _language_argument(arguments: list[str]) -> Language | None:
    for index, argument in enumerate(arguments):
        value = argument.partition("=")[2] if argument.startswith("--lang=") else None
        if argument == "--lang" and index + 1 < len(arguments):
            value = arguments[index + 1]
        if value in {"zh", "en"}:
            return "zh" if value == "zh" else "en"
    return None


def main(arguments: list[str] | None = None) -> None:
    """Run one command and exit with its code; nothing but ``SystemExit`` leaves here."""
    arguments = sys.argv[1:] if arguments is None else arguments
    language = _language_argument(arguments)
    if language is not None:
        set_language(language)
    from mlb_offline.cli.app import app
    from mlb_offline.cli.kit import stop

    as_json = "--json" in arguments
    try:
        app(arguments, prog_name="mlb-offline", standalone_mode=True)
    except MlbError as error:
        stop(error, as_json=as_json)
    except KeyboardInterrupt:
        sys.stderr.write(tr("已中断\n", "interrupted\n"))
        raise SystemExit(int(Exit.INTERRUPTED)) from None
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(int(Exit.DONE)) from None
