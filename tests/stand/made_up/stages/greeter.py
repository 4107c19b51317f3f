"""Configuration and record of the stage ``greeter``: an HTTP server that greets."""

from __future__ import annotations

import os

from pydantic import Field

from practicum_core.stages.base import StageConfig, StageRecord
from practicum_core.stages.spec import Endpoint, StageSpec
from practicum_core.texts import Bilingual

STARTUP_S = float(os.environ.get("MADE_UP_STARTUP_S", "12"))
"""A test whose server never becomes ready waits less."""


class GreeterConfig(StageConfig):
    """How to greet."""

    greeting: str = Field(default="hello", description="Word of the answer.")
    startup_s: float = Field(default=0.0, ge=0, description="Seconds until it is ready.")


class GreeterRecord(StageRecord):
    """How often it was asked since its last start."""

    num_requests: int


SPEC = StageSpec(
    "greeter",
    Bilingual("greets over HTTP until it is stopped", "通过 HTTP 问候，直到被停止"),
    "base",
    GreeterConfig,
    GreeterRecord,
    program="made_up.greeter",
    endpoint=Endpoint(port=8000, ready_path="/readyz", live_path="/healthz", startup_s=STARTUP_S),
)
