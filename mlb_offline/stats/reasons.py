"""Why something has no score or no pass: a stable code with its parameters, and what it says in both languages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from mlb_offline.language import current

Param = str | int | float

_TEXTS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "no-judge": ("尚未经裁判，该数据集无法评定", "not evaluable: no judge has seen the answers"),
        "no-physician-sample": (
            "{dataset} 无医生对随机抽样的标注：仅凭裁判不能判定",
            "{dataset}: no physician has labelled a random sample, and judges alone certify nothing",
        ),
        "physician-sample-open": (
            "{dataset} 的医生抽样中有 {items} 题尚有未决判据",
            "{dataset}: {items} items of the physician's sample have criteria that are open",
        ),
        "no-items": ("没有条目", "there are no items"),
        "no-entities": ("参考答案与回答中均无任何实体", "neither references nor answers hold any entity"),
        "unknown-metric": ("未知指标“{metric}”", "unknown metric {metric}"),
        "dataset-missing": ("缺少数据集：{datasets}", "datasets missing: {datasets}"),
        "dataset-not-evaluable": ("数据集无法评定：{datasets}", "datasets not evaluable: {datasets}"),
        "dimension-not-evaluable": ("维度无法评定：{dimensions}", "dimensions not evaluable: {dimensions}"),
        "below-minimum-n": (
            "{dataset} 的条目数 {n} 少于要求的 {minimum_n}",
            "{dataset} has {n} items, {minimum_n} are required",
        ),
        "bound-below-minimum": ("下限 {bound} 低于阈值 {min}", "the lower bound {bound} is below the threshold {min}"),
        "runaway-answers": (
            "{dataset} 有 {items} 题的错误数（FP+FN）超过上限 {cap}，最多达 {largest}：除 0 以外没有置信下限",
            "{dataset}: {items} item(s) with more errors (FP+FN) than the cap {cap}, up to {largest}: "
            "no lower bound but 0 exists",
        ),
        "no-thresholds": ("没有经批准的阈值：策略未设阈值", "no approved thresholds: the policy has none"),
        "no-approver": ("没有经批准的阈值：策略无批准人", "no approved thresholds: the policy names no approver"),
        "approval-after-start": (
            "没有经批准的阈值：批准日期 {date} 晚于运行开始（{started}）",
            "no approved thresholds: an approval is dated {date}, after the run started ({started})",
        ),
        "gate-not-evaluable": ("阈值 {scope}/{id} 无法评定", "gate {scope}/{id} is not evaluable"),
        "gate-failed": ("阈值 {scope}/{id} 未达到", "gate {scope}/{id} is not met"),
        "gate-conditional": (
            "阈值 {scope}/{id} 未达到（允许有条件通过）",
            "gate {scope}/{id} is not met (a conditional verdict is allowed)",
        ),
        "critical-failed": (
            "{dataset} 出现严重失败 {count} 次，最多允许 {max_count} 次",
            "{dataset}: {count} critical failures, at most {max_count} allowed",
        ),
        "critical-not-evaluable": (
            "{dataset} 的严重失败规则无法评定：{why}",
            "the critical-failure rule for {dataset} is not evaluable: {why}",
        ),
    }
)


@dataclass(frozen=True)
class Reason:
    """A stable code with parameters; texts are made from it, never stored.

    Attributes:
        code: lower-case words with hyphens.
        params: what the texts name; strings and numbers only, so that it is canonical JSON.
    """

    code: str
    params: Mapping[str, Param] = field(default_factory=dict)

    def texts(self) -> tuple[str, str]:
        """What it says, in Chinese and in English; an unknown code stands for itself."""
        zh, en = _TEXTS.get(self.code, (self.code, self.code))
        return _fill(zh, self.params), _fill(en, self.params)

    def text(self) -> str:
        """What it says in the language in use."""
        return self.texts()[0 if current() == "zh" else 1]

    def to_json(self) -> dict[str, Any]:
        """``{"code": …, "params": {…}}``."""
        return {"code": self.code, "params": dict(self.params)}


def _fill(template: str, params: Mapping[str, Param]) -> str:
    for name, value in params.items():
        template = template.replace("{" + name + "}", str(value))
    return template


def known_codes() -> tuple[str, ...]:
    """All codes that statistics and policy give."""
    return tuple(_TEXTS)
