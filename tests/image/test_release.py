"""A release: checked with openssl and sha256sum alone, loaded from its parts; nothing in it can be changed unseen."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from image_world import REPOSITORY, WHEELHOUSE

from mlb_offline import __version__

MEDIA_MB = 150
VERIFY = "openssl dgst -sha256 -verify release.pub.pem -signature SHA256SUMS.sig SHA256SUMS"


@pytest.fixture(scope="module")
def release(image: str, engine: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``make release`` onto small media, with the image already built."""
    out = tmp_path_factory.mktemp("release") / "media"
    words = [f"IMAGE={image}", f"RELEASE={out}", f"MEDIA_MB={MEDIA_MB}", f"ENGINE={engine[0]}", "--assume-old=image"]
    done = subprocess.run(["make", "release", *words], cwd=REPOSITORY, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "throwaway key" in done.stdout
    return out


def shell(folder: Path, command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "-c", command], cwd=folder, capture_output=True, text=True, timeout=300, env=os.environ | environment
    )


def test_openssl_and_sha256sum_alone_verify_it(release: Path) -> None:
    assert shell(release, f"{VERIFY} && sha256sum --check --quiet SHA256SUMS").returncode == 0
    listed = {line.split("  ")[1] for line in (release / "SHA256SUMS").read_text().splitlines()}
    assert listed == {path.name for path in release.iterdir()} - {"SHA256SUMS", "SHA256SUMS.sig"}
    about = json.loads((release / "release.json").read_text())
    assert (about["version"], about["throwaway_key"]) == (__version__, True)
    assert [path.name for path in release.parent.iterdir()] == [release.name]  # the throwaway key is gone


def test_it_says_which_base_its_image_stands_on(release: Path, engine: list[str], image: str) -> None:
    about = json.loads((release / "release.json").read_text())
    form = ["image", "inspect", "--format", "{{.Id}} {{json .RepoDigests}} {{json .RootFS.Layers}}"]
    base_id, digests, layers = (
        subprocess.run([*engine, *form, about["base"]], capture_output=True, text=True, check=True).stdout
    ).split()
    assert (about["base_id"], about["base_digests"]) == (base_id, json.loads(digests))
    assert about["layers"][: len(json.loads(layers))] == json.loads(layers)


def test_it_fits_the_media_and_loads_from_its_parts(release: Path, engine: list[str], image: str) -> None:
    parts = sorted(release.glob("*.tar.part-*"))
    assert len(parts) > 1
    assert all(path.stat().st_size <= MEDIA_MB * 10**6 for path in release.iterdir())
    loaded = shell(release, "./mlb-offline.sh load", MLB_ENGINE=" ".join(engine), MLB_IMAGE=image)
    assert loaded.returncode == 0, loaded.stderr
    assert "loaded" in loaded.stderr


@pytest.mark.parametrize("name", ["SHA256SUMS", "mlb-offline.sh", "sbom.cdx.json", "release.pub.pem", "part"])
def test_a_changed_byte_is_found_with_the_script_and_without(release: Path, name: str) -> None:
    file = min(release.glob("*.part-*")) if name == "part" else release / name
    before = file.read_bytes()
    place = len(before) // 2
    file.write_bytes(before[:place] + bytes([before[place] ^ 1]) + before[place + 1 :])
    try:
        assert shell(release, f"{VERIFY} && sha256sum --check --quiet SHA256SUMS").returncode != 0
        if name != "mlb-offline.sh":
            assert shell(release, "sh ./mlb-offline.sh check").returncode == 4
    finally:
        file.write_bytes(before)
    assert shell(release, "sh ./mlb-offline.sh check").returncode == 0


def test_its_bill_of_materials_is_valid_and_names_what_is_in_the_image(release: Path) -> None:
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    text = (release / "sbom.cdx.json").read_text(encoding="utf-8")
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    components = json.loads(text)["components"]
    purls = {one.get("purl", "").partition("@")[0] for one in components}
    assert {"pkg:deb/debian/python3-minimal", "pkg:deb/debian/libgomp1", "pkg:pypi/cryptography"} <= purls
    assert "pkg:pypi/onnxruntime" in purls
    assert not purls & {"pkg:pypi/protobuf", "pkg:pypi/flatbuffers", "pkg:pypi/packaging"}  # taken out of the image
    assert {"libllama.so", "libggml-base.so", "libggml-cpu-haswell.so"} <= {one["name"] for one in components}
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text.replace('"CycloneDX"', '"Else"')) is not None


def test_checksums_of_models_and_bundles_are_those_of_the_image(release: Path, engine: list[str], image: str) -> None:
    lines = (release / "MODELS-AND-BUNDLES.sha256").read_text()
    for name in ("mlb-judge-a.gguf", "mlb-judge-b.onnx", "mlb-tiny-random.gguf"):
        assert f"/opt/mlb-offline/models/{name}" in lines
    flags = os.environ.get("MLB_FLAGS", "").split()
    command = [
        *engine,
        "run",
        "--rm",
        "--interactive",
        *flags,
        "--network",
        "none",
        "--entrypoint",
        "sha256sum",
        image,
        "-c",
    ]
    assert subprocess.run(command, input=lines, capture_output=True, text=True).returncode == 0


def test_the_sheet_and_the_examples_name_this_version(release: Path) -> None:
    for name in ("mlb-offline.sh", "INSTALL.md", "compose.yaml", "kubernetes.yaml"):
        text = (release / name).read_text(encoding="utf-8")
        assert "@VERSION@" not in text
        assert __version__ in text
    for name in ("compose.yaml", "kubernetes.yaml"):
        assert "UNTESTED" in (release / name).read_text(encoding="utf-8")


def test_two_builds_from_one_commit_give_the_same_files(image: str, engine: list[str]) -> None:
    again = f"{image}-again"
    built = subprocess.run(
        ["make", "image", f"IMAGE={again}", "CACHE=--no-cache", f"--assume-old={WHEELHOUSE}"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert built.returncode == 0, built.stderr
    command = [".venv/bin/python", "deploy/compare_images.py", " ".join(engine), image, again]
    compared = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=120)
    print(compared.stdout)
    assert compared.returncode == 0, compared.stdout
    layers = [
        subprocess.run(
            [*engine, "image", "inspect", "--format", "{{.RootFS.Layers}}", name],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for name in (image, again)
    ]
    if "podman" in engine[0]:  # Docker keeps the times of files as they were
        assert layers[0] == layers[1]
    subprocess.run([*engine, "rmi", again], capture_output=True)
