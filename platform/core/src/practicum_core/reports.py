"""The messages between the controller and the pods of stages.

A pod gets its step from an environment variable (:class:`PodStep` as JSON) and sends :class:`StepReport` over HTTPS.
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
TOKEN_PATH = "/var/run/practicum/token"  # noqa: S105 - a path, not a token
CA_PATH = "/var/run/practicum/ca.crt"
CLUSTER_TOKEN_PATH = "/var/run/practicum-cluster/token"  # noqa: S105 - a path, not a token
CLUSTER_CA_PATH = "/var/run/practicum-cluster/ca.crt"
"""For the API server, in pods of stages that break pods of their own week job."""
WORKSPACE = "/workspace"
INGEST_AUDIENCE = "practicum-ingest"
REPORTS_ROUTE = "/v1/reports"
MAX_REPORT_BYTES = 4_000_000
MAX_METRIC_CHARS = 200
MAX_EVIDENCE_BYTES = 900_000
"""Maximum compressed size of an evidence page in a ConfigMap. A larger page is kept only in the workspace."""


class PodStep(BaseModel):
    """The step that a pod runs."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    weekjob: WeekJob
    uid: str = Field(description="Of the WeekJob.")
    created_at: dt.datetime = Field(description="Creation time of the WeekJob, part of the run id.")
    step: str
    stage: str
    attempt: int = Field(ge=1)
    config: dict[str, Any] = Field(description="The complete configuration of the stage.")

    @property
    def run_id(self) -> str:
        """The run id. It is the same in every pod of a week job and sorts by time, like a local run id."""
        return build_run_id(self.created_at, bytes.fromhex(self.uid.replace("-", "")[:6]))


class StepReport(BaseModel):
    """A report of the progress or the end of one attempt of a step."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    uid: str = Field(max_length=64, description="Uid of the WeekJob; must match the pod that the token names.")
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
        default=None, description="Evidence page (gzip, then base64), sent by the step that built it."
    )

    @field_validator("metrics")
    @classmethod
    def _check_metrics(cls, metrics: list[Metric]) -> list[Metric]:
        """Reject metrics that cannot be stored in a status; retrying such a report would never succeed."""
        for one in metrics:
            numbers = [number for number in (one.value, one.low, one.high) if number is not None]
            if len(one.name) + len(one.unit) > MAX_METRIC_CHARS or not all(map(math.isfinite, numbers)):
                raise ValueError(f"metric {one.name[:40]!r}: name and unit too long, or a number that is not finite")
        return metrics

    @property
    def is_final(self) -> bool:
        """Whether this is the last report of the attempt."""
        return self.outcome != "running"
