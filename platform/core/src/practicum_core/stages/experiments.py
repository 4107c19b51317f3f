"""Experiments on a service: the file of one, in the format of chaostoolkit, and what came out of it."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from practicum_core.rungs import Rung, RungChange
from practicum_core.stages.base import StageRecord
from practicum_core.texts import Bilingual


class Pauses(BaseModel):
    """Seconds to wait around an activity."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    before: float = Field(default=0.0, ge=0, le=3600)
    after: float = Field(default=0.0, ge=0, le=3600)


class Provider(BaseModel):
    """What an activity calls: a function of practicum_jobs.chaos by its name."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: Literal["python"] = "python"
    module: Literal["practicum_jobs.chaos"] = "practicum_jobs.chaos"
    func: str
    arguments: dict[str, Any] = Field(default_factory=dict)


class Activity(BaseModel):
    """A step of an experiment: an action, or a probe with what it must find."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: Literal["action", "probe"] = "action"
    name: str
    provider: Provider
    tolerance: Any = Field(default=None, description="Of a probe: a value, or {type: range, range: [low, high]}.")
    pauses: Pauses = Pauses()


class Hypothesis(BaseModel):
    """The steady state: what must be found before the fault, and again at the end."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str
    probes: list[Activity]


class Settings(BaseModel):
    """What an experiment says beside chaostoolkit's format, in its ``configuration``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title_zh: str = ""
    steady_s: float = Field(default=5.0, ge=0, le=3600, description="Load before the method.")
    recovery_s: float = Field(default=30.0, ge=0, le=3600, description="Load after the method.")
    max_recovery_s: float = Field(
        default=120.0, ge=0, le=3600, description="More load after that, until the best rung answers again."
    )
    lowest_rung: Rung = Field(default=Rung.FULL, description="The ladder must go down to this rung at least.")
    deepest_rung: Rung = Field(default=Rung.APOLOGY, description="The ladder must not go below this rung.")
    min_answered: float = Field(
        default=0.0, ge=0, le=1, description="Share of the requests that must be answered, by any rung."
    )
    max_upstream_ratio: float | None = Field(
        default=None, gt=0, description="Requests at the fault proxy for each one of a client, at most: retries show."
    )
    max_e2e_s: float = Field(default=30.0, gt=0, description="Within which 99 of 100 requests must end, well or not.")


class Experiment(BaseModel):
    """An experiment as it is written. Fields of chaostoolkit that say nothing here are read over."""

    model_config = ConfigDict(extra="ignore", frozen=True, populate_by_name=True)

    title: str
    description: str = ""
    configuration: Settings = Settings()
    hypothesis: Hypothesis | None = Field(default=None, alias="steady-state-hypothesis")
    method: list[Activity] = Field(min_length=1)
    rollbacks: list[Activity] = Field(default_factory=list)

    @model_validator(mode="after")
    def _check_activities(self) -> Experiment:
        if any(one.type != "action" for one in self.rollbacks):
            raise ValueError("rollbacks are actions")
        if self.hypothesis is not None and any(one.type != "probe" for one in self.hypothesis.probes):
            raise ValueError("a hypothesis has probes")
        return self

    @property
    def method_s(self) -> float:
        """Seconds that the pauses of the method take together."""
        return sum(one.pauses.before + one.pauses.after for one in self.method)

    @property
    def names(self) -> Bilingual:
        """Its title in both languages."""
        return Bilingual(self.title, self.configuration.title_zh or self.title)


class Verdict(StrEnum):
    """How an experiment ended."""

    HELD = "held"
    """The service did what was expected, and the steady state is back."""
    DEVIATED = "deviated"
    """It did not."""
    NOT_STEADY = "not_steady"
    """The steady state did not hold before the fault, so nothing was tried."""
    NOT_UNDONE = "not_undone"
    """The fault could not be taken back."""
    BROKEN_OFF = "broken_off"
    """An error ended the experiment itself, so that nothing is known."""


class Finding(BaseModel):
    """One thing that was measured against its bound."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    shown: str = Field(description="What was found.")
    bound: str = Field(description="What must be.")
    is_met: bool


class ExperimentResult(BaseModel):
    """What came out of one experiment. Times are seconds from the start of the stage."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    title_en: str
    title_zh: str
    verdict: Verdict
    hypothesis: str = Field(default="", description="Title of the steady state.")
    method: list[str] = Field(default_factory=list, description="Names of its actions and probes, in order.")
    start_s: float
    fault_s: float | None = Field(default=None, description="When its first action was done.")
    undone_s: float | None = Field(default=None, description="When its last action was taken back.")
    end_s: float
    findings: list[Finding] = Field(default_factory=list)
    num_requests: int = 0
    num_full: int = Field(default=0, description="Answered by the model as asked.")
    num_degraded: int = Field(default=0, description="Answered by a lower rung.")
    num_errors: int = Field(default=0, description="Ended with an error of the API's shape.")
    num_lost: int = Field(default=0, description="Ended without an answer and without such an error.")
    failures: dict[str, int] = Field(default_factory=dict, description="Requests that did not end well, by kind.")
    changes: list[RungChange] = Field(default_factory=list)
    down_s: float | None = Field(default=None, description="From the fault to the first step down.")
    back_s: float | None = Field(default=None, description="From the end of the fault to the best rung.")
    left_behind: list[str] = Field(default_factory=list, description="What could not be undone, and how to remove it.")
    error: str = Field(default="", description="What ended it before its time; empty where nothing did.")
    repeat: str = Field(description="Command that does it again.")


class TimePoint(BaseModel):
    """One second of the time line."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    at_s: float
    num_sent: int
    num_full: int
    num_degraded: int
    num_failed: int
    depth: int = Field(description="How far down the ladder is.")


class RungUse(BaseModel):
    """What the answers of one rung took, over all experiments; seconds from the scheduled time of a request."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rung: Rung
    num_requests: int
    first_token_p50_s: float | None = Field(default=None, description="Median; none where no answer had a token.")
    e2e_p50_s: float
    e2e_p95_s: float


class ExperimentsRecord(StageRecord):
    """Base of records of stages that make experiments; the evidence pack has a section for them."""

    results: list[ExperimentResult]
    timeline: list[TimePoint] = Field(default_factory=list)
    rungs: list[RungUse] = Field(default_factory=list, description="By the rungs that answered, best first.")


class RungQuality(BaseModel):
    """What one rung is worth on the same rows, what it takes, and what it costs. Means are over all rows."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rung: Rung
    num_rows: int
    num_answered: int = Field(description="Rows that got an answer; the others count 0.")
    quality: float = Field(ge=0, le=1, description="Mean score: fields that are right, or the grade of the scorer.")
    quality_low: float
    quality_high: float
    e2e_p50_s: float
    e2e_p95_s: float
    prompt_tokens: float = Field(description="Of a request, as the engine counted them; 0 without an engine.")
    completion_tokens: float
    above_next: float | None = Field(
        default=None, description="Its quality minus that of the next lower rung, paired by row; none of the lowest."
    )
    above_next_low: float | None = None
    above_next_high: float | None = None
    is_worse: bool = Field(default=False, description="Whether it is worse than the next lower rung for certain.")


class RungsRecord(StageRecord):
    """Base of records of stages that measure rungs; the evidence pack has a table for them."""

    qualities: list[RungQuality] = Field(description="By rungs, best first.")
