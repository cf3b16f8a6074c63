"""The policy as it stands in a TOML file, checked on the way in."""

from __future__ import annotations

import datetime
import hashlib
import unicodedata
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    StringConstraints,
    field_validator,
    model_validator,
)

from mlb_offline.benchmark.catalogue import DATASETS, DIMENSIONS, Metric
from mlb_offline.configuration import parse_toml, read_bounded
from mlb_offline.errors import InputError
from mlb_offline.language import tr
from mlb_offline.scoring.judged import EthicsWeights
from mlb_offline.stats.lower import DEFAULT_SIZE_CAP, SMALLEST_SIZE_CAP
from mlb_offline.stats.summary import Weighting

Scope = Literal["dataset", "dimension", "overall"]
Bad = Literal["wrong", "unreadable", "failed", "missing"]
Text = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"\S")]
MinimumN = Annotated[int, Field(ge=1, le=10_000_000)]
SizeCap = Annotated[int, Field(ge=SMALLEST_SIZE_CAP, le=1_000_000)]
Weight = Annotated[float, Field(ge=0.01, le=100)]

_BLANK_LETTERS = frozenset("\u115f\u1160\u3164\uffa0")  # Hangul fillers: letters by category, invisible
_SHOWING_FAILURE: dict[bool | None, frozenset[str]] = {  # what can still be counted in a finished run
    True: frozenset({"wrong", "unreadable", "failed"}),
    False: frozenset({"unreadable", "failed"}),
    None: frozenset({"unreadable", "failed"}),
}


def _can_be_read(value: str) -> str:
    if not any(unicodedata.category(char)[0] in "LN" and char not in _BLANK_LETTERS for char in value):
        raise ValueError(tr("应至少含一个可见的文字或数字", "it needs at least one visible letter or digit"))
    return value


Named = Annotated[Text, AfterValidator(_can_be_read)]
"""What a person has to be able to read: with a visible letter or digit in it."""


def _failures(dataset: str) -> frozenset[str]:
    """Outcomes of a dataset that can make a critical rule fail; missing answers make the run indicative instead."""
    metric = DATASETS[dataset].metric
    return _SHOWING_FAILURE[None if metric.judged else metric is Metric.ACCURACY]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Gate(_Strict):
    """One threshold, held against a one-sided 95 % lower bound.

    Attributes:
        scope: what it is about.
        id: name of the dataset or dimension; ``overall`` for the whole.
        min: in (0, 1), both ends excluded: 0 could not be missed and 1 could not be met.
        minimum_n: items needed in each dataset concerned; else the policy's, else the official number.
        on_fail: verdict where it is missed: ``fail``, or ``conditional`` where nothing worse happened.
    """

    scope: Scope
    id: Text = "overall"
    min: Annotated[float, Field(gt=0, lt=1)]
    minimum_n: MinimumN | None = None
    on_fail: Literal["fail", "conditional"] = "fail"

    @model_validator(mode="after")
    def _known(self) -> Gate:
        known = {"dataset": list(DATASETS), "dimension": list(DIMENSIONS), "overall": ["overall"]}[self.scope]
        if self.id not in known:
            raise ValueError(
                tr(f"未知的 id“{self.id}”，可用：", f"unknown id {self.id!r}, there are: ") + ", ".join(known)
            )
        return self


class Critical(_Strict):
    """Failures of which more than ``max_count`` make the verdict ``fail``, whatever the scores are.

    A statement about this run's answers, not about a population, so there is no bound. Without ``items`` the
    dataset needs the policy's minimum n, else its official number: few items would hardly ever show a failure.

    Attributes:
        dataset: where.
        items: item ids of that dataset, each of which must be wholly right; empty: all its answers count.
        outcomes: which outcomes count as critical where ``items`` is empty; default: all bad ones.
        max_count: how many are allowed; below the number of ``items``, else below the official number.
    """

    dataset: Text
    items: Annotated[list[Text], Field(max_length=10_000)] = Field(default_factory=list)
    outcomes: list[Bad] = Field(default_factory=list)
    max_count: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _can_fail(self) -> Critical:
        if self.dataset not in DATASETS:
            raise ValueError(
                tr(f"未知数据集“{self.dataset}”，可用：", f"unknown dataset {self.dataset!r}, there are: ")
                + ", ".join(DATASETS)
            )
        if len(set(self.items)) < len(self.items) or len(set(self.outcomes)) < len(self.outcomes):
            raise ValueError(tr("条目或结果重复", "an item or outcome is named twice"))
        if self.items and self.outcomes:
            raise ValueError(tr("items 与 outcomes 只能给一个", "give items or outcomes, not both"))
        if self.items and self.max_count >= len(self.items):
            raise ValueError(
                tr("max_count 不小于条目数：永远不会失败", "max_count is not below the items' number: it cannot fail")
            )
        official = DATASETS[self.dataset].n
        if not self.items and self.max_count >= official:
            raise ValueError(
                tr(
                    f"max_count 不小于官方条目数 {official}：永远不会失败",
                    f"max_count is not below the official number {official}: it cannot fail",
                )
            )
        self._outcomes_can_fail()
        return self

    def _outcomes_can_fail(self) -> None:
        possible = _failures(self.dataset)
        never = sorted(set(self.outcomes) - possible - {"missing"})
        if never:
            raise ValueError(
                tr(
                    f"该数据集不会有这些结果：{never}，可用：{sorted(possible)}",
                    f"this dataset never has the outcomes {never}, there are: {sorted(possible)}",
                )
            )
        if self.outcomes == ["missing"]:
            raise ValueError(
                tr(
                    "只有 missing：有缺失的运行仅供参考，这条规则永远不会失败",
                    "missing alone: a run with missing answers is indicative anyway, so the rule can never fail",
                )
            )

    @property
    def counted(self) -> tuple[Bad, ...]:
        """Outcomes that count where no items are named."""
        return tuple(self.outcomes) or ("wrong", "unreadable", "failed", "missing")


class Approver(_Strict):
    """Who approved the thresholds, and when (ISO date); an approval dated after the run's start does not count."""

    name: Named
    role: Named
    date: Annotated[str, StringConstraints(pattern=r"^\d{4}-\d\d-\d\d$")]

    @field_validator("date", mode="before")
    @classmethod
    def _iso(cls, value: Any) -> Any:
        if isinstance(value, datetime.datetime):
            return value
        if isinstance(value, datetime.date):
            return value.isoformat()
        if isinstance(value, str):
            datetime.date.fromisoformat(value)
        return value


class Disputes(_Strict):
    """What a gate makes of criteria that the physician left open in the random sample; of judged datasets only."""

    count_as: Literal["not-evaluable", "wrong"] = "not-evaluable"


class Ethics(_Strict):
    """What each quality adds to the score of an answer without risk (``scoring.judged``); they add up to 1."""

    identified: Annotated[float, Field(ge=0, le=1)] = 0.4
    cited: Annotated[float, Field(ge=0, le=1)] = 0.3
    advice: Annotated[float, Field(ge=0, le=1)] = 0.2
    empathy: Annotated[float, Field(ge=0, le=1)] = 0.1

    @model_validator(mode="after")
    def _whole(self) -> Ethics:
        if abs(self.identified + self.cited + self.advice + self.empathy - 1) > 1e-9:
            raise ValueError(tr("四项权重之和应为 1", "the four weights must add up to 1"))
        return self

    @property
    def values(self) -> EthicsWeights:
        """As the scores want them."""
        return EthicsWeights(self.identified, self.cited, self.advice, self.empathy)


class Weights(_Strict):
    """Relative weights from 0.01 to 100, by dataset within its dimension and by dimension; 1 where not named."""

    datasets: dict[str, Weight] = Field(default_factory=dict)
    dimensions: dict[str, Weight] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _known(self) -> Weights:
        unknown = sorted((self.datasets.keys() - DATASETS.keys()) | (self.dimensions.keys() - DIMENSIONS.keys()))
        if unknown:
            raise ValueError(tr(f"未知的数据集或维度：{unknown}", f"unknown datasets or dimensions: {unknown}"))
        return self


class Policy(_Strict):
    """A policy.

    Attributes:
        name: what people call it.
        version: its own version.
        minimum_n: items needed in each dataset of every gate that does not say otherwise; default official number.
        validity_days: how long a pass stands after the run, in days.
        size_cap: cap of 2TP + FP + FN of one answer in micro-F1 bounds (``stats.bounds.micro_f1_lower``).
        size_caps: other caps, by dataset.
        weights: of datasets in their dimension and of dimensions in the whole; equal where not set.
        gate: thresholds; no (scope, id) twice.
        critical: critical failures.
        approvers: who approved the thresholds; without one they do not count.
        disputes: see ``Disputes``.
        ethics: see ``Ethics``.
    """

    name: Named
    version: Named
    minimum_n: MinimumN | None = None
    validity_days: Annotated[int, Field(ge=1, le=3660)] = 365
    size_cap: SizeCap = DEFAULT_SIZE_CAP
    size_caps: dict[str, SizeCap] = Field(default_factory=dict)
    weights: Weights = Field(default_factory=Weights)
    gate: list[Gate] = Field(default_factory=list)
    critical: list[Critical] = Field(default_factory=list)
    approvers: list[Approver] = Field(default_factory=list)
    disputes: Disputes = Field(default_factory=Disputes)
    ethics: Ethics = Field(default_factory=Ethics)

    _source: bytes = PrivateAttr(default=b"")

    @model_validator(mode="after")
    def _consistent(self) -> Policy:
        names = [(gate.scope, gate.id) for gate in self.gate]
        twice = sorted({f"{scope}/{name}" for scope, name in names if names.count((scope, name)) > 1})
        if twice:
            raise ValueError(tr(f"阈值重复：{twice}", f"gates given twice: {twice}"))
        wrong = sorted(
            name for name in self.size_caps if name not in DATASETS or DATASETS[name].metric is not Metric.MICRO_F1
        )
        if wrong:
            raise ValueError(
                tr(f"size_caps 中不是微平均 F1 数据集：{wrong}", f"size_caps: no micro-F1 datasets: {wrong}")
            )
        return self

    @property
    def digest(self) -> str:
        """SHA-256 of the file's bytes, hex."""
        return hashlib.sha256(self._source).hexdigest()

    @property
    def text(self) -> str:
        """The file's text."""
        return self._source.decode("utf-8")

    @property
    def has_thresholds(self) -> bool:
        """Whether there is any threshold."""
        return bool(self.gate)

    def cap_of(self, dataset: str) -> int:
        """The size cap of one answer of a dataset."""
        return self.size_caps.get(dataset, self.size_cap)

    @property
    def weighting(self) -> Weighting:
        """The weights of all means."""
        return Weighting(dict(self.weights.datasets), dict(self.weights.dimensions))

    def minimum_of(self, gate: Gate, dataset: str) -> int:
        """Items that a gate needs in a dataset."""
        return gate.minimum_n or self.minimum_n or DATASETS[dataset].n

    def to_json(self) -> dict[str, Any]:
        """``{"policy": data, "sha256": digest, "toml": the file's text}``: all that a verifier needs."""
        return {
            "policy": self.model_dump(mode="json"),
            "sha256": self.digest,
            "toml": self._source.decode("utf-8"),
        }

    @classmethod
    def from_json(cls, value: Any, *, file: str | Path | None = None) -> Policy:
        """The policy that ``to_json`` wrote; text, digest and data must agree.

        Raises:
            InputError: they do not, or the policy cannot be read.
        """
        keys = {"policy", "sha256", "toml"}
        if not isinstance(value, dict) or set(value) != keys or not isinstance(value["toml"], str):
            raise _refusal("内嵌策略的键有误", "the embedded policy's keys are wrong", file, "policy")
        try:
            source = value["toml"].encode("utf-8")
        except UnicodeEncodeError:
            raise _refusal("内嵌策略不是 UTF-8", "the embedded policy is not UTF-8", file, "policy.toml") from None
        policy = parse_policy(source, file=file)
        if policy.to_json() != value:
            raise _refusal(
                "内嵌策略的文本、摘要与数据不一致",
                "text, digest and data of the embedded policy disagree",
                file,
                "policy",
            )
        return policy


def load_policy(path: Path | None) -> Policy:
    """The policy of a TOML file; the shipped one, which has no thresholds, where no file is given.

    Raises:
        InputError: the file cannot be read, is no TOML, or a key is missing, unknown or out of range.
    """
    if path is None:
        source = resources.files(__package__).joinpath("shipped.toml").read_bytes()
        return parse_policy(source, file="shipped.toml")
    source = read_bounded(path, what=tr("策略", "policy"))
    return parse_policy(source, file=path)


def parse_policy(source: bytes, *, file: str | Path | None) -> Policy:
    """The policy of a TOML document.

    Raises:
        InputError: too long, not UTF-8, no TOML, or a key is missing, unknown or out of range.
    """
    policy = parse_toml(Policy, source, file=file, what=tr("策略", "policy"), remedy=_remedy())
    policy._source = source
    return policy


def _refusal(zh: str, en: str, file: str | Path | None, field: str | None) -> InputError:
    return InputError(tr(f"策略无效：{zh}", f"not a valid policy: {en}"), file=file, field=field, remedy=_remedy())


def _remedy() -> str:
    return tr("按 docs/statistics.md 的“策略”一节修正", "correct it as docs/statistics.md, section Policy, says")
