"""What is exported is what was trained: llama.cpp and onnxruntime give torch's probabilities, each time the same.

onnxruntime is loaded in a process of its own, under the guard: it must not be imported where tests run.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the train extra is not installed (make train-setup)")

import torch

from mlb_offline.errors import InputError
from mlb_offline.judge.annotation import read_annotations
from mlb_offline.judge.lexicon import embedded
from mlb_offline.judge.llama_judge import LlamaJudge
from mlb_offline.judge.training.command import Job
from mlb_offline.judge.training.config import load_config
from mlb_offline.judge.training.decoder import Decoder
from mlb_offline.judge.training.export_gguf import write_gguf
from mlb_offline.judge.training.export_onnx import quantise_onnx, write_onnx
from mlb_offline.judge.training.quantise import quantise
from mlb_offline.judge.training.stages import Prepared, Sources, new_aligner, new_decoder, prepare
from mlb_offline.judge.training.tuning import TorchJudge

TESTS = Path(__file__).parents[2] / "data" / "judge"
ONNX = """
import json, sys
from pathlib import Path
from mlb_offline.airgap.guard import install
from mlb_offline.airgap.modes import Mode
install(Mode("unix-only"))
from mlb_offline.judge.annotation import read_annotations
from mlb_offline.judge.lexicon import embedded
from mlb_offline.judge.onnx_judge import OnnxJudge
from mlb_offline.errors import InputError
criteria = read_annotations(Path(sys.argv[2]))[::9]
try:
    judge = OnnxJudge(Path(sys.argv[1]), embedded())
except InputError as error:
    print(json.dumps({"refused": error.message}))
else:
    alone = [judge.probabilities([one])[0] for one in criteria]
    print(json.dumps([judge.probabilities(criteria), judge.probabilities(criteria), alone]))
"""


def loud(model: torch.nn.Module) -> torch.nn.Module:
    """The same network with larger weights, so that its probabilities spread."""
    torch.manual_seed(5)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(3.0)
    return model.eval()


@pytest.fixture
def prepared(job: Job) -> Prepared:
    torch.set_num_threads(1)
    return prepare(Sources(*job.sources()))


def in_onnxruntime(file: Path) -> object:
    words = [sys.executable, "-c", ONNX, str(file), str(TESTS / "natural.jsonl")]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_llama_cpp_gives_torchs_probabilities_and_the_same_ones_again(
    job: Job, prepared: Prepared, tmp_path: Path
) -> None:
    model = loud(new_decoder(load_config(job.config), prepared.reader))
    assert isinstance(model, Decoder)
    criteria = read_annotations(TESTS / "natural.jsonl")[::9]
    wanted = TorchJudge(model, prepared.reader).probabilities(criteria)
    whole = write_gguf(tmp_path / "a.gguf", model, prepared.reader.vocabulary)
    judge = LlamaJudge(whole, embedded())
    assert judge.vocabulary == prepared.reader.vocabulary
    assert judge.tokenised("诊断: 2型<s>糖尿病 𠮷") == prepared.reader.vocabulary.text("诊断: 2型<s>糖尿病 𠮷")
    found = judge.probabilities(criteria)
    assert found == pytest.approx(wanted, abs=0.005)
    assert max(wanted) - min(wanted) > 0.1
    assert judge.probabilities(criteria) == found
    assert judge.probabilities(criteria[::-1]) == found[::-1]
    rare = replace(criteria[-1], question="🫀" * 200, answer="𠮷" * 500)
    assert 0.0 < judge.probabilities([rare])[0] < 1.0
    judge.close()
    quantise(whole, tmp_path / "q.gguf", "Q8_0")
    small = LlamaJudge(tmp_path / "q.gguf", embedded())
    assert small.probabilities(criteria) == pytest.approx(wanted, abs=0.1)


def test_onnxruntime_gives_torchs_probabilities_and_the_same_ones_again(
    job: Job, prepared: Prepared, tmp_path: Path
) -> None:
    model = loud(new_aligner(load_config(job.config), prepared.reader))
    criteria = read_annotations(TESTS / "natural.jsonl")[::9]
    wanted = TorchJudge(model, prepared.reader).probabilities(criteria)  # type: ignore[arg-type]
    whole = write_onnx(tmp_path / "b.onnx", model, prepared.reader.vocabulary)
    for file, tolerance in ((whole, 0.001), (quantise_onnx(whole, tmp_path / "q.onnx"), 0.1)):
        first, second, alone = in_onnxruntime(file)  # type: ignore[misc]
        assert first == pytest.approx(wanted, abs=tolerance)
        assert first == second
        assert alone == pytest.approx(first, abs=1e-5), "a verdict does not depend on the criteria beside it"
    assert max(wanted) - min(wanted) > 0.05


@pytest.mark.parametrize("damage", [b"", b"GGUF", b"GGUF" + b"\x00" * 400, b"<html>"])
def test_a_file_that_is_no_model_is_refused(tmp_path: Path, damage: bytes) -> None:
    file = tmp_path / "x.gguf"
    file.write_bytes(damage)
    with pytest.raises(InputError) as caught:
        LlamaJudge(file, embedded())
    assert caught.value.file == str(file)
    assert caught.value.remedy
    assert "refused" in in_onnxruntime(file)  # type: ignore[operator]


def test_a_chat_model_is_no_small_judge(tmp_path: Path) -> None:
    from mlb_offline.demo.tiny_gguf import write_tiny_gguf

    with pytest.raises(InputError, match="no small judge"):
        LlamaJudge(write_tiny_gguf(tmp_path / "tiny.gguf"), embedded())
