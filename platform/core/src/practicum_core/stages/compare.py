"""Configuration and record of the stage ``compare``: is the candidate better than the base, by paired statistics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from practicum_core.metrics import Metric
from practicum_core.stages.base import DataUri, OptionalDataUri, StageConfig, StageRecord
from practicum_core.stages.spec import StageSpec
from practicum_core.stages.titles import figure, key_figure
from practicum_core.texts import Bilingual

VerdictName = Literal["improved", "regressed", "not_distinguishable", "underpowered"]
Correction = Literal["holm", "fdr_bh"]


class CompareConfig(StageConfig):
    """Which answers are compared, and what counts as a difference."""

    samples: DataUri = Field(
        default="run:stages/evaluate/samples.jsonl",
        description="Samples of an evaluation of two models: a file, or run:PATH inside the run.",
    )
    candidate_samples: OptionalDataUri = Field(
        default=None,
        description="Results of the candidate, where `samples` holds those of the base alone; paired by id.",
    )
    item_slice: OptionalDataUri = Field(
        default=None, description="File that names the groups of a slice, as the stage iterate writes it."
    )
    confidence: float = Field(default=0.95, ge=0.95, le=0.9999, description="Of intervals and tests.")
    power: float = Field(default=0.8, ge=0.5, le=0.9999, description="Of the smallest detectable difference.")
    margin: float = Field(
        default=0.1,
        gt=0,
        lt=1,
        description="Smallest difference that matters; a comparison that cannot see it is underpowered.",
    )
    num_resamples: int = Field(
        default=10_000, ge=1_000, le=1_000_000, description="Of the bootstrap and of the permutation test."
    )
    correction: Correction = Field(default="holm", description="Of the p-values over tasks.")


class ItemSlice(BaseModel):
    """A part of a split that has a verdict of its own, named before it was answered.

    An item belongs to it by its group; an item without a group by its task.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    groups: list[str] = Field(default_factory=list)
    tasks: list[str] = Field(default_factory=list, description="Of items that have no group.")

    @property
    def is_empty(self) -> bool:
        """Whether it names nothing, as where no answer failed."""
        return not self.groups and not self.tasks

    def holds(self, task: str, group: str) -> bool:
        """Whether an item belongs to the slice.

        >>> ItemSlice(groups=["a"]).holds("extract", "a"), ItemSlice(groups=["a"]).holds("extract", "")
        (True, False)
        """
        return group in self.groups if group else task in self.tasks


class TaskVerdict(BaseModel):
    """The comparison on one task, on the whole scored split, or on the control split."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(description="Name of the split, or SPLIT/TASK.")
    verdict: VerdictName
    num_items: int
    num_clusters: int = Field(description="Templates or passages that the items come from.")
    base: float
    candidate: float
    difference: float
    low: float = Field(description="Lower end of the cluster-robust t interval.")
    high: float
    bootstrap_low: float = Field(description="Lower end of the BCa bootstrap over clusters.")
    bootstrap_high: float
    p_permutation: float
    p_mcnemar: float | None = None
    p_adjusted: float = Field(description="p of the clustered t test, which decides, adjusted over tasks.")
    smallest_detectable: float


class CompareRecord(StageRecord):
    """One verdict per question: the scored split, a slice of it, each of its tasks, and the control split."""

    verdict: VerdictName = Field(description="On the whole scored split.")
    control_verdict: VerdictName | None = None
    slice_verdict: VerdictName | None = None
    verdicts: list[TaskVerdict]


_VERDICTS: Mapping[VerdictName, str] = {
    "improved": "improved",
    "regressed": "regressed",
    "not_distinguishable": "not distinguishable",
    "underpowered": "underpowered: too few items to tell",
}


def describe_result(metrics: Mapping[str, Metric]) -> str:
    """Say the verdict in one sentence, with the interval that it rests on."""
    difference = metrics.get("paired_difference")
    if difference is None or difference.low is None or difference.high is None or "verdict_improved" not in metrics:
        return ""
    name = next((text for verdict, text in _VERDICTS.items() if _holds(metrics, f"verdict_{verdict}")), "no verdict")
    interval = f"{difference.value:+.3f} ({difference.low:+.3f} to {difference.high:+.3f})"
    return f"Verdict: {name}; candidate minus base {interval}{_describe_slice(metrics)}{_describe_control(metrics)}"


def _describe_slice(metrics: Mapping[str, Metric]) -> str:
    found = metrics.get("slice_difference")
    if found is None and "num_slice_items" in metrics:
        return "; no item belongs to the slice"
    if found is None or found.low is None or found.high is None:
        return ""
    name = next((text for verdict, text in _VERDICTS.items() if _holds(metrics, f"slice_{verdict}")), "no verdict")
    return f"; the slice: {name}, {found.value:+.3f} ({found.low:+.3f} to {found.high:+.3f})"


def _describe_control(metrics: Mapping[str, Metric]) -> str:
    if "control_regressed" not in metrics:
        return ""
    if _holds(metrics, "control_regressed"):
        return "; the control set regressed"
    is_small = _holds(metrics, "control_underpowered")
    return "; the control set is too small to tell" if is_small else "; no regression is seen on the control set"


def _holds(metrics: Mapping[str, Metric], name: str) -> bool:
    return name in metrics and bool(metrics[name].value)


METRICS = {
    "paired_difference": key_figure("Candidate minus base", "候选减基座", "points"),
    "paired_difference_{rest}": figure("Candidate minus base, {rest}", "候选减基座，{rest}", "points"),
    "control_difference": key_figure("Candidate minus base, control set", "候选减基座，对照集", "points"),
    "verdict_improved": figure("Verdict “improved”", "结论为“有提升”", "count"),
    "verdict_regressed": figure("Verdict “regressed”", "结论为“变差”", "count"),
    "verdict_not_distinguishable": figure("Verdict “not distinguishable”", "结论为“无法区分”", "count"),
    "verdict_underpowered": figure("Verdict “underpowered”", "结论为“样本不足”", "count"),
    "control_regressed": figure("Control set regressed", "对照集变差", "count"),
    "control_underpowered": figure("Control set too small to tell", "对照集样本不足", "count"),
    "slice_difference": key_figure("Candidate minus base, failing slice", "候选减基座，失败切片", "points"),
    "slice_improved": figure("Failing slice improved", "失败切片有提升", "count"),
    "slice_regressed": figure("Failing slice regressed", "失败切片变差", "count"),
    "slice_not_distinguishable": figure("Failing slice not distinguishable", "失败切片无法区分", "count"),
    "slice_underpowered": figure("Failing slice too small to tell", "失败切片样本不足", "count"),
    "num_slice_items": figure("Items of the failing slice", "失败切片的样本数", "count"),
    "comparison_p": figure("Clustered t test of the difference, p", "按聚类的配对 t 检验 p 值", "number"),
    "smallest_detectable": key_figure("Smallest detectable difference", "最小可检测差异", "width"),
    "control_smallest_detectable": figure(
        "Smallest detectable difference, control set", "最小可检测差异，对照集", "width"
    ),
    "noise_floor": figure("Noise floor: the base model against itself", "噪声下限（基座与自身相比）", "width"),
    "noise_difference": figure("Base model, second run minus first", "基座模型，第二次减第一次", "points"),
    "noise_changed": figure("Answers scored otherwise in the second run", "第二次得分不同的回答占比", "share"),
    "noise_items": figure("Items answered twice", "回答两次的样本数", "count"),
    "num_compared": figure("Items compared", "比较的样本数", "count"),
    "num_clusters": figure("Templates that the items come from", "样本所属模板数", "count"),
}
FAILURES = {
    "regressed": Bilingual("the candidate is worse", "候选模型变差"),
    "not_distinguishable": Bilingual("no difference can be told", "看不出差异"),
    "underpowered": Bilingual("too few items to tell", "样本太少，无法判断"),
    "empty_slice": Bilingual("no fresh row of the failing slice", "没有属于失败切片的新样本"),
}
SPEC = StageSpec(
    "compare",
    Bilingual("decides whether the candidate is better than the base", "判断候选模型是否优于基座模型"),
    "base",
    CompareConfig,
    CompareRecord,
    describe_result=describe_result,
    headlines=("paired_difference",),
    metrics=METRICS,
    failures=FAILURES,
)
