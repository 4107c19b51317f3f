"""Configuration and record of the stage ``audit``: what is wrong with a data set, row by row, and a clean copy."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from practicum_core.stages.base import StageConfig, StageRecord


class AuditConfig(StageConfig):
    """What to audit and where a finding becomes a warning or a failure."""

    data: str = Field(default="builtin:tickets-flawed", description="URI of the data set, or a file's path.")
    model: str | None = Field(
        default="builtin:smollm2-135m", description="Model whose tokenizer and chat template measure lengths."
    )
    format: Literal["auto", "alpaca", "chat", "preference"] = "auto"
    max_length: int = Field(default=1024, ge=16, description="Tokens after which a row would be truncated.")
    near_duplicate_threshold: float = Field(default=0.8, gt=0, le=1, description="Jaccard similarity of shingles.")
    num_permutations: int = Field(default=128, ge=16, le=1024)
    max_row_bytes: int = Field(default=1_000_000, ge=1_000, description="A longer row is refused, not read.")
    num_samples: int = Field(default=5, ge=0, description="Masked samples kept per finding.")
    clean_copy: bool = Field(default=True, description="Write the rows that pass, and a manifest of the others.")


class Finding(BaseModel):
    """One class of defect."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(description="Such as exact_duplicate, near_duplicate, leaked_row, pii:cn_mobile, secret:aws_key.")
    num_rows: int
    share_ratio: float
    level: Literal["pass", "warn", "fail"]
    threshold_ratio: float | None = Field(default=None, description="Share above which the verdict is fail.")
    samples: list[str] = Field(default_factory=list, description="Masked.")


class AuditRecord(StageRecord):
    """What the audit found."""

    verdict: Literal["pass", "warn", "fail"]
    num_rows: int
    num_clean_rows: int
    findings: list[Finding]
