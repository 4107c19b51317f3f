"""Configuration and record of the stage ``rungcheck``: quality, time and cost of every rung of a ladder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

from pydantic import Field, field_validator, model_validator

from practicum_core.metrics import Metric
from practicum_core.scorers import ScorerName
from practicum_core.stages.experiments import RungsRecord
from practicum_core.stages.server_access import ServerAccessConfig
from practicum_core.stages.server_addresses import check_server_address
from practicum_core.stages.spec import StageSpec
from practicum_core.stages.titles import figure, key_figure
from practicum_core.texts import Bilingual


class RungcheckConfig(ServerAccessConfig):
    """Which rows are asked at each rung. Times are in seconds."""

    url: str = Field(default="step:gateway", description="Address of the gateway, whose ladder is on.")
    own_key: bool = Field(
        default=True, description="Make a key for the gateway of this machine, and revoke it at the end."
    )
    split: str = Field(default="test", description="Split of the run's data whose rows are asked.")
    task: str = Field(default="", description="Rows of this task alone; all of the split without it.")
    limit: int = Field(default=32, ge=2, le=10_000, description="Rows at most, the first ones.")
    scorer: ScorerName = Field(default="auto", description="Scorer of rows that choose none of their own.")
    max_tokens: int = Field(default=64, ge=1, description="Tokens of an answer that are asked for.")
    concurrency: int = Field(default=4, ge=1, le=256, description="Requests at the same time.")
    timeout_s: float = Field(default=60.0, gt=0, description="For a request.")
    pin_timeout_s: float = Field(default=15.0, gt=0, description="For the gateway to take a pinned rung.")

    @field_validator("url")
    @classmethod
    def _check_address(cls, url: str) -> str:
        return check_server_address(url, "key_variable")

    @model_validator(mode="after")
    def _check_owner(self) -> Self:
        self.check_access((self.url,), "its rungs are pinned one after another")
        return self

    def list_splits(self) -> tuple[str, ...]:
        """List the split that is asked."""
        return (self.split,)


class RungcheckRecord(RungsRecord):
    """What each rung is worth, and what it costs."""

    url: str
    data_sha256: str = Field(default="", description="Hash over the rows that were asked.")


METRICS = {
    "num_rungs": key_figure("Rungs measured", "测量的降级层数", "count"),
    "num_worse_rungs": key_figure("Rungs that are worse than the one below", "劣于下一级的降级层数", "count"),
    "num_rows": figure("Rows asked at each rung", "每级提问的样本数", "count"),
    "quality_full": key_figure("Quality of the full answer", "完整回答的质量", "share"),
    "quality_{rest}": figure("Quality of the rung {rest}", "降级层 {rest} 的质量", "share"),
    "tokens_{rest}": figure("Tokens of a request at the rung {rest}", "降级层 {rest} 每次请求的词元数", "count"),
    "e2e_{rest}_s": figure("Median time of an answer at the rung {rest}", "降级层 {rest} 的回答时间中位数", "seconds"),
}
FAILURES: Mapping[str, Bilingual] = {
    "worse_rung": Bilingual("a rung is worse than the one below it", "降级层劣于其下一级"),
}


def describe_result(metrics: Mapping[str, Metric]) -> str:
    """Say what the best rung is worth beside the number of rungs.

    >>> found = {name: Metric(name=name, value=value) for name, value in (("num_rungs", 5), ("quality_full", 0.9))}
    >>> describe_result(found)
    'Quality of the full answer 0.90; 5 rungs measured'
    """
    best, number = metrics.get("quality_full"), metrics.get("num_rungs")
    if best is None or number is None:
        return ""
    return f"Quality of the full answer {best.value:.2f}; {number.value:.0f} rungs measured"


SPEC = StageSpec(
    "rungcheck",
    Bilingual(
        "asks the same rows at every rung of the ladder, and scores the answers", "在每个降级层上提问相同样本并评分"
    ),
    "base",
    RungcheckConfig,
    RungcheckRecord,
    metrics=METRICS,
    failures=FAILURES,
    headlines=("quality_full", "num_worse_rungs"),
    describe_result=describe_result,
    measures_speed=True,
)
