"""Replays of recorded traffic: what must be the same, within which tolerances, and what a comparison found."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from practicum_core.stages.experiments import ExperimentsRecord, Finding
from practicum_core.stages.load_results import Estimate
from practicum_core.traffic import Recording


class Tolerances(BaseModel):
    """How much a replay may differ and still be the same. Times are in seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schedule_s: float = Field(
        default=0.25, gt=0, description="99th percentile of the client's delay; above it the runs cannot be compared."
    )
    fault_s: float = Field(default=1.5, gt=0, description="Of the times at which the fault began and ended.")
    step_s: float = Field(
        default=6.0, gt=0, description="Of the times of the ladder's steps, breakers and alerts, from the fault."
    )
    passing_s: float = Field(
        default=1.0, ge=0, description="A rung that was held for a shorter time was passed, and is no step of its own."
    )
    outcome_share: float = Field(default=0.15, ge=0, le=1, description="Of the share of requests of each outcome.")
    latency_ratio: float = Field(
        default=0.5, ge=0, description="Of the median time of full answers; the whole interval must lie beyond it."
    )
    latency_s: float = Field(default=0.25, ge=0, description="The same, where this is more.")


def read_tolerances(value: object) -> object:
    """Take tolerances as texts, one each, as a week job's options are: ``["step_s=8"]``.

    >>> Tolerances.model_validate(read_tolerances(["step_s=8"])).step_s
    8.0
    """
    if not isinstance(value, list | tuple):
        return value
    pairs = [str(one).partition("=") for one in value]
    return {name.strip(): number.strip() for name, _, number in pairs}


ToleranceOption = Annotated[Tolerances, BeforeValidator(read_tolerances)]
"""An option with tolerances."""


class ReplayVerdict(StrEnum):
    """What a comparison of two runs says."""

    SAME = "same"
    """Everything that is compared is within its tolerance."""
    DIFFERS = "differs"
    """Something is not."""
    NOT_COMPARABLE = "not_comparable"
    """This machine did not keep the schedule, so the service was not asked the same."""


class ReplayComparison(BaseModel):
    """A replay held against its recording."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    number: int = Field(description="Of the replay, from 1.")
    verdict: ReplayVerdict
    findings: list[Finding]
    steps: list[str] = Field(description="Rungs in order, without those that were passed.")
    latency: Estimate | None = Field(
        default=None, description="Median time of full answers minus that of the recording, in seconds."
    )
    num_requests: int


class ReplaysRecord(ExperimentsRecord):
    """Base of records of stages that replay recorded traffic; the evidence pack has a section for them."""

    recording: str = Field(default="", description="What was replayed; empty where nothing was.")
    recorded: Recording | None = Field(default=None, description="What was recorded.")
    tolerances: Tolerances = Tolerances()
    replays: list[ReplayComparison] = Field(default_factory=list)
