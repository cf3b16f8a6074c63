"""The tiny model is the same file every time, valid GGUF, and refused where it cannot be made."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mlb_offline.demo import tiny_gguf
from mlb_offline.demo.tiny_gguf import vocabulary, write_tiny_gguf
from mlb_offline.errors import InputError, UsageError

pytest.importorskip("gguf", reason="the demo extra is not installed")


def test_file_is_byte_identical_each_time_in_any_process(tmp_path: Path) -> None:
    first = write_tiny_gguf(tmp_path / "a.gguf").read_bytes()
    subprocess.run([sys.executable, "-m", tiny_gguf.__name__, str(tmp_path / "b.gguf")], check=True)
    assert (tmp_path / "b.gguf").read_bytes() == first
    assert 1_000_000 < len(first) < 3_000_000


def test_another_seed_makes_another_model(tmp_path: Path) -> None:
    one, other = (write_tiny_gguf(tmp_path / seed, seed=seed).read_bytes() for seed in ("1", "2"))
    assert len(one) == len(other)
    assert one != other


def test_vocabulary_is_distinct_and_spells_anything() -> None:
    texts = [text for text, _ in vocabulary()]
    assert len(set(texts)) == len(texts)
    assert {f"<0x{byte:02X}>" for byte in range(256)} <= set(texts)
    assert set("患者反复上腹痛ABCDE，。") <= set(texts)


def test_file_reads_back(tmp_path: Path) -> None:
    import gguf

    reader = gguf.GGUFReader(write_tiny_gguf(tmp_path / "a.gguf"))
    assert reader.fields["llama.context_length"].contents() == tiny_gguf.CONTEXT >= 4096
    assert reader.fields["tokenizer.chat_template"].contents()
    assert {tensor.name for tensor in reader.tensors} >= {"token_embd.weight", "output.weight"}


def test_main_writes_the_model(tmp_path: Path) -> None:
    tiny_gguf.main([str(tmp_path / "m.gguf")])
    assert (tmp_path / "m.gguf").read_bytes().startswith(b"GGUF")


def test_missing_extra_and_unwritable_path_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="cannot be written"):
        write_tiny_gguf(tmp_path / "no" / "folder.gguf")
    monkeypatch.setitem(sys.modules, "gguf", None)
    with pytest.raises(UsageError, match="demo extra"):
        write_tiny_gguf(tmp_path / "a.gguf")
