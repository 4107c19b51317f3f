"""Decides the shape of what a stage in a pod tells the controller, and of what the controller tells the pod.

A pod learns its step from one variable (:class:`PodStep` as JSON) and reports with :class:`StepReport` over HTTPS.
Sending the same report twice changes nothing.
"""

from __future__ import annotations

import datetime as dt
import math
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from practicum_core.errors import Reason
from practicum_core.layout import build_run_id
from practicum_core.metrics import Metric
from practicum_core.weekjob import WeekJob

STEP_VARIABLE = "PRACTICUM_STEP"
INGEST_URL_VARIABLE = "PRACTICUM_INGEST_URL"
TOKEN_PATH = "/var/run/practicum/token"  # noqa: S105 - where the kubelet projects the token, not a token
CA_PATH = "/var/run/practicum/ca.crt"
WORKSPACE = "/workspace"
INGEST_AUDIENCE = "practicum-ingest"
REPORTS_ROUTE = "/v1/reports"
MAX_REPORT_BYTES = 4_000_000
MAX_METRIC_CHARS = 200
MAX_EVIDENCE_BYTES = 900_000
"""Compressed size of an evidence page that fits into a ConfigMap; a larger one stays in the workspace alone."""


class PodStep(BaseModel):
    """What a pod runs."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    weekjob: WeekJob
    uid: str = Field(description="Of the WeekJob.")
    created_at: dt.datetime = Field(description="Of the WeekJob; names the run directory together with the uid.")
    step: str
    stage: str
    attempt: int = Field(ge=1)
    config: dict[str, Any] = Field(description="The stage's whole configuration.")

    @property
    def run_id(self) -> str:
        """Run id: the same in every pod of a week job, and sorted by time like a local one."""
        return build_run_id(self.created_at, bytes.fromhex(self.uid.replace("-", "")[:6]))


class StepReport(BaseModel):
    """Progress or the end of one attempt of one step."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    uid: str = Field(max_length=64, description="Of the WeekJob; must be that of the pod which the token names.")
    step: str = Field(max_length=63)
    attempt: int = Field(ge=1)
    outcome: Literal["running", "succeeded", "failed"]
    progress: float | None = Field(default=None, ge=0, le=1)
    message: str = Field(default="", max_length=4_000)
    eta_s: float | None = Field(default=None, ge=0)
    reason: Reason | None = Field(default=None, description="Why it failed.")
    fix: str = Field(default="", max_length=4_000)
    duration_s: float | None = Field(default=None, ge=0)
    metrics: list[Metric] = Field(default_factory=list, max_length=2_000)
    evidence_html: str | None = Field(
        default=None, description="The evidence page, gzip then base64; of the step that drew it."
    )

    @field_validator("metrics")
    @classmethod
    def _check_metrics(cls, metrics: list[Metric]) -> list[Metric]:
        """Refuse what no status could hold: it would be refused for ever."""
        for one in metrics:
            numbers = [number for number in (one.value, one.low, one.high) if number is not None]
            if len(one.name) + len(one.unit) > MAX_METRIC_CHARS or not all(map(math.isfinite, numbers)):
                raise ValueError(f"metric {one.name[:40]!r}: name and unit too long, or a number that is not finite")
        return metrics

    @property
    def is_final(self) -> bool:
        """Whether the attempt ended."""
        return self.outcome != "running"
