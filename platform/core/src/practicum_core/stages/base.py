"""What the configurations and records of all stages have in common."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

from practicum_core.metrics import Metric

MAX_SEED = 2**32 - 1
"""The largest that NumPy takes (numpy.random.seed)."""
MAX_NUMBER = 2**53
"""The largest whole number of an option: JSON readers keep it, and Python's and torch's counters bear it."""


ContentKind = Literal["model", "adapter", "data", "evidence"]
"""What an option takes by URI, and what a stage exports."""


@dataclass(frozen=True)
class UriOf:
    """Marks an option that takes a URI, so that a reference to an earlier run may stand there."""

    kind: ContentKind


ModelUri = Annotated[str, UriOf("model")]
OptionalModelUri = Annotated[str | None, UriOf("model")]
AdapterUris = Annotated[dict[str, str], UriOf("adapter")]
OptionalAdapterUri = Annotated[str | None, UriOf("adapter")]
DataUri = Annotated[str, UriOf("data")]
OptionalDataUri = Annotated[str | None, UriOf("data")]
EvidenceUris = Annotated[tuple[str, ...], UriOf("evidence")]


def get_uri_kind(option: FieldInfo) -> ContentKind | None:
    """Return what an option takes by URI; ``None`` for any other option."""
    return next((mark.kind for mark in option.metadata if isinstance(mark, UriOf)), None)


def iter_texts(value: object) -> Iterator[str]:
    """Yield the texts in the value of an option: itself, or those within a list or a table.

    >>> list(iter_texts({"student-01": "latest:sft/adapter", "rank": 8}))
    ['latest:sft/adapter']
    """
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from iter_texts(one)
    elif isinstance(value, (list, tuple)):
        for one in value:
            yield from iter_texts(one)


NAMES_RUN = "names a run"
"""Marks an option that names a whole run by a reference without a path: its directory as it is now, finished or not."""
RunName = Annotated[str, NAMES_RUN]
USES_EARLIER_WORK = "uses earlier work"
"""Marks an option that lets a stage take results of other runs; ``verify`` switches it off and does not count it."""


def list_reuse_options(config: type[StageConfig]) -> list[str]:
    """List the options of a stage that let it take results of other runs."""
    return [name for name, option in config.model_fields.items() if USES_EARLIER_WORK in option.metadata]


class StageConfig(BaseModel):
    """Base of stage configurations: flat, typed, unknown keys refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    seed: int = Field(default=7, ge=0, le=MAX_SEED, description="Seed of everything random in the stage.")

    @field_validator("*", mode="before")
    @classmethod
    def refuse_odd_values(cls, value: object, info: ValidationInfo) -> object:
        """Refuse true and false as numbers (pydantic reads 1 and 0), numbers beyond 2**53, and null characters."""
        annotation = cls.model_fields[info.field_name or ""].annotation
        if isinstance(value, bool) and bool not in (annotation, *get_args(annotation)):
            raise PydanticCustomError("claim_as_value", "input should be a value, not true or false")
        if isinstance(value, str) and "\0" in value:
            raise PydanticCustomError("null_character", "input should be a text without null characters")
        if isinstance(value, int) and abs(value) > MAX_NUMBER:
            raise PydanticCustomError("number_too_large", "input should be a number that a computer counts with")
        return value

    def list_splits(self) -> tuple[str, ...]:
        """List the splits of the run's data that the stage reads with these options."""
        return ()


class Artifact(BaseModel):
    """A file or folder that a stage leaves behind."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str = Field(description="Relative to the run directory.")
    sha256: str = Field(description="Of the file, or of the sorted list of the folder's files and their hashes.")
    size_bytes: int
    note: str = ""


class Failure(BaseModel):
    """A point where something went wrong and was survived, or that a person should know of."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: str = Field(description="Short name, such as worker_lost, overfitting, truncated_rows.")
    where: str = Field(description="Step, row or file.")
    text: str = Field(description="One sentence for a person.")


class StageRecord(BaseModel):
    """Base of stage records: what a stage measured and left behind. Its file means that the stage succeeded."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: int = 1
    stage: str
    step: str
    started_at: str = Field(description="ISO 8601, UTC.")
    finished_at: str = Field(description="ISO 8601, UTC.")
    duration_s: float
    metrics: list[Metric] = Field(default_factory=list)
    failures: list[Failure] = Field(default_factory=list)
    artifacts: list[Artifact] = Field(default_factory=list)
    notes: list[str] = Field(default_factory=list)
