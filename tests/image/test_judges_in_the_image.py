"""The embedded judges in the image: the signed ones, and opened under the guard without a word to anyone."""

from __future__ import annotations

import hashlib

import pytest
from image_world import LOCKED, REPOSITORY, Hospital, one_user, outside, put_annotations

JUDGES = {"mlb-judge-a.gguf": "A", "mlb-judge-b.onnx": "B"}
IMPORT = "/opt/mlb-offline/venv/bin/python -c 'import onnxruntime; print(onnxruntime.__version__)'"
"""onnxruntime alone: without the program, which would tell it to be silent."""


@one_user
def test_both_are_those_that_the_publisher_signed(hospital: Hospital) -> None:
    done = hospital.script("judge", "info", "--json")
    assert done.code == 0, done.err
    assert done.result["verified"] is True
    records = {one["record"]["file"]: one["record"] for one in done.result["checks"]}
    assert {name: record["role"] for name, record in records.items()} == JUDGES
    for name, record in records.items():
        content = (REPOSITORY / "models" / name).read_bytes()
        assert (record["listed"], record["sha256"]) == (True, hashlib.sha256(content).hexdigest())
    assert done.result["publishers"] == outside("judge", "info", "--json").result["publishers"]


@one_user
def test_one_that_was_changed_is_refused(hospital: Hospital) -> None:
    changed = hospital.folder / "changed.onnx"
    content = (REPOSITORY / "models" / "mlb-judge-b.onnx").read_bytes()
    changed.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    changed.chmod(0o644)
    mount = ("--volume", f"{changed}:/opt/mlb-offline/models/mlb-judge-b.onnx:ro")
    done = hospital.container(*LOCKED, *mount, "--user", hospital.user, hospital.image, "judge", "info", "--json")
    assert done.code == 4, done.err
    assert [one["verified"] for one in done.result["checks"]] == [True, False]


def test_both_are_opened_under_the_guard_and_judge_as_they_do_outside(hospital: Hospital) -> None:
    file = hospital.folder / "set.jsonl"
    put_annotations(file)
    done = hospital.script("judge", "calibrate", "--set", "set.jsonl", "--json")
    assert done.code == 0, done.err
    found = done.result
    assert {record["file"]: record["role"] for record in found["records"]} == JUDGES
    assert {judge["answered"] for judge in found["judges"].values()} == {found["n"]}
    assert found == outside("judge", "calibrate", "--set", file, "--json").result


def left_behind(hospital: Hospital, command: str) -> tuple[str, list[str]]:
    """What a command printed last in a locked container, and what it left under HOME (/tmp, empty at its start)."""
    put_annotations(hospital.folder / "set.jsonl")
    mounts = ("--volume", f"{hospital.folder}:/work:ro", "--user", hospital.user)
    script = f"{command} && find /tmp -mindepth 1"
    done = hospital.container(*LOCKED, *mounts, "--entrypoint", "sh", hospital.image, "-c", script)
    assert done.code == 0, done.err
    said, *files = done.out.splitlines()
    return said, files


@one_user
@pytest.mark.parametrize("before", ["", "env -u ORT_DISABLE_TELEMETRY", "env ORT_DISABLE_TELEMETRY=0"])
def test_judging_leaves_no_file_in_the_home_folder_whatever_the_environment_says(
    hospital: Hospital, before: str
) -> None:
    said, files = left_behind(hospital, f"{before} mlb-offline judge calibrate --set set.jsonl --json")
    assert "mlb-judge-b" in said
    assert files == []


@one_user
def test_the_environment_of_the_image_alone_silences_onnxruntime(hospital: Hospital) -> None:
    assert left_behind(hospital, IMPORT)[1] == []


@one_user
def test_onnxruntime_that_is_not_silenced_does_leave_files_there(hospital: Hospital) -> None:
    """The control; a later onnxruntime that no longer does it is told apart, not taken for a silenced one."""
    version, files = left_behind(hospital, f"env -u ORT_DISABLE_TELEMETRY {IMPORT}")
    if not files:
        assert not version.startswith("1.32.")
        pytest.skip(f"onnxruntime {version} left nothing: nothing to compare with")
    assert any(name.startswith("/tmp/.cache/Microsoft") for name in files)
