"""The image as a hospital has it: no network, read-only, no privileges, any user; its reports verify outside."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import tarfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from compare_images import exported
from image_world import LOCKED, REPOSITORY, SCRIPT, WHEELHOUSE, Done, Hospital, one_user, outside, put_annotations
from release import take_inventory

from mlb_offline.airgap.modes import Mode
from mlb_offline.airgap.probes import expected
from mlb_offline.bundle.source import read_source
from mlb_offline.demo.replies import scripted_replies
from mlb_offline.demo.scripted import scripted_server

LIMIT = 700 * 10**6
"""Bytes that the image may have, unpacked."""


def verified(hospital: Hospital, name: str) -> dict[str, Any]:
    """The data of a report of the demonstration, verified outside the image."""
    out = hospital.folder / "demo"
    done = outside("verify", out / name / "report.html", "--trust", out / "trust", "--json")
    assert done.code == 0, done.err
    data: dict[str, Any] = done.result["data"]
    return data


def assert_air_gapped(data: dict[str, Any], *, peer: bool) -> None:
    run = data["run"]
    assert run["identity"]["guard_mode"] == "unix-only"
    for session in run["sessions"]:
        for seen in (session["egress"], session["egress_at_end"]):
            assert seen["network"]["empty"] is True
            assert seen["network"]["sockets"] | {"unix": 0} == dict.fromkeys(seen["network"]["sockets"], 0)
            assert [one["name"] for one in seen["network"]["interfaces"] if one["up"]] == ["lo"]
            assert seen["probes"] == expected(Mode.UNIX_ONLY)
            assert (seen["process"]["seccomp"], seen["process"]["no_new_privs"]) == (2, True)
            assert seen["process"]["network_sockets"] == 0
            assert not seen["process"]["core_dumps"]
            assert seen["image"]["files"] > 1000
        if peer:
            assert session["egress"]["peer"]["pid"] == 0  # it lives in another container


def tallies(data: dict[str, Any]) -> dict[str, dict[str, int]]:
    return {sample["dataset"]: sample["tally"] for sample in data["samples"]}


def assert_scores_are_those_scripted(data: dict[str, Any], scripted: dict[str, Counter[str]]) -> None:
    found = tallies(data)
    for name, kinds in scripted.items():
        assert found[name]["unreadable"] == kinds["unreadable"]
        assert found[name]["right"] + found[name]["wrong"] + found[name]["scored"] == kinds["right"] + kinds["wrong"]
        assert found[name]["right"] in {0, kinds["right"]}
        assert found[name]["failed"] == found[name]["missing"] == 0


@one_user
def test_the_starter_bundle_is_in_the_image_and_its_demonstration_runs(hospital: Hospital) -> None:
    began = time.monotonic()
    done = hospital.script("demo", "--starter", "--out", "starter", "--json")
    print(f"\nthe starter bundle in the image: {time.monotonic() - began:.1f} s")
    assert done.code == 0, done.err
    assert [report["scores_as_scripted"] for report in done.result["reports"]] == [None, True]
    assert {report["verdict"] for report in done.result["reports"]} == {"not evaluable"}


def test_the_whole_demonstration_runs_without_network_and_verifies_outside(hospital: Hospital) -> None:
    began = time.monotonic()
    done = hospital.script("demo", "--out", "demo", "--json")
    print(f"\ndemonstration in the image, user {hospital.user}: {time.monotonic() - began:.1f} s")
    assert done.code == 0, done.err
    assert {one["target"]: one["scores_as_scripted"] for one in done.result["reports"]} == {
        "llama-random": None,
        "scripted": True,
    }
    for name in ("llama-random", "scripted"):
        assert_air_gapped(verified(hospital, name), peer=False)
    assert verified(hospital, "llama-random")["run"]["identity"]["target"]["cpu"] in {
        "x64",
        "haswell",
        "skylakex",
        "icelake",
    }
    assert all(path.stat().st_uid == int(hospital.user.split(":")[0]) for path in (hospital.folder / "demo").rglob("*"))


@pytest.fixture
def scripted(hospital: Hospital) -> tuple[Path, dict[str, Counter[str]]]:
    """A table of replies in a folder that a vendor's container shares, and how many of each kind they are."""
    replies, kinds = scripted_replies(read_source(REPOSITORY / "bundles" / "src" / "demo"))
    folder = hospital.sockets
    table = folder / "replies.json"
    table.write_text(json.dumps({"replies": replies}, ensure_ascii=False), encoding="utf-8")
    return folder, kinds


def until_there(path: Path) -> None:
    deadline = time.monotonic() + 30
    while not path.is_socket():
        assert time.monotonic() < deadline, f"{path} did not appear"
        time.sleep(0.05)


def evaluate(hospital: Hospital, socket: Path) -> Done:
    return hospital.script("demo", "--target", f"unix:{socket}", "--out", "demo", "--json")


def test_a_vendor_in_a_second_container_without_network_shares_only_a_socket_folder(
    hospital: Hospital, scripted: tuple[Path, dict[str, Counter[str]]]
) -> None:
    folder, kinds = scripted
    vendor = ("--entrypoint", "/opt/mlb-offline/venv/bin/python", hospital.image, "-m", "mlb_offline.demo.scripted")
    vendor += ("--replies", f"{folder}/replies.json", "--unix", f"{folder}/model.sock")
    mounts = ("--user", hospital.user, "--volume", f"{folder}:{folder}:rw")
    with hospital.running(*LOCKED, *mounts, *vendor):
        until_there(folder / "model.sock")
        done = evaluate(hospital, folder / "model.sock")
    assert done.code == 0, done.err
    data = verified(hospital, "own-target")
    assert_air_gapped(data, peer=True)
    assert_scores_are_those_scripted(data, kinds)


@contextmanager
def bridge(hospital: Hospital, socket: Path, port: int) -> Iterator[subprocess.Popen[str]]:
    """``mlb-offline.sh bridge`` in the foreground of a terminal of its own."""
    command = ["sh", SCRIPT, "bridge", f"unix:{socket}", f"127.0.0.1:{port}", "--json"]
    process = subprocess.Popen(
        command,
        cwd=hospital.folder,
        env=hospital.environment | {"MLB_FLAGS": f"{hospital.environment['MLB_FLAGS']} --name {hospital.base.name}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        until_there(socket)
        yield process
    finally:
        subprocess.run([*hospital.engine, "stop", "--time", "5", hospital.base.name], capture_output=True)
        process.wait(30)


@one_user
def test_a_tcp_service_of_the_host_is_reached_through_the_bridge_in_a_second_container(
    hospital: Hospital, scripted: tuple[Path, dict[str, Counter[str]]]
) -> None:
    folder, kinds = scripted
    socket = folder / "model.sock"
    with scripted_server(folder / "replies.json", log=hospital.base / "vendor.log") as vendor:
        port = int(vendor.target.rpartition(":")[2].partition("/")[0])
        with bridge(hospital, socket, port) as process:
            name = hospital.base.name
            inspected = subprocess.run([*hospital.engine, "inspect", name], capture_output=True, text=True, check=True)
            mounts = [one["Destination"] for one in json.loads(inspected.stdout)[0]["Mounts"]]
            done = evaluate(hospital, socket)
    assert done.code == 0, done.err
    assert sorted(set(mounts) - {"/state", "/tmp"}) == [str(folder)]  # no key, no bundle; /state is an empty volume
    data = verified(hospital, "own-target")
    assert_air_gapped(data, peer=True)
    assert_scores_are_those_scripted(data, kinds)
    carried = json.loads(process.stdout.read()) if process.stdout else {}
    assert carried["connections"] > 1
    assert carried["failed"] == 0
    assert min(carried["sent"], carried["received"]) > 10_000


@one_user
def test_a_file_of_the_image_that_was_changed_stops_a_run(hospital: Hospital, tmp_path: Path) -> None:
    changed = hospital.folder / "changed.py"
    changed.write_text("# not what was built\n")
    changed.chmod(0o644)
    target = "/opt/mlb-offline/venv/lib/python3.11/site-packages/mlb_offline/scoring/choice.py"
    out = hospital.folder / "out"
    out.mkdir()
    out.chmod(0o777)
    mounts = ("--volume", f"{changed}:{target}:ro", "--volume", f"{out}:/work:rw", "--user", hospital.user)
    done = hospital.container(*LOCKED, *mounts, hospital.image, "doctor", "--egress")
    assert done.code == 4, done.out
    assert "scoring/choice.py" in done.out + done.err


@one_user
def test_doctor_and_the_health_check_find_the_image_in_order(hospital: Hospital) -> None:
    began = time.monotonic()
    done = hospital.script("doctor", "--egress", "--json")
    print(f"\nself-test in the image: {time.monotonic() - began:.1f} s")
    assert done.code == 0, done.out
    assert done.result["egress"]["image"]["files"] > 1000
    config = json.loads(
        subprocess.run(
            [*hospital.engine, "image", "inspect", hospital.image], capture_output=True, text=True, check=True
        ).stdout
    )[0]
    health = config.get("Healthcheck") or config["Config"].get("Healthcheck")
    assert health["Test"] == ["CMD", "mlb-offline", "doctor", "--egress"]
    labels = config["Config"]["Labels"]
    assert labels["org.opencontainers.image.licenses"] == "Apache-2.0"
    assert labels["org.opencontainers.image.version"] == "0.1.0"
    assert config["Config"]["User"] == "65532:65532"


@one_user
def test_nothing_can_be_written_but_where_it_is_meant(hospital: Hospital) -> None:
    script = (
        "for f in /opt/mlb-offline/x /usr/x /etc/x /x; do touch $f 2>/dev/null && echo $f; done; touch /tmp/x /state/x"
    )
    done = hospital.container(*LOCKED, "--user", hospital.user, "--entrypoint", "sh", hospital.image, "-c", script)
    assert (done.code, done.out) == (0, ""), done.err


@pytest.fixture(scope="module")
def files(image: str, engine: list[str]) -> dict[str, tarfile.TarInfo]:
    """Path → what is known of every file in the image."""
    with exported(engine, image) as content:
        return {member.name: member for member in content if not member.isdir()}


def test_it_holds_nothing_that_the_evaluator_does_not_need(
    files: dict[str, tarfile.TarInfo], image: str, engine: list[str]
) -> None:
    form = ["image", "inspect", "--format", "{{.Size}}", image]
    layers = int(subprocess.run([*engine, *form], capture_output=True, text=True, check=True).stdout)
    unpacked = sum(member.size for member in files.values())
    print(f"\nthe image: {layers / 1e6:.0f} MB of layers; {len(files)} files, {unpacked / 1e6:.0f} MB")
    assert layers < LIMIT
    programs = {Path(name).name for name in files if "/bin/" in name or "/sbin/" in name}
    assert not programs & {
        "pip",
        "pip3",
        "gcc",
        "cc",
        "g++",
        "make",
        "cmake",
        "ld",
        "as",
        "curl",
        "wget",
        "git",
        "ssh",
        "nc",
    }
    own = {Path(name).name for name in files if name.startswith("opt/mlb-offline/venv/bin/")}
    assert own == {"python", "python3", "python3.11", "mlb-offline"}
    assert not [name for name, member in files.items() if member.isreg() and member.mode & 0o6000]  # setuid, setgid
    packages = {name.split("site-packages/")[1].split("/")[0] for name in files if "site-packages/" in name}
    assert not packages & {"pip", "setuptools", "wheel", "pytest", "fastapi", "uvicorn", "gguf", "requests"}
    assert {"mlb_offline", "llama_cpp", "onnxruntime", "aiohttp", "cryptography"} <= packages
    assert not packages & {"google", "flatbuffers", "packaging", "sympy"}  # for onnxruntime's tools, which are left out
    engines = {Path(name).name for name in files if "/onnxruntime/capi/" in name and ".so" in name}
    assert engines == {
        "libonnxruntime_providers_shared.so",
        "onnxruntime_pybind11_state.cpython-311-x86_64-linux-gnu.so",
    }
    assert not [name for name in files if name.startswith(("var/lib/apt/lists/", "var/cache/apt/"))]
    keys = [name for name in files if name.endswith((".key.json", ".key.pem"))]
    assert keys == ["opt/mlb-offline/bundles/starter-keys/hospital.key.json"], "the demonstration's, which is no secret"


def test_it_holds_the_embedded_judges_with_their_signed_list_their_cards_and_not_what_they_learned_from(
    files: dict[str, tarfile.TarInfo],
) -> None:
    models = "opt/mlb-offline/models/"
    held = {name.removeprefix(models) for name in files if name.startswith(models)}
    judges = {f"mlb-judge-{name}" for name in ("a.gguf", "a.md", "a.svg", "b.onnx", "b.md", "b.svg")}
    assert judges | {"MANIFEST.json", "MANIFEST.json.sig", "README.md", "MEASURED.md"} <= held
    assert not [name for name in held if name.startswith("src")]


def test_its_native_code_runs_on_any_processor_of_its_kind(files: dict[str, tarfile.TarInfo]) -> None:
    variants = {Path(name).name for name in files if "libggml-cpu" in name}
    assert variants == {f"libggml-cpu-{name}.so" for name in ("x64", "haswell", "skylakex", "icelake")}


@one_user
def test_the_command_starts_within_seconds(hospital: Hospital) -> None:
    began = time.monotonic()
    done = hospital.container(*LOCKED, "--user", hospital.user, hospital.image, "--version")
    print(f"\ncold start: {time.monotonic() - began:.2f} s")
    assert done.out.startswith("mlb-offline 0.")


def test_models_and_bundles_of_a_site_are_built_in_and_listed(image: str, engine: list[str]) -> None:
    site = REPOSITORY / "build" / "image" / "site"
    assert not site.exists(), f"{site} is somebody's"
    other = f"{image}-site"
    try:
        for kind, name in (("models", "judge.gguf"), ("bundles", "site.mlbb")):
            (site / kind).mkdir(parents=True)
            (site / kind / name).write_bytes(b"none\n")
        extra = [f"EXTRA_{kind.upper()}=build/image/site/{kind}" for kind in ("models", "bundles")]
        words = [f"IMAGE={other}", *extra, f"--assume-old={WHEELHOUSE}"]
        built = subprocess.run(["make", "image", *words], cwd=REPOSITORY, capture_output=True, text=True, timeout=300)
        assert built.returncode == 0, built.stderr
        inventory = take_inventory(engine, other)
    finally:
        shutil.rmtree(site, ignore_errors=True)
        subprocess.run([*engine, "rmi", other], capture_output=True)
    listed = {line.split()[1] for line in inventory.data}
    data = "/opt/mlb-offline"
    assert {f"{data}/models/judge.gguf", f"{data}/bundles/site.mlbb", f"{data}/models/mlb-tiny-random.gguf"} <= listed


@pytest.fixture
def strace(hospital: Hospital) -> list[str]:
    """The engine under strace: itself and all that it starts, in whatever namespace.

    With ``--seccomp-bpf`` only the calls named stop a process, which spares minutes. Calls that the guard denies are
    then not seen; those that it lets through are.
    """
    if "podman" not in hospital.engine[0]:
        pytest.skip("containers are started by a daemon, which is not traced")
    calls = "trace=execve,socket,clone,clone3,fork,vfork"
    options = ["-f", "-qq", "--seccomp-bpf", "--pidns-translation", "-o", str(hospital.base / "trace"), "-e", calls]
    return ["strace", *options, *hospital.engine]


PROGRAMS = ('execve("/usr/local/bin/mlb-offline"', 'execve("/opt/mlb-offline/venv/bin/')
"""How the image's own programs begin in a trace."""


class Sockets:
    """What a trace tells: families of sockets that anyone opened, and those that the image's processes opened."""

    def __init__(self, trace: Path) -> None:
        lines = trace.read_text(encoding="utf-8", errors="replace").splitlines()
        self.inside: set[str] = set()
        self.opened: list[str] = []
        self.opened_inside: list[str] = []
        for pid, call in self._whole(lines):
            if call.startswith(PROGRAMS):
                self.inside.add(pid)
            elif call.startswith(("clone", "fork", "vfork")) and pid in self.inside:
                # "= 7 /* 20684 in strace's PID NS */", or the bare number outside a namespace
                child = re.search(r"= (\d+)(?: /\* (\d+) in strace's PID NS \*/)?$", call)
                if child:
                    self.inside.add(child[2] or child[1])
            elif call.startswith("socket("):
                family = call.removeprefix("socket(").partition(",")[0]
                if re.search(r"= \d+$", call):
                    self.opened.append(family)
                    self.opened_inside += [family] if pid in self.inside else []

    @staticmethod
    def _whole(lines: list[str]) -> list[tuple[str, str]]:
        """Calls in the order of their beginnings: a new process can be seen at work before its parent's call ends."""
        calls, begun = [], {}
        for number, line in enumerate(lines):
            pid, _, rest = line.partition(" ")
            rest = rest.strip()
            if rest.endswith("<unfinished ...>"):
                begun[pid] = (number, rest.removesuffix("<unfinished ...>"))
            elif (resumed := re.fullmatch(r"<\.\.\. \w+ resumed>(.*)", rest)) and pid in begun:
                first, beginning = begun.pop(pid)
                calls.append((first, pid, beginning + resumed[1]))
            else:
                calls.append((number, pid, rest))
        return [(pid, call) for _, pid, call in sorted(calls)]


def sockets_of(hospital: Hospital, strace: list[str], *words: str) -> Sockets:
    """What the image's processes opened in a command of the script that ended well."""
    environment = hospital.environment | {"MLB_ENGINE": shlex.join(strace)}
    command = ["sh", SCRIPT, *words]
    done = subprocess.run(command, cwd=hospital.folder, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    seen = Sockets(hospital.base / "trace")
    print(f"\nstrace: {len(seen.inside)} processes and threads of the image opened {len(seen.opened_inside)} sockets")
    # Whoever opened it: the engine itself brings up the loopback, and talks to systemd.
    assert set(seen.opened) <= {"AF_UNIX", "AF_NETLINK"}
    return seen


@one_user
def test_strace_of_every_process_of_the_container_shows_no_network_socket(
    hospital: Hospital, strace: list[str]
) -> None:
    seen = sockets_of(hospital, strace, "demo", "--out", "demo")
    assert len(seen.inside) > 10
    assert set(seen.opened_inside) == {"AF_UNIX"}


@one_user
def test_strace_of_the_judges_engines_shows_no_socket_at_all(hospital: Hospital, strace: list[str]) -> None:
    put_annotations(hospital.folder / "set.jsonl")
    seen = sockets_of(hospital, strace, "judge", "calibrate", "--set", "set.jsonl")
    assert len(seen.inside) > 1  # the process, and threads of the engines
    assert seen.opened_inside == []


@one_user
def test_strace_would_show_network_sockets_of_threads_and_children(hospital: Hospital, strace: list[str]) -> None:
    attempt = """
import os, socket, threading
thread = threading.Thread(target=socket.socket, args=(socket.AF_INET, socket.SOCK_STREAM))
thread.start()
thread.join()
child = os.fork()
if child == 0:
    thread = threading.Thread(target=socket.socket, args=(socket.AF_INET6, socket.SOCK_DGRAM))
    thread.start()
    thread.join()
    os._exit(0)
os.waitpid(child, 0)
"""
    python = ("--entrypoint", "/opt/mlb-offline/venv/bin/python", hospital.image, "-c", attempt)
    command = [*strace, "run", "--rm", *hospital.flags, *LOCKED, "--user", hospital.user, *python]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert sorted(Sockets(hospital.base / "trace").opened_inside) == ["AF_INET", "AF_INET6"]
