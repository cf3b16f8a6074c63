"""Do two images hold the same files? ``python deploy/compare_images.py ENGINE IMAGE IMAGE``.

Compared by path: kind, permissions, owner, link target and content. Times of modification are counted apart: an engine
sets them to those of the build unless it is told otherwise. Exit 0 where all else is equal, 1 where not.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple


class Entry(NamedTuple):
    """One file of an image."""

    kind: bytes
    mode: int
    owner: tuple[int, int]
    link: str
    sha256: str


@contextmanager
def exported(engine: list[str], image: str) -> Iterator[tarfile.TarFile]:
    """The root file system of an image, as a stream of its files."""
    made = subprocess.run([*engine, "create", image], check=True, capture_output=True, text=True).stdout.strip()
    try:
        process = subprocess.Popen([*engine, "export", made], stdout=subprocess.PIPE)
        with process, tarfile.open(fileobj=process.stdout, mode="r|") as content:
            yield content
    finally:
        subprocess.run([*engine, "rm", made], check=True, capture_output=True)


def read(engine: list[str], image: str) -> tuple[dict[str, Entry], dict[str, float]]:
    """All files of an image, and their times of modification."""
    entries, times = {}, {}
    with exported(engine, image) as content:
        for member in content:
            file = content.extractfile(member) if member.isreg() else None
            digest = "" if file is None else hashlib.file_digest(file, "sha256").hexdigest()
            entries[member.name] = Entry(member.type, member.mode, (member.uid, member.gid), member.linkname, digest)
            times[member.name] = member.mtime
    return entries, times


def main(engine: str, one: str, other: str) -> int:
    """Say what differs."""
    (first, first_times), (second, second_times) = read(engine.split(), one), read(engine.split(), other)
    differing = [name for name in sorted(first.keys() | second.keys()) if first.get(name) != second.get(name)]
    for name in differing:
        sys.stdout.write(f"differs: {name}\n")
    later = sum(first_times[name] != second_times.get(name) for name in first_times)
    sys.stdout.write(f"{len(first)} entries, {len(differing)} differ, {later} in their time of modification only\n")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:4]))
