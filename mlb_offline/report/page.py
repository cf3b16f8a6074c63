"""From the data of a report to its page: one rendering for building and for verifying.

A page depends on nothing but its data and the files of its template version, so a verifier can render it
again and compare bytes. A published template folder is never changed; new wording is a new folder.
"""

from __future__ import annotations

import base64
import hashlib
import math
import re
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from mlb_offline.benchmark.catalogue import DATASETS, DIMENSIONS, Metric
from mlb_offline.errors import InputError
from mlb_offline.language import tr
from mlb_offline.policy.model import Policy
from mlb_offline.report import canonical
from mlb_offline.report.charts import chart
from mlb_offline.report.data import TALLY

if TYPE_CHECKING:
    import jinja2

    from mlb_offline.report.data import Identity, PolicyText, Reason, ReportData

LONGEST = 400
"""Characters of one foreign string that are shown; the data embedded in the page holds all of it."""

_ABSENT = ("unreadable", "failed", "missing")
_POSSIBLE = {
    metric.value: (
        *({Metric.ACCURACY: ("right", "wrong"), Metric.MICRO_F1: ("scored",)}.get(metric, ("judged", "unjudged"))),
        *_ABSENT,
    )
    for metric in Metric
}

# Characters that steer, hide or reorder text. Written out and frozen with template v1: the tables of unicodedata grow
# with every Python, and a page must be the same for whoever renders it again.
_HARMFUL = re.compile(
    "["
    "\x00-\x1f\x7f-\x9f\xad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u115f\u1160\u17b4\u17b5"
    "\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ud800-\uf8ff\ufdd0-\ufdef\ufe00-\ufe0f\ufeff\uffa0"
    "\ufff0-\ufffb\ufffe\uffff\U000110bd\U000110cd\U00013430-\U0001345f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    + "".join(f"{chr(plane * 0x10000 + 0xFFFE)}{chr(plane * 0x10000 + 0xFFFF)}" for plane in range(1, 14))
    + "\U000e0000-\U0010ffff]"
)


def neutral(value: object) -> object:
    """A foreign string made harmless to a reader; anything but a string unchanged.

    Control, bidirectional, invisible, private-use and surrogate characters become ``[U+XXXX]``, line breaks and tabs
    become spaces, and what exceeds ``LONGEST`` characters is cut and said to be cut. Escaping for HTML is the template
    engine's.
    """
    if not isinstance(value, str) or hasattr(value, "__html__"):
        return value
    shown = _HARMFUL.sub(_visible, value[:LONGEST])
    return shown if len(value) <= LONGEST else f"{shown}… [{len(value)} 字符 characters]"


def _visible(found: re.Match[str]) -> str:
    return " " if found[0] in "\t\n\r" else f"[U+{ord(found[0]):04X}]"


def percent(value: float) -> str:
    """A share as a percentage with one decimal."""
    return f"{100 * value:.1f}%"


def floor_percent(value: float) -> str:
    """A lower bound as a percentage, rounded down, so that a missed threshold never looks reached."""
    return f"{math.floor(round(1000 * value, 3)) / 10:.1f}%"


def threshold(value: float) -> str:
    """A threshold as a percentage, exactly as the policy has it."""
    digits = f"{100 * value:.8f}".rstrip("0")
    return f"{digits}0%" if digits.endswith(".") else f"{digits}%"


def instant(value: str) -> str:
    """An RFC 3339 instant of UTC without fractions: ``2026-01-31 09:30:00 UTC``."""
    return value[:19].replace("T", " ") + " UTC"


def flat(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """The leaves of a JSON value as (dotted path, text), in the order of their keys."""
    if isinstance(value, Mapping):
        for key in sorted(value):
            yield from flat(value[key], f"{path}.{key}" if path else str(key))
    elif isinstance(value, list) and any(isinstance(entry, Mapping) for entry in value):
        for number, entry in enumerate(value, start=1):
            yield from flat(entry, f"{path}.{number}")
    elif isinstance(value, str):
        yield path, value
    else:
        yield path, canonical.dump(value).decode("utf-8")


@cache
def _file(version: str, name: str) -> str:
    return resources.files(__package__).joinpath("templates", version, name).read_text(encoding="utf-8")


@cache
def wording(version: str) -> Mapping[str, Mapping[str, Mapping[str, str]]]:
    """Section → code → language → text of a template version."""
    words: dict[str, dict[str, dict[str, str]]] = tomllib.loads(_file(version, "wording.toml"))
    return words


def say(version: str, section: str, reason: Reason) -> dict[str, str]:
    """A reason in both languages.

    Raises:
        InputError: the template version has no words for the code, or a parameter is missing.
    """
    words = wording(version)
    try:
        return {
            language: text.format_map(
                {key: _param(words, key, value, language) for key, value in reason.params.items()}
            )
            for language, text in words[section][reason.code].items()
        }
    except KeyError as error:
        raise InputError(
            tr(f"报告模板 {version} 没有“{reason.code}”的文字", f"template {version} has no words for {reason.code!r}"),
            field=f"{section}.{reason.code}: {error}",
            remedy=tr("使用与该运行同版本的程序", "use the program version that made the run"),
        ) from None


def _param(words: Mapping[str, Mapping[str, Mapping[str, str]]], key: str, value: object, language: str) -> object:
    if key == "why":
        return words["critical_why"][str(value)][language]
    if key == "bound" and isinstance(value, (int, float)):
        return floor_percent(value)
    if key == "min" and isinstance(value, (int, float)):
        return threshold(value)
    return neutral(value)


@cache
def _environment(version: str) -> jinja2.Environment:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: _file(version, name)),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=neutral,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(
        percent=percent,
        threshold=threshold,
        floor_percent=floor_percent,
        instant=instant,
        flat=lambda value: list(flat(value)),
    )
    return environment


def render(data: ReportData, embedded: str) -> bytes:
    """The page, from its first byte to the last one before the trailer.

    Args:
        data: the document.
        embedded: the same document as it stands, or is to stand, in the page (``data.embed``).

    Raises:
        InputError: a code without wording.
    """
    import jinja2
    from markupsafe import Markup

    version = data.template
    style = _file(version, "report.css")
    digest = base64.b64encode(hashlib.sha256(style.encode("utf-8")).digest()).decode("ascii")
    template = _environment(version).get_template("report.html.j2")
    names = dict(
        data=data,
        embedded=Markup(embedded),  # noqa: S704 - base64 that ``extract`` or ``embed`` has checked or made
        style=Markup(style),  # noqa: S704 - our own file
        style_hash=digest,
        words=wording(version),
        say=lambda section, reason: say(version, section, reason),
        catalogue=DATASETS,
        samples={sample.dataset: sample for sample in data.samples},
        chart=chart(data),
        **_views(data),
    )
    try:
        return template.render(names).encode("utf-8")
    except jinja2.TemplateError as error:
        raise InputError(
            tr(f"报告模板 {version} 无法表示该内容：{error}", f"template {version} cannot show this content: {error}"),
            remedy=tr("使用与该运行同版本的程序", "use the program version that made the run"),
        ) from None


def _views(data: ReportData) -> dict[str, Any]:
    return {
        "totals": {key: sum(sample.tally[key] for sample in data.samples) for key in TALLY},
        "tally_keys": TALLY,
        "judged": [sample for sample in data.samples if DATASETS[sample.dataset].metric.judged],
        "aside": [sample for sample in data.samples if sample.aside.get("any")],
        "audits": [sample for sample in data.samples if sample.audit is not None],
        "spans": any(score.figure is not None and score.figure.most is not None for score in data.findings.datasets),
        "possible": _POSSIBLE,
        "model_name": _model_name(data.run.identity),
        "caps": {name: cap for gate in data.findings.gates for name, cap in sorted(gate.size_caps.items())},
        "weights": _weights(data.policy),
    }


def _weights(policy: PolicyText) -> list[tuple[str, str, float]]:
    """Shares in means as (mean, part, share), of those means only whose parts do not weigh the same."""
    weighting = Policy.from_json(policy.model_dump(mode="json")).weighting
    means: dict[str, dict[str, float]] = {"overall": {name: weighting.dimensions.get(name, 1.0) for name in DIMENSIONS}}
    for name, dataset in DATASETS.items():
        means.setdefault(dataset.dimension, {})[name] = weighting.datasets.get(name, 1.0)
    return [
        (mean, part, weight / sum(parts.values()))
        for mean, parts in means.items()
        for part, weight in parts.items()
        if len(set(parts.values())) > 1
    ]


def _model_name(identity: Identity) -> str:
    declared = identity.declaration.get("model")
    offered = identity.target.get("model")
    return declared or (offered if isinstance(offered, str) and offered else "—")
