"""Configuration and record of the stage ``fakeserve``: the fake engine, until it is stopped."""

from __future__ import annotations

from practicum_core.stages.base import StageConfig, StageRecord
from practicum_core.stages.spec import Endpoint, StageSpec
from practicum_core.texts import Bilingual


class FakeserveConfig(StageConfig):
    """How fast it is."""

    step_s: float = 0.005


class FakeserveRecord(StageRecord):
    """Nothing but what every record has."""


SPEC = StageSpec(
    "fakeserve",
    Bilingual("serves the fake engine", "运行模拟引擎"),
    "base",
    FakeserveConfig,
    FakeserveRecord,
    program="faulty.fakeserve",
    endpoint=Endpoint(port=8000, ready_path="/v1/models", live_path="/v1/models", startup_s=20),
)
