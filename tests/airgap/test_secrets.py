"""A run, watched: what it writes and where, and that no secret is in any of it."""

from __future__ import annotations

import base64
import json
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from guarded_child import MLB, Call, calls_of, traced
from run_world import choice_item, source

from mlb_offline.benchmark.catalogue import DATASETS
from mlb_offline.benchmark.items import load_item
from mlb_offline.bundle.build import build_bundle
from mlb_offline.demo.scripted import scripted_server
from mlb_offline.demo.tiny_gguf import write_tiny_gguf
from mlb_offline.trust.keys import KeyKind, load_recipient_key, load_signing_key, new_key
from mlb_offline.trust.sealing import read_private

# ASCII, so that it looks the same in a file, in an argument and in JSON that escapes everything else.
PASSPHRASE = "Passphrase-of-the-hospital-5c1e"
QUESTION = "Question-of-the-publisher-88d0"
ANSWER = "Answer-of-the-model-41fa"
API_KEY = "sk-Key-of-the-server-9b27"
MAKES = "openat,open,creat,mkdir,mkdirat,rename,renameat,renameat2,link,linkat,symlink,symlinkat,mknod,mknodat"
WATCHED = f"{MAKES},memfd_create,execve,execveat,prlimit64,setrlimit"
SHOWN = ("-v", "-y", "-s", "65535")  # whole environments, paths of descriptors, whole strings


@dataclass(frozen=True)
class Shop:
    """A sealed bundle whose hospital key has a passphrase."""

    folder: Path
    seed: bytes

    def words(self, out: Path) -> list[object]:
        keys = self.folder / "keys"
        opening = ["--bundle", self.folder / "test.mlbb", "--trust", keys / "publisher.pub.pem"]
        opening += ["--key", keys / "hospital.key.json", "--passphrase-file", self.folder / "passphrase"]
        return ["run", *opening, "--state", out / "state", "--out", out / "run"]

    def secrets(self) -> dict[str, list[bytes]]:
        """Each in the forms in which it could be written."""
        plain = {"passphrase": PASSPHRASE.encode(), "question": QUESTION.encode(), "answer": ANSWER.encode()}
        plain |= {"API key": API_KEY.encode(), "seed of the hospital's key": self.seed}
        return {
            name: [secret, secret.hex().encode(), base64.b64encode(secret)[:-4], base64.urlsafe_b64encode(secret)[:-4]]
            for name, secret in plain.items()
        }


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    folder = tmp_path_factory.mktemp("shop")
    keys = folder / "keys"
    new_key(KeyKind.PUBLISHER, keys, None)
    new_key(KeyKind.HOSPITAL, keys, PASSPHRASE)
    made = source(3, extractions=1, texts=1)
    items = tuple(
        load_item(DATASETS["CMExam"], {**choice_item(n), "question": f"{QUESTION} {n}"}, file="test") for n in range(3)
    )
    made = replace(made, datasets={**made.datasets, "CMExam": replace(made.datasets["CMExam"], items=items)})
    hospital = keys / "hospital.key.json"
    recipient = load_recipient_key(hospital, PASSPHRASE).public
    signing = load_signing_key(keys / "publisher.key.json", None)
    build_bundle(made, signing, [recipient], folder / "test.mlbb", now=datetime.now(UTC))
    for name, text in (("passphrase", PASSPHRASE), ("api-key", API_KEY)):
        (folder / name).write_text(text + "\n")
        (folder / name).chmod(0o600)
    return Shop(folder, read_private(hospital).unseal(PASSPHRASE, file=hospital))


@dataclass(frozen=True)
class Watched:
    """A run that was watched: its folder, what it said, and its calls."""

    out: Path
    said: bytes
    calls: list[Call]

    def files(self) -> list[Path]:
        return [path for path in self.out.rglob("*") if path.is_file()]


def watch(out: Path, *command: object) -> Watched:
    for name in ("home", "tmp"):
        (out / name).mkdir(parents=True)
    trace = out.with_suffix(".trace")
    fresh = {"HOME": str(out / "home"), "TMPDIR": str(out / "tmp"), "XDG_CACHE_HOME": None}
    done = traced(WATCHED, trace, *command, more=SHOWN, **fresh)
    assert done.returncode == 0, done.stderr
    return Watched(out, (done.stdout + done.stderr).encode(), calls_of(trace))


@pytest.fixture(scope="module", params=["unix", "gguf"])
def run(request: pytest.FixtureRequest, shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    folder = tmp_path_factory.mktemp("target")
    out = tmp_path_factory.mktemp(request.param) / "out"
    config = folder / "target.toml"
    if request.param == "gguf":
        model = write_tiny_gguf(folder / "tiny.gguf")
        config.write_text("max_tokens = 8\nthreads = 1\ncontext = 512\n")
        yield watch(out, *MLB, *shop.words(out), "--target", f"gguf:{model}", "--target-config", config)
        return
    (folder / "replies.json").write_text(json.dumps({"replies": {}, "default": ANSWER}))
    config.write_text(f'api_key_file = "{shop.folder / "api-key"}"\n')
    with scripted_server(folder / "replies.json", unix=folder / "s", log=folder / "log") as server:
        yield watch(out, *MLB, *shop.words(out), "--target", server.target, "--target-config", config)


_PLACE = re.compile(r'(?:AT_FDCWD|\d+)?<([^>]*)>, "((?:[^"\\]|\\.)*)"|"((?:[^"\\]|\\.)*)"')
_OPENS = {"openat", "open", "creat"}


def made(calls: list[Call]) -> set[str]:
    """Paths that were written, made, or made to stand for another file."""
    found: set[str] = set()
    for call in calls:
        if call.name in _OPENS:
            written = call.name == "creat" or re.search(r"O_CREAT|O_WRONLY|O_RDWR", call.arguments)
            opened = re.fullmatch(r"\d+<(.*)>", call.result)
            if written and opened:
                found.add(opened[1])
        elif call.name in MAKES.split(",") and call.result.startswith("0"):
            for folder, below, plain in _PLACE.findall(call.arguments):
                found.add(os.path.normpath(Path(folder or ".", below or plain)))
        elif call.name == "memfd_create":
            found.add(f"memfd:{call.arguments}")
    return found


def harmless(path: str) -> bool:
    """Devices, what the kernel keeps of this process, what Python compiles, and what measures these tests."""
    if path.startswith(("/dev/null", "/proc/", "/dev/pts/", "/dev/tty")):
        return True
    return "__pycache__" in path or Path(path).name.startswith(".coverage")


def test_nothing_is_written_but_the_run_and_the_state(run: Watched) -> None:
    paths = made(run.calls)
    allowed = (str(run.out / "run"), str(run.out / "state"))
    assert any(path.startswith(allowed[0]) for path in paths), "nothing was watched"
    assert {path for path in paths if not path.startswith(allowed) and not harmless(path)} == set()
    assert list((run.out / "home").iterdir()) == list((run.out / "tmp").iterdir()) == []


def test_no_file_holds_a_secret(run: Watched, shop: Shop) -> None:
    assert len(run.files()) >= 2
    for path in run.files():
        content = path.read_bytes()
        held = [name for name, forms in shop.secrets().items() if any(form in content for form in forms)]
        assert held == [], path


def test_no_message_holds_a_secret(run: Watched, shop: Shop) -> None:
    assert run.said
    assert [name for name, forms in shop.secrets().items() if any(form in run.said for form in forms)] == []


def started(run: Watched) -> list[Call]:
    return [call for call in run.calls if call.name.startswith("execve") and call.result.startswith("0")]


def test_no_argument_or_environment_holds_a_secret(run: Watched, shop: Shop) -> None:
    """Of the run itself, and of every process that it starts."""
    assert "HOME=" in started(run)[0].arguments, "environments were not watched"
    said = "\n".join(call.arguments for call in started(run)).encode()
    assert [name for name, forms in shop.secrets().items() if any(form in said for form in forms)] == []


def test_a_model_file_is_tried_in_a_process_of_its_own(run: Watched) -> None:
    """So that the claim above is one about children too."""
    trials = [call for call in started(run) if "mlb_offline.target.trial" in call.arguments]
    assert bool(trials) is any("gguf:" in call.arguments for call in started(run)[:1])


def test_core_dumps_are_off_before_a_secret_is_read(run: Watched, shop: Shop) -> None:
    switched = re.compile(r"RLIMIT_CORE, \{rlim_cur=0, rlim_max=0\}")
    off = [place for place, call in enumerate(run.calls) if switched.search(call.arguments)]
    secret = str(shop.folder / "passphrase")
    opened = [place for place, call in enumerate(run.calls) if call.name == "openat" and secret in call.arguments]
    assert off
    assert opened
    assert off[0] < opened[0]


LEAKY = f"""
import os, subprocess, sys, tempfile
from pathlib import Path
Path(sys.argv[1], "elsewhere").write_text("x")
Path(sys.argv[1], "elsewhere").rename(Path(sys.argv[1], "renamed"))
os.symlink("renamed", Path(sys.argv[1], "linked"))
tempfile.NamedTemporaryFile(delete=False).close()
os.close(os.memfd_create("hidden"))
subprocess.run(["true", sys.argv[2]], env={{"WORD": "{PASSPHRASE}"}}, check=True)
"""


def test_the_same_watch_sees_what_a_careless_program_does(tmp_path: Path) -> None:
    """The control: files elsewhere, in memory and under other names; secrets in arguments and environments."""
    run = watch(tmp_path / "out", sys.executable, "-c", LEAKY, tmp_path, "Argument-77")
    paths = {path for path in made(run.calls) if not harmless(path)}
    names = {path.removeprefix(f"{tmp_path}/") for path in paths}
    assert {"elsewhere", "renamed", "linked"} <= names
    assert any(name.startswith("out/tmp/") for name in names)
    assert any(name.startswith("memfd:") and "hidden" in name for name in names)
    said = started(run)[-1].arguments
    assert PASSPHRASE in said
    assert "Argument-77" in said
