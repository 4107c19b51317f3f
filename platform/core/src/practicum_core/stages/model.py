"""Configuration and record of the stage ``model``: brings the base model's files into the cache and hashes them."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from practicum_core.stages.base import ModelUri, OptionalDataUri, StageConfig, StageRecord
from practicum_core.stages.spec import StageSpec
from practicum_core.stages.titles import figure
from practicum_core.texts import Bilingual


class ModelConfig(StageConfig):
    """What to fetch, and the data that later steps read, which is looked at before."""

    model: ModelUri = Field(default="builtin:smollm2-135m", description="URI of the base model.")
    data: OptionalDataUri = Field(
        default=None, description="URI of the data set: its files are listed before the model is fetched."
    )
    needed_splits: dict[str, list[str]] = Field(
        default_factory=dict,
        description="Splits that later steps read, each with their names; filled in from their options.",
    )


class ModelFile(BaseModel):
    """One file of a model."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str = Field(description="Relative to the model's folder.")
    sha256: str
    size_bytes: int


class ModelLock(BaseModel):
    """The file ``model.lock.json``: which model a run started from, by content."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: int = 1
    uri: str
    revision: str = Field(default="", description="Commit or hash of what the URI named; empty for a plain folder.")
    family: str = Field(default="", description="Architecture name, such as llama.")
    num_parameters: int
    tokenizer_sha256: str = Field(description="Of tokenizer.json.")
    chat_template_sha256: str = Field(description="Of the template's text.")
    sha256: str = Field(description="Of the sorted `<hash>  <path>` lines of every file below.")
    files: list[ModelFile]


class ModelRecord(StageRecord):
    """What was fetched."""

    uri: str
    revision: str = ""
    family: str = Field(default="", description="Architecture name, such as llama.")
    num_parameters: int
    tokenizer_sha256: str
    chat_template_sha256: str
    sha256: str = Field(default="", description="Of all files, as in model.lock.json.")


METRICS = {
    "num_parameters": figure("Parameters", "参数量", "count"),
    "size_bytes": figure("Size", "大小", "bytes"),
    "fetch_s": figure("Time to fetch", "获取耗时", "seconds"),
}
SPEC = StageSpec(
    "model",
    Bilingual("fetches the base model and hashes its files", "获取基座模型并计算哈希值"),
    "train",
    ModelConfig,
    ModelRecord,
    locks=frozenset({"model"}),
    metrics=METRICS,
)
