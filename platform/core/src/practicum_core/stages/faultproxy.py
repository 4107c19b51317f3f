"""Configuration and record of the stage ``faultproxy``: passes requests on to an engine, and faults on demand."""

from __future__ import annotations

from pydantic import Field, field_validator

from practicum_core.stages.base import StageConfig, StageRecord
from practicum_core.stages.server_addresses import check_server_address
from practicum_core.stages.spec import Endpoint, PodSize, StageSpec
from practicum_core.stages.titles import figure
from practicum_core.texts import Bilingual


class FaultproxyConfig(StageConfig):
    """Where the engine is."""

    upstream: str = Field(default="step:serve", description="Address of the engine, without /v1.")

    @field_validator("upstream")
    @classmethod
    def _check_address(cls, url: str) -> str:
        return check_server_address(url, "upstream")


class FaultproxyRecord(StageRecord):
    """What passed through since the last start."""

    num_passed: int = Field(description="Requests that passed as they were.")
    num_hit: int = Field(description="Requests that a fault hit.")


SPEC = StageSpec(
    "faultproxy",
    Bilingual("stands between gateway and engine, and breaks what it is told to", "位于网关与引擎之间，按指令制造故障"),
    "base",
    FaultproxyConfig,
    FaultproxyRecord,
    endpoint=Endpoint(port=8090, ready_path="/readyz", live_path="/healthz", startup_s=60.0),
    pod_size=PodSize("200m", "512Mi", cpu_limit="1"),
    metrics={
        "num_passed": figure("Requests that passed the fault proxy", "故障代理放行的请求", "count"),
        "num_hit": figure("Requests that a fault hit", "被注入故障的请求", "count"),
    },
)
