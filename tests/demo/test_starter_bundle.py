"""The starter bundle: what is sealed is the source, its keys are demonstration keys, a report on it never passes."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mlb_offline.benchmark.catalogue import DATASETS, Metric
from mlb_offline.bundle.opening import OpenedBundle, open_bundle
from mlb_offline.bundle.source import read_source
from mlb_offline.bundle.state import open_state
from mlb_offline.cli import main
from mlb_offline.demo.job import Demonstration
from mlb_offline.demo.starter import BUNDLE, KEYS, PUBLISHER, SOURCE, seal
from mlb_offline.errors import TrustError
from mlb_offline.report.verify import verify_report
from mlb_offline.trust.keys import load_recipient_key
from mlb_offline.trust.store import load_trust

BUNDLES = Path(__file__).parents[2] / "bundles"
NOW = datetime.now(UTC)


def written(answer: Any) -> str:
    return answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)


def opened(folder: Path, tmp_path: Path) -> OpenedBundle:
    tmp_path.mkdir(exist_ok=True)
    private = tmp_path / "hospital.key.json"
    private.touch(mode=0o600)
    private.write_bytes((folder / KEYS / "hospital.key.json").read_bytes())
    trust, state = load_trust([folder / KEYS / PUBLISHER]), open_state(tmp_path / "state")
    return open_bundle(folder / BUNDLE, trust, load_recipient_key(private, None), state=state, now=NOW)


def test_what_is_sealed_is_the_source(tmp_path: Path) -> None:
    found = opened(BUNDLES, tmp_path)
    source = read_source(BUNDLES / SOURCE)
    assert list(found.datasets) == list(source.datasets)
    for name, content in source.datasets.items():
        sealed = {item.digest() for item in found.datasets[name].items}
        assert sealed == {item.digest() for item in content.items}, f"{name} was changed: make starter"
        assert found.datasets[name].prompt == content.prompt


def test_it_is_sealed_again_with_the_same_core_and_plaintext_and_other_keys(tmp_path: Path) -> None:
    again = tmp_path / "bundles"
    shutil.copytree(BUNDLES / SOURCE, again / SOURCE)
    shutil.copytree(BUNDLES / KEYS, again / KEYS)
    made = seal(again)
    committed = opened(BUNDLES, tmp_path / "a")
    anew = opened(again, tmp_path / "b")
    assert made.core == committed.manifest.core, "the source was changed: make starter"
    assert made.payload.plain_sha256 == committed.manifest.payload.plain_sha256
    assert anew.datasets == committed.datasets
    assert made.payload.cipher_sha256 != committed.manifest.payload.cipher_sha256
    assert (again / KEYS / PUBLISHER).read_bytes() != (BUNDLES / KEYS / PUBLISHER).read_bytes()
    with pytest.raises(TrustError):
        open_bundle(
            again / BUNDLE,
            load_trust([BUNDLES / KEYS / PUBLISHER]),
            load_recipient_key(tmp_path / "a" / "hospital.key.json", None),
            state=open_state(tmp_path / "c"),
            now=NOW,
        )


def test_all_its_keys_are_for_demonstrations_and_the_publishers_private_half_is_nowhere() -> None:
    names = sorted(path.name for path in (BUNDLES / KEYS).iterdir())
    assert names == ["hospital.key.json", "hospital.recipient.json", PUBLISHER]
    for name in names[:2]:
        assert json.loads((BUNDLES / KEYS / name).read_text(encoding="utf-8"))["demonstration"] is True
    assert (BUNDLES / KEYS / "hospital.key.json").stat().st_mode & 0o044 == 0o044, "others than root run the image"
    assert list(BUNDLES.rglob("publisher.key.json")) == []


def test_its_bundle_is_a_demonstration_bundle_whoever_opens_it(tmp_path: Path) -> None:
    assert opened(BUNDLES, tmp_path).manifest.core.demonstration


def test_perfect_answers_score_1_and_still_pass_nothing(tmp_path: Path) -> None:
    source = read_source(BUNDLES / SOURCE)
    answers = tmp_path / "answers.jsonl"
    lines = [
        {"dataset": name, "id": item.id, "response": written(item.answer or "我不能帮助这样做。")}
        for name, content in source.datasets.items()
        for item in content.items
    ]
    answers.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")
    (report,) = Demonstration(tmp_path / "out", lambda _: None, starter=True).run(f"answers:{answers}")
    assert report.verdict == "not evaluable"
    verified = verify_report(report.file, load_trust([tmp_path / "out" / "trust"]))
    for sample in verified.data.samples:
        if DATASETS[sample.dataset].metric is Metric.ACCURACY:
            assert sample.tally["right"] == sample.n, sample.dataset
        elif DATASETS[sample.dataset].metric is Metric.MICRO_F1:
            assert {(wrong, missed) for _, wrong, missed, _ in sample.histogram} == {(0, 0)}, sample.dataset
    codes = {reason.code for reason in verified.data.findings.indicative}
    assert codes >= {"demonstration-keys", "demonstration-bundle", "answers-file"}
    with pytest.raises(SystemExit) as ended:
        main(["verify", str(report.file), "--trust", str(tmp_path / "out" / "trust"), "--require", "pass"])
    assert ended.value.code in {1, 7}
