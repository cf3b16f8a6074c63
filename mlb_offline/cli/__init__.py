"""The command line: one short module a command group, no logic.

In: arguments. Out: text or JSON on stdout, progress and errors on stderr, and an exit code of DESIGN section 9.
``program`` is what a shell starts: it puts the process under the egress guard before anything heavy is imported.
``main`` chooses the language before any help text is made and turns every failure into its message: nobody is greeted
by a traceback, and no fault of the program is ever taken for a verdict.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NoReturn

from mlb_offline.errors import Exit, MlbError
from mlb_offline.language import Language, set_language, tr

UNTOUCHED = frozenset({"keys", "policy", "log", "verify", "doctor"})
"""Commands that touch neither a model nor a bundle's content, and go on where the kernel has no guard to offer; the
doctor then leaves models and bundles alone."""

UNGUARDED = frozenset({"bridge"})
"""Commands that put up a guard of their own, once they have looked up what they are to reach."""


def _take(option: str, arguments: list[str]) -> tuple[list[str], str | None]:
    """The arguments without ``option X``, which may stand anywhere, and its value."""
    kept: list[str] = []
    value: str | None = None
    words = iter(arguments)
    for word in words:
        name, equals, given = word.partition("=")
        if word == "--":
            return [*kept, word, *words], value
        if name == option:
            value = given if equals else next(words, "")
        else:
            kept.append(word)
    return kept, value


def program() -> NoReturn:
    """The program: install the guard that ``--guard`` names, then run the command."""
    words, mode = _take("--guard", sys.argv[1:])
    main(words, guard=mode or "unix-only")


def _guard(mode: str, words: list[str]) -> None:
    """Install the guard.

    Raises:
        UsageError: there is no such mode, or the target is not to be reached under it.
        EgressError: the kernel refuses it and the command must not run without, or the process was started on a
            network connection.
    """
    from mlb_offline.airgap.guard import GuardRefusedError, confine_to_port, install
    from mlb_offline.airgap.modes import Mode, require_reachable
    from mlb_offline.errors import UsageError

    names = ", ".join(one.value for one in Mode)
    if mode not in list(Mode):
        raise UsageError(
            tr(f"--guard 只能是 {names}，不是“{mode}”", f"--guard must be one of {names}, not {mode!r}"),
            field="--guard",
            remedy=tr("默认 unix-only 即可", "the default, unix-only, is right for most"),
        )
    command = next((word for word in words if not word.startswith("-")), "")
    if command in UNGUARDED:
        return
    try:
        install(Mode(mode))
    except GuardRefusedError:
        if command and command not in UNTOUCHED:
            raise
        return
    # Here, and not only when the run knows its target: Landlock does not bind threads that libraries start meanwhile.
    target = _take("--target", words)[1] if Mode(mode).over_tcp and command != "doctor" else None
    port = None if target is None else require_reachable(Mode(mode), target)
    if port is not None:
        confine_to_port(port)


def main(arguments: list[str], *, guard: str | None = None) -> NoReturn:
    """Run one command and exit with its code; nothing but ``SystemExit`` leaves here.

    Args:
        arguments: what the command line says.
        guard: mode of the guard to install first; None: none, and reports say *egress not enforced*.
    """
    _write_anything()
    words, language = _take("--lang", arguments)
    as_json = "--json" in words
    if words and words[0] == "--json":  # it goes with every command, and some write it first
        words = [*words[1:], "--json"]
    fault: Exception | None = None
    try:
        _choose(language)
        if guard is not None:
            _guard(guard, words)
    except Exception as error:  # noqa: BLE001 - told below, by what is imported only now
        fault = error
    import typer

    from mlb_offline.cli.kit import complain, interrupted, leave, usage_error

    try:
        if fault is not None:
            raise fault
        from mlb_offline.cli.app import app

        code = app(words, prog_name="mlb-offline", standalone_mode=False)
    except MlbError as error:
        code = complain(error, as_json=as_json)
    except (KeyboardInterrupt, EOFError, typer.Abort):
        code = interrupted()
    except SystemExit:
        code = Exit.DONE  # the option parser's way to leave where nobody reads its help any more
    except Exception as error:  # noqa: BLE001 - the last resort
        found = usage_error(error)
        code = complain(error if found is None else found, as_json=as_json, words=words)
    leave(code)


def _choose(language: str | None) -> None:
    chosen: dict[str, Language] = {"zh": "zh", "en": "en"}
    if language in chosen:
        set_language(chosen[language])
    elif language is not None:
        from mlb_offline.errors import UsageError

        raise UsageError(
            tr(f"--lang 只能是 zh 或 en，不是“{language}”", f"--lang must be zh or en, not {language!r}"),
            remedy="--lang zh / --lang en",
        )


def _write_anything() -> None:
    """A stream that is closed is as good as one nobody reads; a character that an encoding lacks becomes an escape."""
    nowhere = Path(os.devnull)
    sys.stdout = sys.stdout or nowhere.open("w", encoding="utf-8")
    sys.stderr = sys.stderr or nowhere.open("w", encoding="utf-8")
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
