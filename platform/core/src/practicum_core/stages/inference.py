"""Configuration and record of the stage ``inference``: exported files answer held-out prompts in a fresh process."""

from __future__ import annotations

from pydantic import Field

from practicum_core.stages.base import StageConfig, StageRecord


class InferenceConfig(StageConfig):
    """Which exports to load."""

    model: str = Field(default="builtin:smollm2-135m", description="URI of the base model.")
    adapter: str | None = Field(default="run:stages/sft/artifacts/adapter", description="Exported adapter, if any.")
    merged: str = Field(default="run:stages/sft/artifacts/merged", description="Exported stand-alone model.")
    split: str = "validation"
    num_prompts: int = Field(default=8, ge=1)
    max_new_tokens: int = Field(default=64, ge=1)


class InferenceRecord(StageRecord):
    """Whether adapter and merged model say the same."""

    num_prompts: int
    predictions_sha256: str
