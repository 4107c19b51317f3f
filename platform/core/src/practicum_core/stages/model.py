"""Configuration and record of the stage ``model``: brings the base model's files into the cache and hashes them."""

from __future__ import annotations

from pydantic import Field

from practicum_core.stages.base import StageConfig, StageRecord


class ModelConfig(StageConfig):
    """What to fetch."""

    model: str = Field(default="builtin:smollm2-135m", description="URI of the base model.")


class ModelRecord(StageRecord):
    """What was fetched."""

    uri: str
    revision: str = ""
    family: str = Field(default="", description="Architecture name, such as llama.")
    num_parameters: int
    tokenizer_sha256: str
    chat_template_sha256: str
