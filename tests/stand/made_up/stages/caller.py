"""Configuration and record of the stage ``caller``: asks a greeter for a number of greetings."""

from __future__ import annotations

from pydantic import Field

from practicum_core.stages.base import StageConfig, StageRecord
from practicum_core.stages.spec import StageSpec
from practicum_core.texts import Bilingual


class CallerConfig(StageConfig):
    """Whom to ask, how often, and for how long to go on when nobody answers."""

    endpoint: str = Field(default="step:greeter", description="Address of the greeter.")
    num_greetings: int = Field(default=5, ge=1)
    pause_s: float = Field(default=0.1, ge=0, description="Seconds between two requests.")
    patience_s: float = Field(default=60.0, gt=0, description="Seconds without an answer after which it gives up.")


class CallerRecord(StageRecord):
    """What was answered."""

    num_greetings: int
    num_failures: int
    servers: list[str] = Field(description="Process or pod of each server that answered, in order.")


SPEC = StageSpec(
    "caller",
    Bilingual("asks the greeter for greetings", "向问候服务请求问候"),
    "base",
    CallerConfig,
    CallerRecord,
    program="made_up.caller",
)
