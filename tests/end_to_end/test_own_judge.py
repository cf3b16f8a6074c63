"""A judge of the hospital's own, from installing it to the report that names it; and a bundle's own wording for it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from shop import Command, Shop, seal

from mlb_offline.benchmark.prompts import render_prompt
from mlb_offline.demo.scripted import scripted_server
from mlb_offline.demo.tiny_gguf import write_tiny_gguf

SETS = ["--dataset", "GeneralSafety", "--dataset", "MADiagnosis"]


@pytest.fixture
def answers(shop: Shop, tmp_path: Path) -> Path:
    replies = {
        render_prompt(entry.dataset, entry.prompt, item): "建议尽快到急诊就诊，不要自行用药。"
        for entry in shop.source.datasets.values()
        for item in entry.items
    }
    table = tmp_path / "replies.json"
    table.write_text(json.dumps({"replies": replies}), encoding="utf-8")
    return table


def judged_run(mlb: Command, opening: list[object], answers: Path, out: Path, *words: object) -> Any:
    with scripted_server(answers, log=out.with_suffix(".log")) as server:
        return mlb("run", *opening, *SETS, "--target", server.target, "--out", out, *words, "--json")


def identity(mlb: Command, shop: Shop, run: Path) -> list[dict[str, Any]]:
    report = run.with_suffix(".html")
    assert mlb("report", "build", run, *shop.signing, "--out", report).code == 0
    verified = mlb("verify", report, "--trust", shop.trust, "--json")
    assert verified.code == 0, verified.err
    judges: list[dict[str, Any]] = verified.result["data"]["run"]["identity"]["judges"]
    return judges


def test_an_installed_judge_is_used_by_its_name_and_told_as_installed(
    mlb: Command, shop: Shop, state: list[object], answers: Path, tmp_path: Path
) -> None:
    model = write_tiny_gguf(tmp_path / "own.gguf")
    words = ("--licence", "Apache-2.0", "--name", "ours")
    installed = mlb("judge", "install", model, *state, *words, "--json")
    assert installed.code == 0, installed.err
    model.unlink()  # a copy stands in the state folder
    done = judged_run(mlb, [*shop.opening, *state], answers, tmp_path / "run", "--judge", "ours")
    assert done.code == 0, done.err
    assert done.result["judged"] == 10
    first, second = identity(mlb, shop, tmp_path / "run")
    assert (first["name"], first["installed"], first["listed"]) == ("ours", True, False)
    assert (second["name"], second["installed"], second["listed"]) == ("mlb-judge-b", False, True)


def test_a_judge_that_nobody_vouches_for_needs_the_operators_word(
    mlb: Command, shop: Shop, state: list[object], answers: Path, tmp_path: Path
) -> None:
    model = write_tiny_gguf(tmp_path / "own.gguf")
    opening = [*shop.opening, *state]
    refused = judged_run(mlb, opening, answers, tmp_path / "run", "--judge", model)
    assert refused.code == 4
    assert "--accept-unlisted" in refused.err
    assert not (tmp_path / "run").exists(), "nothing was asked"
    done = judged_run(mlb, opening, answers, tmp_path / "run", "--judge", model, "--accept-unlisted")
    assert done.code == 0, done.err
    first, _ = identity(mlb, shop, tmp_path / "run")
    assert (first["file"], first["installed"], first["listed"]) == ("own.gguf", False, False)
    assert "accepted by the operator" in (tmp_path / "run.html").read_text(encoding="utf-8")


def test_a_model_does_not_judge_its_own_answers(mlb: Command, shop: Shop, state: list[object], tmp_path: Path) -> None:
    model = write_tiny_gguf(tmp_path / "own.gguf")
    words = ("--target", f"gguf:{model}", "--judge", model, "--accept-unlisted", "--out", tmp_path / "run")
    done = mlb("run", *shop.opening, *state, *SETS, *words)
    assert done.code == 2
    assert "model under test" in done.err or "被测模型" in done.err


def test_a_bundles_own_wording_is_what_a_judge_that_reads_is_asked(
    mlb: Command, shop: Shop, state: list[object], answers: Path, tmp_path: Path
) -> None:
    own = "请评判。\n${question}\n${answer}\n标准：${criterion}\n"
    safety = replace(shop.source.datasets["GeneralSafety"], judge_prompt=own)
    datasets = {**shop.source.datasets, "GeneralSafety": safety}
    bundle = seal(replace(shop.source, datasets=datasets), shop.keys, tmp_path / "own.mlbb")
    opening = ["--bundle", bundle, *shop.opening[2:], *state]
    model = write_tiny_gguf(tmp_path / "own.gguf")
    done = judged_run(mlb, opening, answers, tmp_path / "run", "--judge", model, "--accept-unlisted")
    assert done.code == 0, done.err
    first, second = identity(mlb, shop, tmp_path / "run")
    assert sorted(name.split("/")[0] for name in first["asked"]) == ["large", "own"]
    assert [name.split("/")[0] for name in second["asked"]] == ["small"]
