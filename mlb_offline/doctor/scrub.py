"""Takes out of a text what must not leave the house: paths, addresses, and the names of host and user."""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import socket
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mlb_offline.doctor.options import Options

ADDRESS, HOST, USER = "(address)", "(host)", "(user)"

_ENDS = r"\s\"'“”‘’「」<>|：，；。、（）()\[\]{},;:"
_REST = rf"(?:/+[^/{_ENDS}]+)*/?"
_ABSOLUTE = re.compile(rf"(?<![A-Za-z0-9_./-])~?/+(?:[^/{_ENDS}]+/+)*([^/{_ENDS}]+)/?")
_URL = re.compile(r"\b(https?://)(?:[^\s/@]*@)?(?:\[[^\]\s]*\]|[^\s/:，；。（）()]+)")
_IPV4 = re.compile(r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.]*\d)")
_COLONS = re.compile(r"(?<![0-9A-Za-z])[0-9A-Fa-f]*:[0-9A-Fa-f:.]*[0-9A-Fa-f:](?![0-9A-Za-z])")
_SHORTEST = 2  # a path of this many characters, such as "/", says nothing


@dataclass(frozen=True)
class Scrubber:
    """What is known beforehand, since no rule finds it: folders with spaces in their names, names of people.

    Attributes:
        paths: each replaced by its last part, with what follows of the path.
        names: word → what stands in its place.
    """

    paths: tuple[str, ...]
    names: tuple[tuple[str, str], ...]

    def text(self, text: str) -> str:
        """The text without any of it; what stood there is told by ``(address)``, ``(host)``, ``(user)``."""
        text = _URL.sub(rf"\1{ADDRESS}", text)
        for path in self.paths:
            text = re.sub(rf"(?<![A-Za-z0-9_/.]){re.escape(path)}(?![^/{_ENDS}]){_REST}", _last_part, text)
        text = _ABSOLUTE.sub(r"\1", text)
        text = _IPV4.sub(ADDRESS, text)
        text = _COLONS.sub(lambda found: ADDRESS if _is_address(found[0]) else found[0], text)
        for name, instead in self.names:
            # The program's own name stays readable where the user of its image is called the same.
            text = re.sub(rf"(?<![A-Za-z0-9]){re.escape(name)}(?![A-Za-z0-9]|-offline\b)", instead, text)
        return text

    def value(self, value: Any) -> Any:
        """A JSON value with every text in it scrubbed; names of members stay."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {name: self.value(member) for name, member in value.items()}
        if isinstance(value, list):
            return [self.value(member) for member in value]
        return value


def _last_part(found: re.Match[str]) -> str:
    return found[0].rstrip("/").rpartition("/")[2]


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def scrubber(options: Options) -> Scrubber:
    """For this machine, this user, and the paths and the target that were named."""
    own = (Path.home(), Path.cwd(), Path(tempfile.gettempdir()), Path(sys.prefix), Path(__file__).parents[2])
    named = (options.bundle, options.key, options.passphrase_file, options.target_config, options.out)
    more = (options.state_folder, options.target_file("unix", "gguf", "answers"), _data())
    given = [path for path in (*named, *more, *options.trust, *options.judges) if path is not None]
    # Longest first, so that a folder's name does not hide what stands in it.
    paths = sorted(_spellings([*given, *own]), key=len, reverse=True)
    host = socket.gethostname()
    hosts = [host, host.partition(".")[0], os.uname().nodename]
    names = [*_as(HOST, hosts), *_as(USER, _users()), *_as(ADDRESS, [_target_host(options.target)])]
    return Scrubber(tuple(paths), tuple(sorted(names, key=lambda entry: len(entry[0]), reverse=True)))


def _data() -> Path | None:
    named = os.environ.get("MLB_DATA")
    return Path(named) if named else None


def _spellings(paths: Iterable[Path]) -> set[str]:
    found: set[str] = set()
    for path in paths:
        whole = Path(os.path.abspath(path))  # noqa: PTH100 - as it was named, links and all
        for one in (path, whole, Path(os.path.realpath(path))):
            found |= {str(part) for part in (one, *one.parents)}
    return {path for path in found if "/" in path and len(path) >= _SHORTEST}


def _users() -> list[str]:
    found = [os.environ.get(name, "") for name in ("USER", "LOGNAME", "SUDO_USER")]
    with contextlib.suppress(KeyError):  # a number without a name, as in many containers
        found.append(pwd.getpwuid(os.getuid()).pw_name)
    return [*found, Path.home().name]


def _target_host(spec: str | None) -> str:
    try:
        return urlsplit(spec or "").hostname or ""
    except ValueError:
        return ""


def _as(instead: str, names: Iterable[str]) -> set[tuple[str, str]]:
    return {(name, instead) for name in names if name and name != "localhost"}
