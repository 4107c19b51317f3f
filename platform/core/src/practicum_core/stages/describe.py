"""Configuration and record of the stage ``describe``: a deployment described from what runs."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from practicum_core.deployment import Deployment
from practicum_core.metrics import Metric
from practicum_core.stages.base import RunName, StageConfig, StageRecord
from practicum_core.stages.spec import StageSpec
from practicum_core.stages.titles import figure, key_figure
from practicum_core.texts import Bilingual


class DescribeConfig(StageConfig):
    """What is described."""

    run: RunName = Field(
        default="",
        description="Run whose servers are described: latest:UNIT, run:RUN_ID or pointer:NAME; the own one without it.",
    )
    timeout_s: float = Field(default=5.0, gt=0, description="For an answer of a server.")


class DescribeRecord(StageRecord):
    """What was found."""

    deployment: Deployment


METRICS = {
    "num_components": key_figure("Servers of the deployment", "部署中的服务数", "count"),
    "num_not_ready": figure("Servers that were not ready", "未就绪的服务数", "count"),
    "num_weaknesses": key_figure("Known weaknesses", "已知弱点数", "count"),
}


def describe_result(metrics: Mapping[str, Metric]) -> str:
    """Say what is described.

    >>> values = {"num_components": 3, "num_weaknesses": 1}
    >>> describe_result({name: Metric(name=name, value=value) for name, value in values.items()})
    'The description names 3 servers and 1 known weaknesses'
    """
    servers, weaknesses = metrics.get("num_components"), metrics.get("num_weaknesses")
    if servers is None or weaknesses is None:
        return ""
    return f"The description names {servers.value:.0f} servers and {weaknesses.value:.0f} known weaknesses"


SPEC = StageSpec(
    "describe",
    Bilingual("describes the deployment from what runs, in both languages", "根据实际运行的内容生成部署说明（中英文）"),
    "base",
    DescribeConfig,
    DescribeRecord,
    metrics=METRICS,
    describe_result=describe_result,
)
