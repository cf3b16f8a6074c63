"""Put a release together for the media: ``python deploy/release.py --help`` (make release).

Image (split where the media want it), SBOM, checksums of models and bundles, the script and the sheet for the
hospital, all of it in SHA256SUMS, which is signed with Ed25519: ``openssl`` and ``sha256sum`` alone verify.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

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
    inventory = _take_inventory(engine, options.image)
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
        "image_id": _image_id(engine, options.image),
        "base": options.base,
        "made_from_commit_of": made.isoformat(),
        "manifest_sha256": inventory.manifest_sha256,
        "unpacked_bytes": inventory.size,
        "throwaway_key": options.key is None,
    }
    (out / "release.json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    _sign(out, options.key)
    _tell(out, about)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", default="docker", help="docker or podman, with global flags")
    parser.add_argument("--image", required=True)
    parser.add_argument("--version", required=True)
    parser.add_argument("--revision", required=True)
    parser.add_argument("--arch", default="amd64")
    parser.add_argument("--base", default="", help="the base image, as it was given to the build")
    parser.add_argument("--epoch", type=int, default=0, help="seconds since 1970 of the commit")
    parser.add_argument("--media-mb", type=int, default=4000, help="largest file of the media, in MB (FAT32: 4000)")
    parser.add_argument("--key", type=Path, help="Ed25519 private key (PEM); none: a throwaway key, for tests")
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


def _copy(whole: object, part: Path, limit: int) -> bool:
    left = limit
    with part.open("wb") as file:
        while left and (block := whole.read(min(_BLOCK, left))):  # type: ignore[attr-defined]
            file.write(block)
            left -= len(block)
    if left == limit:
        part.unlink()
    return left == 0


def _take_inventory(engine: list[str], image: str) -> Inventory:
    inventory = Inventory()
    with exported(engine, image) as content:
        for member in content:
            if member.isreg():
                inventory.take(member.name, member.size, content.extractfile(member))
    return inventory


def _image_id(engine: list[str], image: str) -> str:
    form = ["image", "inspect", "--format", "{{.Id}}", image]
    return subprocess.run([*engine, *form], check=True, capture_output=True, text=True).stdout.strip()


def _sign(out: Path, key: Path | None) -> None:
    if key is None:
        key = out.parent / "throwaway.key.pem"
        subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", str(key)], check=True)
    public = ["openssl", "pkey", "-in", str(key), "-pubout", "-out", str(out / "release.pub.pem")]
    subprocess.run(public, check=True)
    lines = [f"{_digest(file)}  {file.name}\n" for file in sorted(out.iterdir())]
    (out / "SHA256SUMS").write_text("".join(lines), encoding="ascii")
    signing = ["openssl", "pkeyutl", "-sign", "-inkey", str(key), "-rawin", "-in", "SHA256SUMS"]
    subprocess.run([*signing, "-out", "SHA256SUMS.sig"], check=True, cwd=out)


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
