"""Checks of a judge in a record. The evidence pack shows them for each stage whose record extends this one."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from practicum_core.stages.base import StageRecord


class CalibrationCheck(BaseModel):
    """One figure of a judge, held against the bar."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(description="The metric of the record.")
    value: float | None = Field(description="Null where it could not be measured; such a check is not passed.")
    low: float | None = None
    high: float | None = None
    held: float | None = Field(description="What was held against the bar: the end of the interval that is worse.")
    comparison: Literal[">=", "<="]
    bar: float
    is_passed: bool


class CanaryRound(BaseModel):
    """The known pairs, asked once more."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(description="start, middle, end, or resumed-N.")
    num_asked: int = Field(description="Each pair is asked in both orders.")
    num_right: int = Field(description="Answers that agree with the label.")
    num_changed: int = Field(description="Answers that differ from those of the first round.")
    models: list[str] = Field(default_factory=list, description="Models that the judge named itself.")


class CalibrationRecord(StageRecord):
    """Whether a judge is good enough to decide a gate, and by which figures."""

    judge: str = Field(description="What judged: its kind, address and model. Never a key.")
    is_independent: bool = Field(
        default=True, description="False where the scorers that count right answers judged themselves."
    )
    is_calibrated: bool
    checks: list[CalibrationCheck]
    canaries: list[CanaryRound] = Field(default_factory=list)
    num_asked: int = Field(default=0, description="Questions that the judge was asked, each order of each pair once.")
    unusable: dict[str, int] = Field(default_factory=dict, description="Answers that gave no verdict, by kind.")
