"""Real public data, the whole way: imported, sealed, opened, asked of a real llama.cpp server, reported.

``MLB_REAL_ITEMS`` sets how many CMExam items are asked (default 12; the figures in the README come from 500).
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from shop import Command, Shop

from mlb_offline.bundle.source import UNNAMED_PUBLISHER
from mlb_offline.demo.llama_server import llama_server
from mlb_offline.demo.tiny_gguf import write_tiny_gguf
from mlb_offline.run.database import open_for_reading
from mlb_offline.run.rows import read_header, read_records
from mlb_offline.run.sealing import Place, Sealed, unwrap_run_key
from mlb_offline.trust.keys import load_recipient_key

REPOSITORY = Path(__file__).resolve().parents[2]
REAL_ITEMS = int(os.environ.get("MLB_REAL_ITEMS", "12"))


def seal(mlb: Command, shop: Shop, source: Path, out: Path) -> dict[str, object]:
    """Build a bundle by the command line and verify all of it with the hospital's key."""
    words = ["--sign-key", shop.keys / "publisher.key.json", "--recipient", shop.keys / "hospital.recipient.json"]
    unnamed = mlb("bundle", "build", source, *words, "--out", out)
    assert (unnamed.code, out.exists()) == (3, False)
    assert "publisher" in unnamed.err
    toml = source / "bundle.toml"
    toml.write_text(toml.read_text("utf-8").replace(UNNAMED_PUBLISHER, "The tests"), "utf-8")
    built = mlb("bundle", "build", source, *words, "--out", out)
    assert built.code == 0, built.err
    verified = mlb("bundle", "verify", out, "--trust", shop.trust, "--key", shop.keys / "hospital.key.json", "--json")
    assert verified.code == 0, verified.err
    assert verified.result["unproved"] in ([], ["no-rollback"])
    return verified.result["manifest"]["core"]


def answers(run: Path, shop: Shop) -> dict[tuple[str, str, int], str]:
    """The decrypted text of every answer of a run."""
    db = open_for_reading(run)
    key = unwrap_run_key(read_header(db), load_recipient_key(shop.keys / "hospital.key.json", None), run)
    texts = {}
    for row in read_records(db):
        plain = key.open(Place(*row.slot, row.kind, row.attempt), Sealed(row.nonce, row.ciphertext))
        texts[tuple(row.slot)] = json.loads(plain)["content"]["text"]
    db.close()
    return texts


def test_cmexam_gives_the_same_answers_over_a_unix_socket_and_over_tcp(
    mlb: Command, shop: Shop, state: list[object], tmp_path: Path, shared_data: Path
) -> None:
    source = tmp_path / "src"
    cmexam = ["bundle", "import", "cmexam", shared_data / "cmexam" / "val.xlsx", "--out", source, "--json"]
    assert mlb(*cmexam).code == 3, "a part must not be built silently"
    assert not source.exists()
    imported = mlb(*cmexam, "--accept-refusals")
    assert imported.code == 0, imported.err
    assert imported.result["read"] >= 0.99 * 6811
    bundle = tmp_path / "cmexam.mlbb"
    core = seal(mlb, shop, source, bundle)
    assert core["datasets"][0]["items"] == imported.result["read"]

    opening = ["--bundle", bundle, "--trust", shop.trust, "--key", shop.keys / "hospital.key.json", *state]
    config = tmp_path / "target.toml"
    config.write_text("max_tokens = 16\ntimeout_s = 300\n")
    model = write_tiny_gguf(tmp_path / "tiny.gguf")
    found = []
    for name, socket in (("unix", tmp_path / "s"), ("tcp", None)):
        with llama_server(model, unix=socket, log=tmp_path / f"{name}.log") as server:
            words = ["--target", server.target, "--target-config", config, "--limit", REAL_ITEMS]
            done = mlb("run", *opening, *words, "--out", tmp_path / name)
            assert done.code == 0, done.err
        found.append(answers(tmp_path / name, shop))
    assert len(found[0]) == REAL_ITEMS
    assert found[0] == found[1]
    assert len(set(found[0].values())) > 1, "answers that are all alike prove nothing"


def test_cehrner_is_an_extraction_set_whose_reference_answers_score_one(
    mlb: Command, shop: Shop, state: list[object], tmp_path: Path, shared_data: Path
) -> None:
    source = tmp_path / "src"
    mapping = REPOSITORY / "bundles" / "mappings" / "cehrner-cmeee.toml"
    table = ["bundle", "import", "table", shared_data / "cehrner" / "test.json", "--mapping", mapping]
    imported = mlb(*table, "--out", source, "--accept-refusals", "--json")
    assert imported.code == 0, imported.err
    bundle = tmp_path / "cehrner.mlbb"
    core = seal(mlb, shop, source, bundle)
    assert core["datasets"][0]["metric"] == "micro-f1"

    replies = tmp_path / "answers.jsonl"
    with replies.open("w", encoding="utf-8") as file:
        for line in (source / "CMeEE.jsonl").read_text(encoding="utf-8").splitlines():
            item = json.loads(line)
            answer = {"dataset": "CMeEE", "id": item["id"], "response": json.dumps(item["answer"], ensure_ascii=False)}
            file.write(json.dumps(answer, ensure_ascii=False) + "\n")
    opening = ["--bundle", bundle, "--trust", shop.trust, "--key", shop.keys / "hospital.key.json", *state]
    done = mlb("run", *opening, "--target", f"answers:{replies}", "--out", tmp_path / "run")
    assert done.code == 0, done.err
    report = tmp_path / "report.html"
    assert mlb("report", "build", tmp_path / "run", *shop.signing, "--out", report).code == 0
    data = mlb("verify", report, "--trust", shop.trust, "--json").result["data"]
    [figure] = [score["figure"] for score in data["findings"]["datasets"] if score["id"] == "CMeEE"]
    assert figure["value"] == 1.0
    assert figure["low"] < 1.0, "zero variance must not give zero width"
    assert {reason["code"] for reason in data["findings"]["indicative"]} == {"answers-file"}


def test_the_official_files_import_seal_and_render(mlb: Command, shop: Shop, tmp_path: Path, shared_data: Path) -> None:
    source = tmp_path / "src"
    official = [shared_data / "mlb_official", "--out", source, "--json"]
    imported = mlb("bundle", "import", "mlb", *official)
    assert imported.code == 0, imported.err
    core = seal(mlb, shop, source, tmp_path / "mlb.mlbb")
    assert len(core["datasets"]) == 22
