"""``python -m mlb_offline.judge.training.release``: measure finished judges once, and publish them.

Reads the output folder of ``judge train``; measures both judges and four baselines on the sets that no training saw;
writes into the models' folder the two model files, ``measured.json`` (all figures), a card for each judge, and the
signed ``MANIFEST.json``.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import compress
from pathlib import Path
from typing import Any

from mlb_offline import __version__
from mlb_offline.airgap.guard import install
from mlb_offline.airgap.modes import Mode
from mlb_offline.errors import InputError, MlbError
from mlb_offline.judge.annotation import Criterion, read_annotations
from mlb_offline.judge.calibrated import Calibrated
from mlb_offline.judge.lexicon import Lexicon, embedded_sha256
from mlb_offline.judge.manifest import Manifest, check_judge, open_manifest, write_manifest
from mlb_offline.judge.rendering import VERSION
from mlb_offline.judge.training import card as cards
from mlb_offline.judge.training.baselines import BigramOverlap, ConceptOverlap, Majority, TfidfRegression
from mlb_offline.judge.training.command import configuration
from mlb_offline.judge.training.config import TrainingConfig, load_config
from mlb_offline.judge.training.corpora import SOURCES
from mlb_offline.judge.training.digest import sha256_of
from mlb_offline.judge.training.fidelity import fidelity
from mlb_offline.judge.training.generator import Generator
from mlb_offline.judge.training.measure import Judge, measure, reliability_svg
from mlb_offline.judge.training.outside import gaps_pairs, kqa_pairs, physician_kappa, read_gaps_labels
from mlb_offline.judge.training.stages import Prepared, Sources, prepare
from mlb_offline.judge.training.writing import make_folder, unwritable
from mlb_offline.judge.wording import plain
from mlb_offline.language import tr
from mlb_offline.trust.keys import KeyKind, load_signing_key
from mlb_offline.trust.signing import SigningKey
from mlb_offline.trust.store import TrustSet

A, B = "judge A", "judge B"
BASELINE_ANSWERS = 600
"""Answers put together from groups that baselines learn from, beside all the cases."""
FIDELITY = 200
OWN = "Written for this project by a language model, no physician reviewed it (models/src, mlb_offline/judge/terms)"
MEASURED = "measured.json"


@dataclass(frozen=True)
class Release:
    """Where everything is: training configuration and output, corpora, material, test sets, public data, the models'
    folder; the machine in words; the speed that ``bench.judge_speed`` measured."""

    config: Path
    trained: Path
    corpora: Path
    material: Path
    tests: Path
    public: Path
    models: Path
    machine: str
    speed: Path | None


def read_sets(tests: Path, public: Path) -> tuple[dict[str, Sequence[Criterion]], dict[str, Any]]:
    """The measured sets by name, and what is to be told of them beside.

    Raises:
        InputError: a file is missing or faulty.
    """
    sets: dict[str, Sequence[Criterion]] = {
        name: read_annotations(tests / f"{name}.jsonl") for name in ("natural", "hard")
    }
    file, labels = public / "gaps" / "GAPS-NSCLC-preview.xlsx", tests / "gaps_labels.jsonl"
    sets["gaps"] = gaps_pairs(file, labels)
    sure = [not one.doubt for one in read_gaps_labels(labels)]
    sets["gaps without doubtful labels"] = list(compress(sets["gaps"], sure))
    pairs = kqa_pairs(public / "kqa" / "NLI_medical_annotator.csv")
    sets["kqa"] = [one.criterion for one in pairs]
    kappas = [
        {"physicians": [one.first, one.second], "kappa": None if one.kappa is None else one.kappa.value}
        for one in physician_kappa(pairs)
    ]
    return sets, {"physicians": kappas}


def open_judges(folder: Path, lexicon: Lexicon) -> dict[str, Calibrated]:
    """Both judges of a finished training, calibrated.

    Raises:
        InputError: a file is missing or cannot be loaded.
    """
    from mlb_offline.judge.llama_judge import LlamaJudge
    from mlb_offline.judge.onnx_judge import OnnxJudge

    told = {name: read_told(folder, name) for name in ("a", "b")}
    opened: dict[str, LlamaJudge | OnnxJudge] = {
        A: LlamaJudge(folder / told["a"]["file"], lexicon),
        B: OnnxJudge(folder / told["b"]["file"], lexicon),
    }
    return {
        name: Calibrated(
            judge,
            {family: (one["scale"], one["shift"]) for family, one in told[name[-1].lower()]["calibration"].items()},
        )
        for name, judge in opened.items()
    }


def read_told(folder: Path, name: str) -> dict[str, Any]:
    """What ``finish`` wrote of a judge.

    Raises:
        InputError: the training is not finished.
    """
    file = folder / f"{name}.json"
    try:
        told: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"the training is not finished: {error}", file=file, remedy="run mlb-offline judge train to its end"
        ) from None
    return told


def fitted_baselines(prepared: Prepared, config: TrainingConfig) -> dict[str, Judge]:
    """Baselines that learnt from the judges' own training side."""
    lexicon = prepared.reader.lexicon
    weights = {"groups": 1.0} if prepared.train.groups else {"cases": 1.0}
    made = Generator(prepared.train, (), lexicon, weights, config.a.seed).batch(0, BASELINE_ANSWERS)
    learnt = [*prepared.train.criteria, *made]

    def concepts(text: str) -> set[str]:
        return {str(span.concept) for span in lexicon.spans(plain(text))}

    baselines: dict[str, Any] = {
        "majority": Majority(),
        "bigram overlap": BigramOverlap(),
        "overlap with aliases": ConceptOverlap(concepts),
        "TF-IDF + logistic regression": TfidfRegression(),
    }
    for one in baselines.values():
        one.fit(learnt)
    return baselines


def measured(release: Release, config: TrainingConfig, prepared: Prepared) -> dict[str, Any]:
    """All figures, as plain JSON, with the digests of what was measured and of what it was measured on."""
    sets, told = read_sets(release.tests, release.public)
    trained = {name: read_told(release.trained, name) for name in ("a", "b")}
    files = [release.trained / one["file"] for one in trained.values()]
    files += [release.tests / name for name in ("natural.jsonl", "hard.jsonl", "gaps_labels.jsonl")]
    digests = {file.name: sha256_of(file) for file in files}
    lexicon = prepared.reader.lexicon
    judges: dict[str, Judge] = {**fitted_baselines(prepared, config), **open_judges(release.trained, lexicon)}
    document = measure(judges, sets)
    some = [*sets["natural"], *sets["hard"]]
    some = some[:: max(1, len(some) // FIDELITY)][:FIDELITY]
    document["fidelity"] = fidelity(config, prepared, release.trained, some)
    document["speed"] = None if release.speed is None else json.loads(release.speed.read_text(encoding="utf-8"))
    return document | told | {"training": trained, "sha256": digests}


def _figures(document: Mapping[str, Any], judge: str) -> dict[str, Any]:
    found = {}
    for name, one in document["sets"].items():
        overall = one["judges"][judge]["overall"]
        value = {key: None if overall[key] is None else overall[key]["value"] for key in ("accuracy", "f1", "kappa")}
        found[name] = {"n": overall["n"], **value, "auc": overall["auc"]}
    return found


def manifest_of(release: Release, config: TrainingConfig, document: Mapping[str, Any]) -> Manifest:
    """The list of both judges."""
    return Manifest.model_validate(
        {
            "format": "mlb-offline/judges/v1",
            "created": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "judges": [_entry(release, config, document, name) for name in ("a", "b")],
            "files": [],
        }
    )


def _entry(release: Release, config: TrainingConfig, document: Mapping[str, Any], name: str) -> dict[str, Any]:
    told = document["training"][name]
    file = release.trained / told["file"]
    form, architecture = ("gguf", "llama (decoder)") if name == "a" else ("onnx", "aligner (dilated convolutions)")
    public = [
        {
            "name": f"{source.file}, SHA-256 {sha256_of(release.corpora / source.file)}",
            "licence": source.licence,
            "use": "first stage and edited passages",
        }
        for source in SOURCES
        if (release.corpora / source.file).is_file()
    ]
    own = {"name": OWN, "licence": "Apache-2.0", "use": "verdicts"}
    return {
        "name": f"mlb-judge-{name}",
        "role": name.upper(),
        "file": file.name,
        "format": form,
        "size": file.stat().st_size,
        "sha256": sha256_of(file),
        "architecture": architecture,
        "quantisation": told["quantisation"],
        "parameters": told["parameters"],
        "prompt": {"name": VERSION, "version": 1, "sha256": embedded_sha256()},
        "calibration": told["calibration"],
        "data": [own, *public],
        "config": json.loads(config.model_dump_json()),
        "seed": (config.a if name == "a" else config.b).seed,
        "trained_on": release.machine,
        "tool_version": __version__,
        "figures": _figures(document, A if name == "a" else B),
        "limits": [*LIMITS, *_outside(document, A if name == "a" else B)],
    }


def _outside(document: Mapping[str, Any], judge: str) -> list[str]:
    """Sentences on sets of others, from what was measured."""
    told = []
    for name, what in (("gaps", "On real answers of large models (GAPS)"), ("kqa", "On English (K-QA)")):
        kappa = document["sets"][name]["judges"][judge]["overall"]["kappa"]
        if kappa is not None:
            worth = "no better than chance" if kappa["low"] <= 0.0 else "hardly better than chance"
            low, high = kappa["low"], kappa["high"]
            if kappa["value"] < FAIR:
                told.append(
                    f"{what} it is {worth}: κ {kappa['value']:.2f} [{low:.2f}, {high:.2f}]; do not use it there."
                )
    return told


FAIR = 0.2
"""Kappa below which agreement is not even called fair (Landis and Koch 1977)."""

LIMITS = (
    "Small model trained from scratch: its verdicts are indicative, and never replace a physician's.",
    "Training data and test sets were written by a language model; no physician has reviewed either.",
    "Of a point at most 72 characters are read, of its topic 12, of an answer 4,000; of a safety or ethics answer"
    " judge A reads the first 320 characters and the last 80. The rest is not seen.",
    "What a text denies is found by rules, and overlooked where they know no such wording.",
    "Short general points (血培养) stand in training data and test sets alike; no answer and no question does.",
    "It judges by what the answer says, not by whether that is good medicine.",
)


def publish(release: Release, signing: SigningKey, *, again: bool = False) -> dict[str, Any]:
    """Measure, and write everything into the models' folder once it has been checked as a user will check it.

    Args:
        release: where everything is.
        signing: the publisher's key.
        again: measure although these very judges have been measured.

    Raises:
        InputError: a file is missing, faulty or cannot be written, or the judges have been measured.
        TrustError: the list does not verify.
    """
    config = load_config(release.config)
    prepared = prepare(Sources(release.corpora, release.material))
    _require_unmeasured(release, again=again)
    document = measured(release, config, prepared)
    manifest = manifest_of(release, config, document)
    make_folder(release.models)
    try:
        with tempfile.TemporaryDirectory(dir=release.models) as folder:
            _write(Path(folder), release, manifest, document, signing)
            for file in sorted(Path(folder).iterdir(), key=lambda file: file.name.startswith("MANIFEST")):
                file.replace(release.models / file.name)
    except OSError as error:
        raise unwritable(release.models, error) from None
    return document


def _require_unmeasured(release: Release, *, again: bool) -> None:
    file = release.models / MEASURED
    if again or not file.is_file():
        return
    known = json.loads(file.read_text(encoding="utf-8"))["sha256"]
    names = [read_told(release.trained, name)["file"] for name in ("a", "b")]
    if all(sha256_of(release.trained / name) == known.get(name) for name in names):
        raise InputError(
            tr("这两个裁判已实测过一次", "these judges have been measured once"),
            file=file,
            remedy=tr("确需重测时加 --again", "to measure them again all the same add --again"),
        )


def _write(
    folder: Path, release: Release, manifest: Manifest, document: Mapping[str, Any], signing: SigningKey
) -> None:
    for one in manifest.judges:
        shutil.copyfile(release.trained / one.file, folder / one.file)
        natural = document["sets"]["natural"]["judges"][f"judge {one.role}"]["overall"]
        (folder / f"{one.name}.md").write_text(cards.card(one, document), encoding="utf-8")
        (folder / f"{one.name}.svg").write_text(reliability_svg(natural["reliability"]), encoding="utf-8")
    (folder / "MEASURED.md").write_text(cards.measured(document), encoding="utf-8")
    text = json.dumps(document, ensure_ascii=False, indent=1, sort_keys=True)
    (folder / MEASURED).write_text(text + "\n", encoding="utf-8")
    write_manifest(folder / "MANIFEST.json", manifest, [signing])
    checked = open_manifest(folder, TrustSet((signing.verify_key,)))
    for one in checked.judges:
        check_judge(folder / one.file, checked)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and publish; 0, or the exit code of the error shown."""
    parser = argparse.ArgumentParser(
        prog="python -m mlb_offline.judge.training.release", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--config", default="cpu")
    parser.add_argument("--trained", type=Path, required=True, help="output folder of judge train")
    parser.add_argument("--corpora", type=Path, required=True)
    parser.add_argument("--public", type=Path, required=True, help="folder with gaps/ and kqa/")
    parser.add_argument("--material", type=Path, default=Path("models/src/criteria"))
    parser.add_argument("--tests", type=Path, default=Path("tests/data/judge"))
    parser.add_argument("--models", type=Path, default=Path("models"))
    parser.add_argument("--machine", required=True, help="what trained them, in words")
    parser.add_argument("--speed", type=Path, help="output of python -m bench.judge_speed --json")
    parser.add_argument("--sign-key", type=Path, required=True, help="publisher's private key")
    parser.add_argument("--again", action="store_true", help="measure judges that have been measured already")
    given = parser.parse_args(arguments)
    try:
        install(Mode("unix-only"))
        release = Release(
            configuration(given.config),
            given.trained,
            given.corpora,
            given.material,
            given.tests,
            given.public,
            given.models,
            given.machine,
            given.speed,
        )
        publish(release, load_signing_key(given.sign_key, None, KeyKind.PUBLISHER), again=given.again)
    except MlbError as error:
        sys.stderr.write(error.diagnostics() + "\n")
        return int(error.exit_code)
    return 0


if __name__ == "__main__":
    sys.exit(main())
