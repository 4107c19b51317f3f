"""Configuration and record of the stage ``traces``: one degraded request from client to engine, and counts of all."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from practicum_core.metrics import Metric
from practicum_core.stages.base import StageConfig, StageRecord
from practicum_core.stages.spec import StageSpec
from practicum_core.stages.titles import figure, key_figure
from practicum_core.texts import Bilingual


class TracesConfig(StageConfig):
    """Nothing to choose: the traces of all steps of the run are read."""


class Place(StrEnum):
    """Where a span was measured."""

    CLIENT = "client"
    GATEWAY = "gateway"
    ENGINE = "engine"


class TraceSpan(BaseModel):
    """A span of time in one trace. Times are milliseconds from the beginning of the trace."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    place: Place
    depth: int = Field(description="Spans above it.")
    start_ms: float
    duration_ms: float
    error: str = Field(default="", description="Why it failed; empty where it did not.")
    attributes: dict[str, str] = Field(default_factory=dict, description="What it says of itself.")


class TraceEvent(BaseModel):
    """A moment in one trace, in milliseconds from its beginning; steps of the ladder may lie before that."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    at_ms: float
    place: Place
    name: str
    attributes: dict[str, str] = Field(default_factory=dict)


class ShownTrace(BaseModel):
    """One trace in full."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    trace_id: str
    request_id: str = ""
    status: int = 0
    rung: str = Field(default="", description="That answered; empty for the best one.")
    reason: str = ""
    spans: list[TraceSpan]
    events: list[TraceEvent] = Field(default_factory=list)


class TracesRecord(StageRecord):
    """What the traces of a run show."""

    shown: ShownTrace | None = Field(default=None, description="A degraded request; none where no trace was found.")


METRICS = {
    "num_traces": key_figure("Traced requests", "被追踪的请求", "count"),
    "num_from_client": figure("Traces that begin at the client", "从客户端开始的追踪", "count"),
    "num_to_engine": figure("Traces that reach the engine's own spans", "到达推理引擎的追踪", "count"),
    "num_degraded": figure("Traces of degraded requests", "降级请求的追踪", "count"),
    "num_retried": figure("Traces with several tries at engines", "多次尝试的追踪", "count"),
}


def describe_result(metrics: Mapping[str, Metric]) -> str:
    """Say how many requests were traced.

    >>> values = {"num_traces": 300, "num_degraded": 40}
    >>> describe_result({name: Metric(name=name, value=value) for name, value in values.items()})
    '300 requests were traced, 40 of them degraded'
    """
    found, degraded = metrics.get("num_traces"), metrics.get("num_degraded")
    if found is None or degraded is None:
        return ""
    return f"{found.value:.0f} requests were traced, {degraded.value:.0f} of them degraded"


SPEC = StageSpec(
    "traces",
    Bilingual(
        "joins what client, gateway and engine wrote of each request", "将客户端、网关与推理引擎记录的同一请求拼接起来"
    ),
    "base",
    TracesConfig,
    TracesRecord,
    measures_speed=True,
    metrics=METRICS,
    describe_result=describe_result,
)
