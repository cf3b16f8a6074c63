"""The demonstration: what a hospital does, command by command, on items written for this project.

Every step is a real command line, shown before it is run in a process of its own: seal a bundle, run two targets
(a real llama.cpp model with random weights; a scripted server whose every answer is known), report, verify. With a
target of the hospital's own it does the same on that one. Demonstration keys are made anew and can never pass.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from mlb_offline.airgap.guard import current as current_guard
from mlb_offline.bundle.source import Source, read_source
from mlb_offline.demo.llama_server import has_extra, llama_server
from mlb_offline.demo.replies import scripted_replies
from mlb_offline.demo.scripted import scripted_server
from mlb_offline.demo.starter import BUNDLE, take_keys
from mlb_offline.demo.tiny_gguf import NAME, write_tiny_gguf
from mlb_offline.errors import Exit, InputError, MlbError, UsageError
from mlb_offline.installation import data_folder
from mlb_offline.language import current, tr
from mlb_offline.trust.keys import KeyKind, new_key

MARKER = ".mlb-offline-demo"
LLAMA, SCRIPTED, OWN = "llama-random", "scripted", "own-target"
_LLAMA_CONFIG = "max_tokens = 48\ntimeout_s = 120\n"


class StepError(MlbError):
    """A command of the demonstration did not end as it must; what it said itself went to stderr."""

    exit_code = Exit.INCOMPLETE


@dataclass(frozen=True)
class DemoReport:
    """One report of the demonstration: target, file, verdict, and whether its scores are those scripted."""

    target: str
    file: Path
    verdict: str
    scores_as_scripted: bool | None


class Demonstration:
    """One demonstration in one folder.

    Args:
        out: the folder; one left by an earlier demonstration is replaced, any other must be empty.
        say: receives each line of what happens.
        starter: use the starter bundle as it is, instead of sealing the demonstration's own items.

    Raises:
        InputError: the data beside the package is missing.
    """

    def __init__(self, out: Path, say: Callable[[str], None], *, starter: bool = False) -> None:
        self._out = out
        self._say = say
        self._starter = data_folder() / "bundles" if starter else None
        self._source = data_folder() / "bundles" / ("src/starter" if starter else "src/demo")
        self._bundle = out / "demo.mlbb" if self._starter is None else self._starter / BUNDLE
        self._keys, self._trust = out / "keys", out / "trust"

    def run(self, target: str | None = None, target_config: Path | None = None) -> list[DemoReport]:
        """Do all of it; the reports stand in ``out/<target>/report.html``.

        Args:
            target: a target spec to be evaluated instead of the demonstration's own two.
            target_config: its config file.

        Raises:
            InputError: the folder holds something else, or cannot be written.
            UsageError: there is neither the tiny model nor the package that writes it.
            StepError: a command failed; its own message went to stderr.
            TargetError: a demonstration server did not start.
        """
        if target is None and current_guard().mode.over_tcp:
            raise UsageError(
                tr(
                    "演示自己的服务器只用 Unix 套接字，不能在 TCP 防护模式下启动",
                    "the demonstration's own servers listen on Unix sockets, which a TCP mode of the guard denies",
                ),
                field="--guard",
                remedy=tr("去掉 --guard，或用 --target 给出目标", "leave out --guard, or name a --target"),
            )
        _take_folder(self._out)
        self._make_keys()
        if self._starter is None:
            sign = self._keys / "publisher.key.json"
            recipient = self._trust / "hospital.recipient.json"
            self._command(
                "bundle", "build", self._source, "--sign-key", sign, "--recipient", recipient, "--out", self._bundle
            )
        else:
            self._command("bundle", "verify", self._bundle, "--trust", self._trust)
        if target is not None:
            folder = self._folder(OWN)
            config = () if target_config is None else ("--target-config", target_config)
            self._evaluate(folder, target, *config)
            return [self._report(folder, None)]
        source = read_source(self._source)
        # A Unix socket's path may not be longer than 107 bytes: the demonstration's own folder may be.
        with tempfile.TemporaryDirectory(prefix="mlb-demo-") as sockets:
            try:
                return [self._llama(Path(sockets)), self._scripted(Path(sockets), source)]
            except KeyboardInterrupt:
                self._say(
                    tr(
                        "演示已中断，其服务器已停止；请重新运行 demo（上面的 --resume 命令不再有效）",
                        "the demonstration was stopped, its servers with it: start demo anew (nothing to --resume)",
                    )
                )
                raise

    def _make_keys(self) -> None:
        self._say(tr("生成演示密钥（仅供演示，绝不会判定通过）", "making demonstration keys (they can never pass)"))
        self._trust.mkdir()
        kinds = set(KeyKind)
        if self._starter is not None:
            take_keys(self._starter, self._keys, self._trust)
            kinds = {KeyKind.REPORT, KeyKind.REVIEWER}
        for kind in sorted(kinds):
            for file in new_key(kind, self._keys, None, demonstration=True)[1:]:
                shutil.copy(file, self._trust / file.name)

    def _llama(self, sockets: Path) -> DemoReport:
        folder = self._folder(LLAMA)
        shipped = data_folder() / "models" / f"{NAME}.gguf"
        model = shipped if shipped.is_file() else write_tiny_gguf(folder / "tiny-random.gguf")
        config = folder / "target.toml"
        config.write_text(_LLAMA_CONFIG, encoding="utf-8")
        if not has_extra():  # as in the image, which carries no server
            self._say(tr("在进程内载入 llama.cpp 模型（随机权重）", "a llama.cpp model in process (random weights)"))
            self._evaluate(folder, f"gguf:{model}", "--target-config", config)
            return self._report(folder, None)
        self._say(tr("启动 llama.cpp 服务器（随机权重）", "starting a llama.cpp server (random weights)"))
        with llama_server(model, unix=sockets / "llama.sock", log=folder / "server.log") as server:
            self._evaluate(folder, server.target, "--target-config", config)
        return self._report(folder, None)

    def _scripted(self, sockets: Path, source: Source) -> DemoReport:
        folder = self._folder(SCRIPTED)
        replies, kinds = scripted_replies(source)
        table = folder / "replies.json"
        table.write_text(json.dumps({"replies": replies}, ensure_ascii=False), encoding="utf-8")
        self._say(tr("启动脚本化服务器（答案已知）", "starting the scripted server (every answer is known)"))
        with scripted_server(table, unix=sockets / "scripted.sock", log=folder / "server.log") as server:
            self._evaluate(folder, server.target)
        return self._report(folder, kinds)

    def _folder(self, name: str) -> Path:
        folder = self._out / name
        folder.mkdir()
        return folder

    def _evaluate(self, folder: Path, target: str, *more: str | Path) -> None:
        key = self._keys / "hospital.key.json"
        opening = ("--bundle", self._bundle, "--trust", self._trust, "--key", key, "--state", self._out / "state")
        self._command("run", *opening, "--target", target, "--out", folder / "run", *more)

    def _report(self, folder: Path, scripted: Mapping[str, Counter[str]] | None) -> DemoReport:
        file = folder / "report.html"
        signing = ("--key", self._keys / "hospital.key.json", "--sign-key", self._keys / "report.key.json")
        self._command("log", "verify", folder / "run")
        self._command("report", "build", folder / "run", *signing, "--state", self._out / "state", "--out", file)
        self._command("verify", file, "--trust", self._trust)
        found = self._result("verify", file, "--trust", self._trust, "--json")
        as_scripted = None if scripted is None else _as_scripted(found, scripted)
        return DemoReport(folder.name, file, str(found["verdict"]), as_scripted)

    def _command(self, *words: str | Path) -> None:
        """Show a command and run it; what it prints goes to stderr, for stdout is for the demonstration's result."""
        self._say("$ mlb-offline " + shlex.join(str(word) for word in words))
        self._run(words, stdout=sys.stderr)

    def _result(self, *words: str | Path) -> dict[str, Any]:
        """The JSON result of a command that is not worth showing."""
        return dict(json.loads(self._run(words, stdout=subprocess.PIPE)))

    def _run(self, words: Sequence[str | Path], stdout: int | TextIO) -> str:
        options = ["--lang", current(), "--guard", current_guard().mode.value]
        command = [sys.executable, "-P", "-m", "mlb_offline", *options, *(str(word) for word in words)]
        environment = os.environ | {"PYTHONIOENCODING": "utf-8"}
        done = subprocess.run(command, stdout=stdout, check=False, env=environment, encoding="utf-8")  # noqa: S603
        if done.returncode != Exit.DONE:
            raise StepError(
                tr(f"命令以退出码 {done.returncode} 结束", f"the command ended with exit code {done.returncode}"),
                remedy=tr("见上面的消息", "see the message above"),
            )
        return done.stdout or ""


def _take_folder(out: Path) -> None:
    try:
        if (out / MARKER).is_file():
            shutil.rmtree(out)
        out.mkdir(parents=True, exist_ok=True)
        if any(out.iterdir()):
            raise InputError(
                tr(
                    "文件夹不为空，且不是先前演示留下的",
                    "the folder is not empty, and no earlier demonstration left it",
                ),
                file=out,
                remedy=tr("用 --out 指定另一个文件夹", "name another folder with --out"),
            )
        (out / MARKER).touch()
    except OSError as error:
        raise InputError(
            tr(f"无法写入：{error.strerror}", f"cannot be written: {error.strerror}"),
            file=out,
            remedy=tr("用 --out 指定可写的文件夹", "name a folder that can be written with --out"),
        ) from None


def _as_scripted(verified: Mapping[str, Any], scripted: Mapping[str, Counter[str]]) -> bool:
    """Whether the verified report counts exactly the right, wrong and unreadable answers that were scripted."""
    tallies = {sample["dataset"]: sample["tally"] for sample in verified["data"]["samples"]}
    return all(_same(tallies[name], kinds) for name, kinds in scripted.items())


def _same(tally: Mapping[str, int], kinds: Mapping[str, int]) -> bool:
    readable = tally["right"] + tally["wrong"] + tally["scored"]
    right = kinds["right"] if tally["scored"] == 0 else 0  # extraction sets count hits, not right answers
    return (
        tally["unreadable"] == kinds["unreadable"]
        and readable == kinds["right"] + kinds["wrong"]
        and tally["right"] == right
        and tally["failed"] == tally["missing"] == 0
    )
