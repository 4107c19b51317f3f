"""Overlap between splits in a record. The evidence pack shows it for each stage whose record extends this one."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from practicum_core.stages.base import StageRecord


class Leak(BaseModel):
    """Overlap between two splits."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(description="KIND:SPLIT-SPLIT, such as exact:train-test; the name a waiver gives.")
    num_rows: int
    share_ratio: float
    waived: bool
    examples: list[str] = Field(default_factory=list, description="Row ids, PII-free.")


class LeaksRecord(StageRecord):
    """Which splits overlap."""

    leaks: list[Leak] = Field(default_factory=list)
