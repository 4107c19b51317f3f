"""Faults between a gateway and an engine, as values: what the fault proxy does to the requests that pass it."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

FAULT_PATH = "/faults"
"""Path of the proxy at which the fault is set (PUT), cleared (DELETE) and shown (GET)."""


class FaultKind(StrEnum):
    """What happens to an answer."""

    NONE = "none"
    """It passes."""
    SLOW_FIRST_TOKEN = "slow_first_token"  # noqa: S105 - a token of a model
    """It begins late."""
    ERRORS = "errors"
    """It is an error of the server, without the shape of OpenAI's."""
    CUT = "cut"
    """It breaks off in its middle."""
    MALFORMED = "malformed"
    """An event in its middle is half of a JSON text."""


class Fault(BaseModel):
    """A fault with its numbers."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: FaultKind = FaultKind.NONE
    delay_s: float = Field(default=10.0, gt=0, le=3600, description="Of slow_first_token.")
    status: int = Field(default=500, ge=500, le=599, description="Of errors.")
    after_chunks: int = Field(default=2, ge=0, le=10_000, description="Of cut and malformed.")
    every: int = Field(default=1, ge=1, le=1000, description="Every how many requests are hit.")
