"""``judge train``: both small judges side by side, each in a process of its own, or one large base."""

from __future__ import annotations

import json
import multiprocessing
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from queue import Empty
from typing import Any

from mlb_offline.errors import InternalError, InterruptedRunError, MlbError, UsageError
from mlb_offline.language import Language, current, set_language, tr

Progress = Callable[[str, int, int, float], None]
NEEDED = ("torch", "onnx", "onnxscript", "onnxruntime", "gguf", "transformers", "peft", "accelerate", "sklearn")


@dataclass(frozen=True)
class Job:
    """What to train: configuration, sources, output, and which of the judges ``a`` and ``b``."""

    config: Path
    corpora: Path | None
    material: Path
    out: Path
    names: tuple[str, ...]

    def sources(self) -> tuple[Path, Path]:
        """Folders of the corpora and of the material.

        Raises:
            UsageError: no corpora are named.
        """
        if self.corpora is None:
            raise UsageError(
                tr("缺少训练语料", "the corpora to train on are missing"),
                field="--corpora",
                remedy=tr(
                    "给出语料文件夹；微调大模型请用 --base", "give their folder; to fine-tune a large base use --base"
                ),
            )
        return self.corpora, self.material


@dataclass(frozen=True)
class Large:
    """A large base to fine-tune: recipe, checkpoint folder, annotations to train and to measure on, output."""

    config: Path
    base: Path
    train: tuple[Path, ...]
    development: tuple[Path, ...]
    out: Path


def names_of(given: Sequence[str] | None) -> tuple[str, ...]:
    """The judges to train, ``a`` and ``b`` by default.

    Raises:
        UsageError: another is named.
    """
    names = tuple(dict.fromkeys(name.lower() for name in given or ("a", "b")))
    if set(names) - {"a", "b"}:
        raise UsageError(
            tr(f"没有裁判 {', '.join(names)}", f"there is no judge {', '.join(names)}"),
            field="--judge",
            remedy=tr("只能是 a 或 b", "it must be a or b"),
        )
    return names


def refuse_unused(options: Mapping[str, object], *, base_given: bool) -> None:
    """Refuse options that would be ignored.

    Raises:
        UsageError: one of them is given.
    """
    given = [name for name, value in options.items() if value]
    if given:
        with_or_without = ("with", "与") if base_given else ("without", "无")
        raise UsageError(
            tr(
                f"{', '.join(given)} 在{with_or_without[1]} --base 时没有意义",
                f"{', '.join(given)} has no meaning {with_or_without[0]} --base",
            ),
            field=given[0],
            remedy=tr("去掉该选项", "leave the option out"),
        )


def train_large(job: Large, progress: Progress) -> dict[str, Any]:
    """Fine-tune a large base; goes on where an earlier call was stopped.

    Raises:
        UsageError: the train extra is not installed, or no annotations are named.
        InputError: as ``large.command.run_large``.
    """
    require_extra()
    if not job.train or not job.development:
        raise UsageError(
            tr("缺少训练或评测用标注", "annotations to train on or to measure on are missing"),
            field="--annotations" if not job.train else "--development",
            remedy=tr("两者都要给出，且文件不同", "give both, in different files"),
        )
    from mlb_offline.judge.training.large.command import run_large

    resume = (job.out / "checkpoint.pt").is_file()
    lists = (list(job.train), list(job.development))
    return run_large(job.config, job.base, *lists, job.out, resume, lambda *what: progress("large", *what))


def configuration(name: str) -> Path:
    """The file of a configuration: a path, or the name of one that is shipped (``cpu``, ``gpu``, ``large``).

    Raises:
        UsageError: there is none.
    """
    if name.endswith(".toml"):
        return Path(name)
    folder = Path(str(files("mlb_offline.judge.training").joinpath("configs")))
    known = sorted(file.stem for file in folder.glob("*.toml"))
    if name not in known:
        raise UsageError(
            tr(f"没有名为 {name} 的训练配置", f"there is no training configuration called {name}"),
            field="--config",
            remedy=tr(
                f"可用：{', '.join(known)}，或一个 .toml 文件", f"known: {', '.join(known)}, or give a .toml file"
            ),
        )
    return folder / f"{name}.toml"


def require_extra() -> None:
    """Refuse to start where the packages of training are not installed.

    Raises:
        UsageError: they are not.
    """
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise UsageError(
            tr(
                f"未安装 train 扩展（缺少 {', '.join(missing)}）",
                f"the train extra is not installed (no {', '.join(missing)})",
            ),
            remedy=tr("运行 make train-setup", "run make train-setup"),
        )


def train_small(job: Job, progress: Progress) -> dict[str, Any]:
    """Train, export and calibrate; goes on where an earlier call with the same input was stopped.

    Returns:
        What ``finish`` tells of each judge.

    Raises:
        InputError: a file is missing, faulty or cannot be written.
        InterruptedRunError: the operator stopped it.
    """
    require_extra()
    sources = job.sources()
    from mlb_offline.judge.training.config import load_config
    from mlb_offline.judge.training.stages import Sources, keep_vocabulary, prepare

    config = load_config(job.config)  # here as well, so that a fault is told before any process is started
    _require_device(config.device)
    keep_vocabulary(job.out, prepare(Sources(*sources)))
    context = multiprocessing.get_context("spawn")
    told: Any = context.Queue()
    workers = {
        name: context.Process(target=_work, args=(job, name, current(), told), daemon=True) for name in job.names
    }
    for worker in workers.values():
        worker.start()
    try:
        return _follow(workers, told, progress)
    except KeyboardInterrupt:
        raise InterruptedRunError(
            tr("训练已停止；检查点已保存", "training was stopped; its checkpoints are kept"),
            remedy=tr("以同一命令继续", "give the same command to go on"),
        ) from None
    finally:
        for worker in workers.values():
            worker.terminate()
            worker.join()


def _require_device(device: str) -> None:
    import torch

    if device == "cuda" and not torch.cuda.is_available():
        raise UsageError(
            tr("本机没有可用的 GPU（CUDA）", "this machine has no GPU that can be used (CUDA)"),
            field="device",
            remedy=tr("改用 --config cpu", "use --config cpu"),
        )


def _follow(workers: Mapping[str, Any], told: Any, progress: Progress) -> dict[str, Any]:
    done: dict[str, Any] = {}
    while len(done) < len(workers):
        try:
            kind, name, what = told.get(timeout=1.0)
        except Empty:
            dead = [name for name, worker in workers.items() if name not in done and not worker.is_alive()]
            if dead and told.empty():
                raise InternalError(
                    tr(f"训练进程 {dead[0]} 意外结束", f"the process that trains {dead[0]} has died"),
                    remedy=tr("检查内存后以同一命令继续", "check the memory, then give the same command to go on"),
                ) from None
            continue
        if kind == "progress":
            progress(*what)
        elif kind == "error":
            raise what
        else:
            done[name] = what
    return done


def _work(job: Job, name: Any, language: Language, told: Any) -> None:
    set_language(language)
    parent = multiprocessing.parent_process()

    def progress(*what: Any) -> None:
        if parent is not None and not parent.is_alive():
            raise SystemExit  # it was killed: nobody is left to stop this process
        told.put(("progress", name, what))

    try:
        told.put(("done", name, _trained(job, name, progress)))
    except KeyboardInterrupt:
        return
    except MlbError as error:
        told.put(("error", name, _portable(error)))
    except Exception:  # noqa: BLE001 - the parent raises it as a fault of the program
        told.put(("error", name, InternalError(traceback.format_exc(limit=-3))))


def _portable(error: MlbError) -> MlbError:
    error.__cause__ = error.__context__ = None
    return error


def _trained(job: Job, name: Any, progress: Progress) -> dict[str, Any]:
    import torch

    from mlb_offline.judge.training.config import load_config
    from mlb_offline.judge.training.finish import finish
    from mlb_offline.judge.training.stages import Sources, prepare, train_judge

    config = load_config(job.config)
    torch.set_num_threads(config.threads)
    prepared = prepare(Sources(*job.sources()))
    train_judge(name, config, prepared, job.out, progress)
    return finish(name, config, prepared, job.out)


def as_text(result: Mapping[str, Any]) -> Sequence[str]:
    """The result for a person: file, quantisation, and accuracy on the development side."""
    lines = []
    for name, one in sorted(result.items()) if set(result) <= {"a", "b"} else ():
        rates = ", ".join(f"{form} {rate:.3f}" for form, rate in one["development"]["accuracy"].items())
        lines.append(f"{name.upper()}: {one['file']} ({one['quantisation']}); {rates} (n = {one['development']['n']})")
    return lines or [json.dumps(dict(result), ensure_ascii=False, indent=2)]
