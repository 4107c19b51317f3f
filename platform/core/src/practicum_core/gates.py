"""Gates: thresholds on the metrics of a unit, and their check. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from practicum_core.metrics import StageMetric


class Comparison(StrEnum):
    """How a measured value is compared with a threshold."""

    AT_LEAST = ">="
    ABOVE = ">"
    AT_MOST = "<="
    EQUAL = "=="


class GateSpec(BaseModel):
    """A threshold on one metric of one step.

    ``bound`` selects what is compared: the value, or an end of its 95% interval, which is the safe choice for an
    estimate. An optional gate is left out if its metric was not measured. This is for metrics that need certain data:
    recall can be measured only on data that names its flaws.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    step: str
    metric: str
    comparison: Comparison
    threshold: float
    bound: Literal["value", "low", "high"] = "value"
    is_optional: bool = False
    title_en: str
    title_zh: str


class GateResult(BaseModel):
    """The result of a gate. ``value`` is ``None`` if the metric was not measured; such a gate fails."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(description="Name of the gate.")
    passed: bool = Field(description="Whether the measured value satisfies the gate.")
    value: float | None = Field(default=None, description="The measured value; absent if there is none.")
    threshold: float = Field(description="What it is held against.")


def is_satisfied(value: float, comparison: Comparison, threshold: float) -> bool:
    """Compare one value with its threshold.

    >>> is_satisfied(0.21, Comparison.ABOVE, 0.2)
    True
    """
    match comparison:
        case Comparison.AT_LEAST:
            return value >= threshold
        case Comparison.ABOVE:
            return value > threshold
        case Comparison.AT_MOST:
            return value <= threshold
        case Comparison.EQUAL:
            return value == threshold


def check_gates(gates: Sequence[GateSpec], metrics: Iterable[StageMetric]) -> tuple[GateResult, ...]:
    """Check each gate against the metrics.

    A gate whose metric is missing fails with ``value=None``; an optional gate is left out of the results.
    """
    by_key = {(metric.stage, metric.name): metric for metric in metrics}
    found = [(gate, by_key.get((gate.step, gate.metric))) for gate in gates]
    return tuple(_check_gate(gate, metric) for gate, metric in found if metric is not None or not gate.is_optional)


def _check_gate(gate: GateSpec, metric: StageMetric | None) -> GateResult:
    value: float | None = getattr(metric, gate.bound) if metric is not None else None
    passed = value is not None and is_satisfied(value, gate.comparison, gate.threshold)
    return GateResult(name=gate.name, passed=passed, value=value, threshold=gate.threshold)
