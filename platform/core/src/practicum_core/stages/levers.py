"""Results of stages that change one option at a time and measure what it does. No stage by itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from practicum_core.metrics import Metric
from practicum_core.stages.base import StageRecord
from practicum_core.stages.titles import figure, key_figure
from practicum_core.texts import Bilingual

BASELINE = "baseline"
CONTROL = "control"
"""The baseline once more: what differs between the two is noise."""
Verdict = Literal["better", "worse", "undecided", "not_measured"]
Effect = Literal["same", "changed", "not_compared"]
Subject = Literal["training", "serving"]


class Ratio(BaseModel):
    """A figure of a lever over that of the baseline: mean of the rounds' ratios on a log scale."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    value: float
    low: float = Field(description="Lower end of the 95% interval.")
    high: float


class LeverRow(BaseModel):
    """One line of the table."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(description="baseline, control, or the options that the lever changes.")
    num_rounds: int = 0
    figures: dict[str, float] = Field(default_factory=dict, description="Medians over the rounds.")
    ratios: dict[str, Ratio] = Field(default_factory=dict, description="Against the baseline of the same round.")
    p_adjusted: float | None = Field(
        default=None, description="Of no change of the deciding figure, corrected by Holm's method for all levers."
    )
    verdict: Verdict = "not_measured"
    effect: Effect = "not_compared"
    effect_size: float | None = Field(
        default=None, description="Largest relative difference of a step's loss, or share of answers that differ."
    )
    note: str = ""


class LeverRecord(StageRecord):
    """A record with a table of levers, which the evidence pack shows."""

    subject: Subject
    baseline_options: str = Field(description="Options of the baseline that are not the defaults.")
    deciding_figure: str
    rows: list[LeverRow] = Field(default_factory=list)
    cores: int
    gpus: list[str] = Field(default_factory=list)
    utilization: float | None = Field(
        default=None,
        description="Median of the GPU's while the baseline computed, 0 to 1; without a GPU, of the processor's cores.",
    )
    mfu: float | None = Field(
        default=None, description="Model FLOP utilization of the baseline; none without a GPU of a known peak."
    )


def parse_options(text: str) -> dict[str, str]:
    """Read options as they are written in a lever.

    Raises:
        ValueError: A word is no ``name=value``, or a name stands twice.

    >>> parse_options("batch_size=4 gradient_accumulation_steps=2")
    {'batch_size': '4', 'gradient_accumulation_steps': '2'}
    """
    options: dict[str, str] = {}
    for word in text.split():
        name, mark, value = word.partition("=")
        if not (name and mark and value):
            raise ValueError(f"'{word}' is no option: write name=value, with spaces between options")
        if name in options:
            raise ValueError(f"'{name}' stands twice in '{text}'")
        options[name] = value
    return options


METRICS = {
    "num_levers": figure("Levers tried", "尝试的手段数", "count"),
    "num_better": key_figure("Levers that help", "有效的手段数", "count"),
    "num_worse": figure("Levers that make it slower", "变慢的手段数", "count"),
    "num_undecided": figure("Levers that cannot be told from noise", "与噪声无法区分的手段数", "count"),
    "num_unmeasured": figure("Levers that could not be measured", "未能测量的手段数", "count"),
    "num_unexpected_changes": figure(
        "Levers that changed a result that they must not change", "不应改变结果却改变了结果的手段数", "count"
    ),
    "control_deviation": figure("Difference between the baseline and itself", "基线与自身重复测量之差", "share"),
    "baseline_tokens_per_s": key_figure("Baseline, tokens per second", "基线：每秒词元数", "number"),
    "best_ratio": figure("Best lever, tokens per second over the baseline", "最佳手段与基线的吞吐比", "number"),
    "mfu": figure("Model FLOP utilization", "模型算力利用率（MFU）", "share"),
    "utilization": figure("Utilization of GPU or cores", "GPU 或 CPU 核心利用率", "share"),
}
FAILURES = {
    "not_measured": Bilingual("not measured", "未测量"),
    "result_changed": Bilingual("changed a result that it must not change", "改变了不应改变的结果"),
}


def describe_result(metrics: Mapping[str, Metric]) -> str:
    """Say in one sentence how many levers help, or what the ladder of memory saves where no lever was tried.

    >>> describe_result({name: Metric(name=name, value=value) for name, value in
    ...     {"num_levers": 6, "num_better": 2, "num_worse": 1}.items()})
    'Of 6 levers 2 help, 1 makes it slower, and the others cannot be told from noise'
    >>> describe_result({name: Metric(name=name, value=value) for name, value in
    ...     {"num_levers": 0, "num_better": 0, "num_worse": 0, "ladder_saving": 0.658}.items()})
    'The whole ladder saves 66% of the memory'
    """
    if not {"num_levers", "num_better", "num_worse"} <= metrics.keys():
        return ""
    total, better, worse = (int(metrics[name].value) for name in ("num_levers", "num_better", "num_worse"))
    if not total:
        saving = metrics.get("ladder_saving")
        return f"The whole ladder saves {saving.value:.0%} of the memory" if saving else ""
    helping, making = ("helps" if better == 1 else "help"), ("makes" if worse == 1 else "make")
    return f"Of {total} levers {better} {helping}, {worse} {making} it slower, and the others cannot be told from noise"
