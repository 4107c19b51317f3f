"""Configuration and record of the stage ``replayeval``: recorded traffic asked of two served models, and scored."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field, field_validator

from practicum_core.metrics import Metric
from practicum_core.scorers import ScorerName
from practicum_core.stages.base import DataUri, StageConfig, StageRecord
from practicum_core.stages.evaluate import SAMPLES
from practicum_core.stages.server_addresses import check_server_address
from practicum_core.stages.spec import Export, StageSpec
from practicum_core.stages.titles import figure, key_figure
from practicum_core.texts import Bilingual


class ReplayEvalConfig(StageConfig):
    """Which traffic is repeated, with which rows, against which two servers.

    Recorded traffic says when requests came; what they asked is rows of the data, whose right answers are known.
    """

    base_url: str = Field(default="step:serve", description="Address of the server of the model before.")
    candidate_url: str = Field(default="step:serve-after", description="Address of the server of the model after.")
    recorded: DataUri = Field(
        default="latest:serving/schedule",
        description="Times of requests: the folder of a load test's schedule or of a recording, traffic.jsonl of a "
        "gateway, or JSON lines with at_s.",
    )
    split: str = Field(default="test", description="Split of the run's data whose rows are asked, in order.")
    limit: int | None = Field(default=None, ge=1, description="Rows at most; all without it.")
    pace: float = Field(default=1.0, gt=0, le=100, description="How many times as fast as it was recorded.")
    max_new_tokens: int = Field(default=64, ge=1)
    timeout_s: float = Field(default=120.0, gt=0, description="For one answer.")
    scorer: ScorerName = Field(default="auto", description="Scorer of rows that choose none of their own.")

    def list_splits(self) -> tuple[str, ...]:
        """List the splits that are asked."""
        return (self.split,)

    @field_validator("base_url", "candidate_url")
    @classmethod
    def _refuse_secrets(cls, url: str) -> str:
        """Refuse an address that is none, or that holds a password: the configuration is recorded."""
        return check_server_address(url, "base_url")


class ReplayEvalRecord(StageRecord):
    """How two models answered the same traffic; per-row results lie in ``samples.jsonl``."""

    num_rows: int = Field(description="Rows that were asked of each model.")
    models: list[str] = Field(description="Names that the servers gave, before and after.")
    traffic_sha256: str = Field(description="Of the times at which requests were sent.")
    data_sha256: str = Field(description="Content hash of the split.")


def describe_result(metrics: Mapping[str, Metric]) -> str:
    """Say what share of the traffic each model answered right; empty where nothing was.

    >>> describe_result({name: Metric(name=name, value=value) for name, value in
    ...     {"online_right_base": 0.5, "online_right_tuned": 0.75}.items()})
    'On the replayed traffic the model before is right in 50.0% of the requests, the model after in 75.0%'
    """
    before, after = metrics.get("online_right_base"), metrics.get("online_right_tuned")
    if before is None or after is None:
        return ""
    return (
        f"On the replayed traffic the model before is right in {before.value:.1%} of the requests, "
        f"the model after in {after.value:.1%}"
    )


SPEC = StageSpec(
    "replayeval",
    Bilingual(
        "repeats recorded traffic against two served models and scores the answers",
        "对两个在线模型重放录制的流量并评分",
    ),
    "base",
    ReplayEvalConfig,
    ReplayEvalRecord,
    samples=SAMPLES,
    exports={"samples": Export("samples.jsonl", "data")},
    metrics={
        "num_requests": figure("Requests", "请求数", "count"),
        "online_right_base": key_figure("Right on replayed traffic, model before", "重放流量正确率：此前模型", "share"),
        "online_right_tuned": key_figure("Right on replayed traffic, model after", "重放流量正确率：此后模型", "share"),
        "online_right_delta": key_figure("Replayed traffic: after minus before", "重放流量：此后减此前", "points"),
        "num_unanswered": figure("Requests without an answer", "没有得到回答的请求", "count"),
        "late_p99_s": figure("How late requests were sent, 99th percentile", "请求发送延迟（99 分位）", "seconds"),
        "e2e_p50_base_s": figure("Median time to the answer, before", "完整回答时延中位数：此前", "seconds"),
        "e2e_p50_tuned_s": figure("Median time to the answer, after", "完整回答时延中位数：此后", "seconds"),
    },
    failures={"unanswered": Bilingual("no answer", "没有回答")},
    headlines=("online_right_base", "online_right_tuned", "online_right_delta"),
    describe_result=describe_result,
)
