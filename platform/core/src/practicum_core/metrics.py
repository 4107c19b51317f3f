"""Decides the shape of a number that travels: a metric with its unit and, where known, its interval."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Metric(BaseModel):
    """One measured figure.

    ``low`` and ``high`` bound a 95% interval; ``None`` means that no interval was computed.
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
