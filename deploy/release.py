"""Put a release together for the media: ``python deploy/release.py --help`` (make release).

Image (split where the media want it), SBOM, checksums of models and bundles, the script and the sheet for the
hospital, all of it in SHA256SUMS, which is signed (ECDSA P-256 over SHA-256): ``openssl``, from 1.1.1 on, and
``sha256sum`` alone verify.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from compare_images import exported
from sbom import Inventory, make_sbom

HERE = Path(__file__).resolve().parent
_BLOCK = 1 << 20
_DATA = "opt/mlb-offline/"


def main() -> None:
    """Make the release that the arguments describe."""
    options = _options()
    out: Path = options.out
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    engine = options.engine.split()
    tar = out / f"mlb-offline-{options.version}-{options.arch}.tar"
    subprocess.run([*engine, "save", "--output", str(tar), options.image], check=True)
    _split(tar, options.media_mb * 1_000_000)
    inventory = take_inventory(engine, options.image)
    made = datetime.fromtimestamp(options.epoch, UTC)
    sbom = make_sbom(inventory, version=options.version, arch=options.arch, made=made)
    (out / "sbom.cdx.json").write_text(sbom, encoding="utf-8")
    (out / "MODELS-AND-BUNDLES.sha256").write_text("".join(inventory.data), encoding="utf-8")
    script = (HERE / "mlb-offline.sh").read_text(encoding="utf-8").replace("@VERSION@", options.version)
    (out / "mlb-offline.sh").write_text(script, encoding="utf-8")
    (out / "mlb-offline.sh").chmod(0o755)
    for name in ("INSTALL.md", "compose.yaml", "kubernetes.yaml"):
        text = (HERE / name).read_text(encoding="utf-8").replace("@VERSION@", options.version)
        (out / name).write_text(text, encoding="utf-8")
    about = {
        "version": options.version,
        "revision": options.revision,
        "architecture": options.arch,
        "image": options.image,
        "image_id": _inspect(engine, options.image)["Id"],
        "base": options.base,
        **_base(engine, options.image, options.base),
        "made_from_commit_of": made.isoformat(),
        "manifest_sha256": inventory.manifest_sha256,
        "unpacked_bytes": inventory.size,
        "throwaway_key": options.key is None,
    }
    (out / "release.json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    sign(out, options.key)
    _tell(out, about)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", default="docker", help="docker or podman, with global flags")
    parser.add_argument("--image", required=True)
    parser.add_argument("--version", required=True)
    parser.add_argument("--revision", required=True)
    parser.add_argument("--arch", default="amd64")
    parser.add_argument("--base", required=True, help="the base image, as it was given to the build")
    parser.add_argument("--epoch", type=int, default=0, help="seconds since 1970 of the commit")
    parser.add_argument("--media-mb", type=int, default=4000, help="largest file of the media, in MB (FAT32: 4000)")
    parser.add_argument("--key", type=Path, help="private key, EC P-256 or RSA (PEM); none: a throwaway key, for tests")
    parser.add_argument("--out", type=Path, required=True)
    return parser.parse_args()


def _split(tar: Path, limit: int) -> None:
    """Cut a file that is larger than the media take into NAME.part-000, NAME.part-001 …"""
    if tar.stat().st_size <= limit:
        return
    with tar.open("rb") as whole:
        number = 0
        while _copy(whole, tar.with_name(f"{tar.name}.part-{number:03d}"), limit):
            number += 1
    tar.unlink()


def _copy(whole: BinaryIO, part: Path, limit: int) -> bool:
    left = limit
    with part.open("wb") as file:
        while left and (block := whole.read(min(_BLOCK, left))):
            file.write(block)
            left -= len(block)
    if left == limit:
        part.unlink()
    return left == 0


def take_inventory(engine: list[str], image: str) -> Inventory:
    """What is in an image."""
    inventory = Inventory()
    with exported(engine, image) as content:
        for member in content:
            if member.isreg():
                inventory.take(member.name, member.size, content.extractfile(member))
    return inventory


def _inspect(engine: list[str], image: str) -> dict[str, Any]:
    """What the engine knows of an image.

    Raises:
        subprocess.CalledProcessError: it has no such image.
    """
    done = subprocess.run([*engine, "image", "inspect", image], check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout)[0]
    return found


def _base(engine: list[str], image: str, base: str) -> dict[str, object]:
    """Which image the tag of the base names here: its id and digests, and that the image does stand on it.

    BuildKit takes a base from a registry without giving it a name here; then only its layers are known, as those that
    the image begins with, and id and digests are null.
    """
    layers = _inspect(engine, image)["RootFS"]["Layers"]
    try:
        found = _inspect(engine, base)
    except subprocess.CalledProcessError:
        return {"base_id": None, "base_digests": None, "layers": layers}
    below = found["RootFS"]["Layers"]
    if layers[: len(below)] != below:
        sys.exit(f"{image} was not built on what {base} is now: build it again")
    return {"base_id": found["Id"], "base_digests": found.get("RepoDigests") or [], "layers": layers}


def sign(out: Path, key: Path | None) -> None:
    """List the files of a folder in SHA256SUMS, and sign that; without a key with one that is then forgotten."""
    with tempfile.TemporaryDirectory() as folder:
        if key is None:
            key = Path(folder) / "throwaway.key.pem"
            making = ["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]
            subprocess.run([*making, "-out", str(key)], check=True, capture_output=True)
        public = ["openssl", "pkey", "-in", str(key), "-pubout", "-out", str(out / "release.pub.pem")]
        subprocess.run(public, check=True)
        lines = [f"{_digest(file)}  {file.name}\n" for file in sorted(out.iterdir())]
        (out / "SHA256SUMS").write_text("".join(lines), encoding="ascii")
        # dgst, not pkeyutl: OpenSSL 1.1.1 verifies what it makes. It takes no Ed25519 key.
        signing = ["openssl", "dgst", "-sha256", "-sign", str(key.resolve()), "-out", "SHA256SUMS.sig", "SHA256SUMS"]
        if subprocess.run(signing, cwd=out, check=False).returncode:
            sys.exit(f"{key} cannot sign: it must be an EC (P-256) or RSA key")


def _digest(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _tell(out: Path, about: dict[str, object]) -> None:
    for file in sorted(out.iterdir()):
        sys.stdout.write(f"{file.stat().st_size:>12}  {file.name}\n")
    if about["throwaway_key"]:
        sys.stdout.write("signed with a throwaway key: for tests only; name the publisher's with RELEASE_KEY=\n")
    sys.stdout.write(f"{out}\n")


if __name__ == "__main__":
    main()
