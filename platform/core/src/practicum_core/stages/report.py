"""Configuration and record of the stage ``report``: builds the evidence pack from records."""

from __future__ import annotations

from pydantic import Field

from practicum_core.stages.base import StageConfig, StageRecord
from practicum_core.stages.spec import StageSpec
from practicum_core.stages.titles import figure
from practicum_core.texts import Bilingual


class ReportConfig(StageConfig):
    """What the pack shows beside records."""

    max_samples: int = Field(default=12, ge=0, description="Samples shown per step.")


class ReportRecord(StageRecord):
    """Where the pack lies and what its gates say."""

    verdict: str
    html: str
    html_sha256: str


METRICS = {
    "gates_passed": figure("Gates passed", "通过的门槛", "count"),
    "html_bytes": figure("Size of the page", "页面大小", "bytes"),
}
SPEC = StageSpec(
    "report",
    Bilingual("builds this pack", "生成本证据包"),
    "base",
    ReportConfig,
    ReportRecord,
    is_presentation=True,
    metrics=METRICS,
)
