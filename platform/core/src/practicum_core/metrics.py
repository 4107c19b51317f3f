"""The models of metrics: a named value with a unit and an optional confidence interval."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Metric(BaseModel):
    """One measured value.

    ``low`` and ``high`` are the ends of a 95% interval; ``None`` means that no interval was computed.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    value: float
    unit: str = ""
    low: float | None = None
    high: float | None = None


class StageMetric(Metric):
    """A metric with the step of the unit that measured it."""

    stage: str
