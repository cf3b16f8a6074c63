"""Make the offline wheel folder that the image installs from: ``python deploy/wheelhouse.py OUT`` (make wheelhouse).

Every wheel is either the one whose hash is locked in requirements/runtime.txt or compiled here from a source
distribution with such a hash. ``requirements.txt`` beside them names each with the hash of the file that lies there, so
that the image can be installed with ``--no-index --require-hashes``.

Compiled wheels need the C library of the machine that compiled them, or a later one: run this on Debian 12 (or in a
container of the base image). The build of the image fails where they do not fit.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "requirements" / "runtime.txt"
_PIP = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")
RECIPE = ROOT / "requirements" / "llama.cmake"


def main(out: Path) -> None:
    """Fill the folder."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    _collect(out)
    if not _by_recipe(out):
        # A wheel that an earlier build left in pip's cache, compiled otherwise.
        subprocess.run([*_PIP, "cache", "remove", "llama_cpp_python*"], check=True)
        next(out.glob("llama_cpp_python-*")).unlink()
        _collect(out)
    if not _by_recipe(out):
        sys.exit("llama-cpp-python was not compiled as requirements/llama.cmake says: run `make wheelhouse`")
    own = [*_PIP, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(out), str(ROOT)]
    subprocess.run(own, check=True)
    lines = [f"{_requirement(wheel)} --hash=sha256:{_digest(wheel)}\n" for wheel in sorted(out.glob("*.whl"))]
    (out / "requirements.txt").write_text("".join(lines), encoding="ascii")
    size = sum(wheel.stat().st_size for wheel in out.glob("*.whl"))
    sys.stdout.write(f"{out}: {len(lines)} wheels, {size / 1e6:.1f} MB\n")


def _collect(out: Path) -> None:
    locked = ["--require-hashes", "--requirement", str(LOCK)]
    subprocess.run([*_PIP, "wheel", "--no-build-isolation", "--wheel-dir", str(out), *locked], check=True)


def _by_recipe(out: Path) -> bool:
    with zipfile.ZipFile(next(out.glob("llama_cpp_python-*.whl"))) as content:
        name = "llama_cpp/lib/recipe.cmake"
        return name in content.namelist() and content.read(name) == RECIPE.read_bytes()


def _requirement(wheel: Path) -> str:
    name, version = wheel.name.split("-")[:2]
    return f"{name.replace('_', '-')}=={version}"


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
