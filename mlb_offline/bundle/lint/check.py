"""All rules on one source folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from mlb_offline.benchmark.catalogue import Dataset, Form
from mlb_offline.benchmark.items import Item
from mlb_offline.bundle.lint import annotations as quotes
from mlb_offline.bundle.lint import choices, items
from mlb_offline.bundle.lint.fault import RULES, Fault
from mlb_offline.bundle.lint.foreign import foreign_files, texts_of
from mlb_offline.bundle.lint.likeness import Likeness, grams
from mlb_offline.bundle.lint.personal import personal
from mlb_offline.bundle.source import BUNDLE_TOML, Source, SourceDataset, read_source
from mlb_offline.errors import InputError
from mlb_offline.language import tr

SENTENCE = 20
"""Characters of a question that could be no other's, whatever its options."""
Progress = Callable[[int, int], None]
"""What has been done, of how much."""


def lint(folder: Path, against: Sequence[Path] = (), *, progress: Progress = lambda *_: None) -> list[Fault]:
    """Every fault of a source folder, by dataset and line.

    Args:
        folder: the source folder.
        against: files or folders of other texts (JSON, JSON Lines, CSV, text, XLSX) that items must not be copied from.
        progress: told of the foreign texts read.

    Raises:
        InputError: bundle.toml, a prompt or a foreign file cannot be read. Faults of items are among those returned.
    """
    broken: list[InputError] = []
    source = read_source(folder, spare=broken.append)
    if broken:  # lines and letters mean nothing while items are missing
        return [_schema(fault) for fault in broken]
    found = [*_of_items(source), *_of_sets(source), *_of_texts(source, against, progress)]
    if source.canary is None:
        found.append(Fault("canary", "", None, "canary", tr("没有写明金丝雀标识（UUID）", "names no canary (a UUID)")))
    order = {name: place for place, name in enumerate(source.datasets)}
    return sorted(found, key=lambda one: (order.get(one.dataset, -1), one.line or 0, RULES.index(one.rule), one.field))


def _schema(fault: InputError) -> Fault:
    name = Path(fault.file or BUNDLE_TOML).stem
    return Fault("schema", name, fault.line, fault.field or "", f"{fault.message} ({fault.remedy})")


def _of_items(source: Source) -> Iterator[Fault]:
    for name, content in source.datasets.items():
        task = grams(content.prompt)
        for line, item in enumerate(content.items, start=1):
            for rule, found in _rules(source, content, item, task):
                yield from (Fault(rule, name, line, field, message) for field, message in found)


def _rules(
    source: Source, content: SourceDataset, item: Item, task: frozenset[str]
) -> Iterator[tuple[str, items.Found]]:
    dataset = content.dataset
    yield "incomplete", items.incomplete(dataset, item)
    yield "specialty", items.specialty(dataset, item)
    yield "canary", items.canary(item, source.canary)
    yield "options", items.options(dataset, item)
    yield "points", items.points(dataset, item, task)
    yield "verbatim", quotes.verbatim(dataset, item)
    yield "nested", quotes.nested(dataset, item)
    yield "values", quotes.values(dataset, item, content.prompt)
    yield "personal", personal(item)


def _of_sets(source: Source) -> Iterator[Fault]:
    for name, content in source.datasets.items():
        for rule, look in (("letters", choices.letters), ("guessable", choices.guessable)):
            for message in look(content.dataset, content.items):
                yield Fault(rule, name, None, "answer", message)


def _of_texts(source: Source, against: Sequence[Path], progress: Progress) -> Iterator[Fault]:
    every = [
        (name, line, content.dataset, item)
        for name, content in source.datasets.items()
        for line, item in enumerate(content.items, start=1)
    ]
    whole = [_text(dataset, item) for _, _, dataset, item in every]
    for number, other, share in Likeness(whole).alike():
        (name, line, *_), (before, at, *_) = every[number], every[other]
        message = tr(f"与 {before}.jsonl 第 {at} 行相似（{share:.0%}）", f"like {before}.jsonl:{at} ({share:.0%})")
        yield Fault("alike", name, line, "question", message)
    files = foreign_files(against)
    # Question and options, and the question alone: others may keep them apart, or have other options.
    alone = [_question(item) if len(_question(item)) >= SENTENCE else "" for *_, item in every]
    both = Likeness([*whole, *alone])
    seen: set[int] = set()
    for done, file in enumerate(files):
        progress(done, len(files))
        for place, _, share in both.copied(texts_of(file)):
            number = place % len(every)
            name, line, *_ = every[number]
            if number not in seen:
                message = tr(f"{share:.0%} 的文字见于 {file.name}", f"{share:.0%} of its text stands in {file.name}")
                yield Fault("copied", name, line, "question", message)
            seen.add(number)
    progress(len(files), len(files))


def _question(item: Item) -> str:
    return "\n".join([item.scenario or "", item.question])


def _text(dataset: Dataset, item: Item) -> str:
    """What makes an item this item; of the candidate lines of CHIP-CDN, which many items share, the right one."""
    shown = {Form.CHOICE: item.options, Form.TERMS: [item.answer]}.get(dataset.form, [])
    return "\n".join([_question(item), *shown])
