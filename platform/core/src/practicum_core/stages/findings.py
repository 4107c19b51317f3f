"""Defects of a data set in a record. The evidence pack shows them for each stage whose record extends this one."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from practicum_core.stages.base import StageRecord


class Finding(BaseModel):
    """One class of defect."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(description="Such as exact_duplicate, near_duplicate, leaked_row, pii:cn_mobile, secret:aws_key.")
    num_rows: int
    share_ratio: float
    level: Literal["pass", "warn", "fail"]
    threshold_ratio: float | None = Field(default=None, description="Share above which the verdict is fail.")
    samples: list[str] = Field(default_factory=list, description="Masked.")


class ClassScore(BaseModel):
    """How well one class of planted flaws was found."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    num_planted: int
    num_flagged: int = Field(description="Places where the audit says so.")
    num_right: int = Field(description="Those of them where it was planted.")

    @property
    def recall(self) -> float | None:
        """Share of the planted flaws that were found; ``None`` where none was planted.

        >>> ClassScore(name="x", num_planted=4, num_flagged=3, num_right=3).recall
        0.75
        """
        return self.num_right / self.num_planted if self.num_planted else None

    @property
    def precision(self) -> float | None:
        """Share of what was flagged that was planted; ``None`` where nothing was flagged.

        >>> ClassScore(name="x", num_planted=4, num_flagged=0, num_right=0).precision is None
        True
        """
        return self.num_right / self.num_flagged if self.num_flagged else None


class DataFile(BaseModel):
    """A file that was read, named by its content."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    split: str
    sha256: str
    size_bytes: int


class FindingsRecord(StageRecord):
    """Which defects a data set has, and how many rows are free of them."""

    verdict: Literal["pass", "warn", "fail"]
    num_rows: int = Field(description="Rows that were read; places that hold no row are findings of their own.")
    num_clean_rows: int
    findings: list[Finding]
    uri: str = Field(default="", description="Of the data set.")
    files: list[DataFile] = Field(default_factory=list)
    lengths: dict[str, int] = Field(
        default_factory=dict, description="Tokens of a row as training renders it: min, p50, p90, p99, max."
    )
    scripts: dict[str, int] = Field(default_factory=dict, description="Rows by script.")
    scores: list[ClassScore] = Field(
        default_factory=list, description="Recall and precision by class, where the data names its planted flaws."
    )
