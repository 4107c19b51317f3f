"""Configuration and record of the stage ``blind``: a page for raters who do not know which model answered."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from practicum_core.metrics import Metric
from practicum_core.stages.base import DataUri, StageConfig, StageRecord
from practicum_core.stages.spec import StageSpec
from practicum_core.stages.titles import figure
from practicum_core.texts import Bilingual


class BlindConfig(StageConfig):
    """Which answers are rated, and how many."""

    samples: DataUri = Field(
        default="run:stages/evaluate/samples.jsonl",
        description="Samples of an evaluation of two models: a file, or run:PATH inside the run.",
    )
    split: str = Field(default="", description="Split whose answers are rated; the first of the file without it.")
    items: int = Field(default=20, ge=1, le=500, description="Pairs that a rater sees, fewer where fewer differ.")
    identical_checks: int = Field(default=2, ge=0, le=20, description="Pairs of equal answers among them.")
    planted_checks: int = Field(default=2, ge=0, le=20, description="Pairs with an answer that is plainly wrong.")
    names: list[str] = Field(default_factory=list, description="More names of models to remove from the answers.")


class BlindRecord(StageRecord):
    """What was sealed, and where the page lies."""

    key_sha256: str = Field(default="", description="SHA-256 of the key, published before anyone rates.")
    items_sha256: str = Field(default="", description="SHA-256 of the items that the page shows.")
    page: str = Field(default="", description="Relative to the run directory; empty where no pair differs.")
    key: str = Field(default="", description="The sealed key, relative to the run directory.")
    num_items: int = Field(default=0, description="Pairs and attention checks on the page.")


def describe_result(metrics: Mapping[str, Metric]) -> str:
    """Say what the page holds; empty where there is none."""
    count = metrics.get("blind_pairs")
    if count is None or not count.value:
        return ""
    return f"The page for blind raters has {count.value:.0f} pairs; the key is sealed."


METRICS = {
    "blind_pairs": figure("Pairs to rate", "待评样本对", "count"),
    "blind_checks": figure("Attention checks", "注意力检查题", "count"),
    "evaluated_pairs": figure("Pairs in the evaluation", "评测中的样本对", "count"),
    "equal_pairs": figure("Pairs with equal answers", "回答相同的样本对", "count"),
    "names_removed": figure("Pairs with a model's name removed", "隐去模型名称的样本对", "count"),
    "blind_length_gap": figure("Tuned answer longer by (characters)", "微调模型回答多出的字符数", "number"),
}
SPEC = StageSpec(
    "blind",
    Bilingual("makes the page for blind raters and seals the key", "生成盲评页面并封存密钥"),
    "base",
    BlindConfig,
    BlindRecord,
    metrics=METRICS,
    describe_result=describe_result,
)
