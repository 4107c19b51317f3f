"""The model of ``evidence.json``, the machine-readable result of a unit."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from practicum_core.gates import GateResult
from practicum_core.lineage import BuiltOn
from practicum_core.metrics import StageMetric

Verdict = Literal["passed", "failed"]


class Evidence(BaseModel):
    """The evidence of one run of a unit."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: int = 1
    unit: str
    run: str
    verdict: Verdict
    gates: list[GateResult]
    metrics: list[StageMetric]
    requirements: list[str] = Field(default_factory=list, description="Course requirements that this unit covers.")
    durations_s: dict[str, float] = Field(default_factory=dict, description="Seconds by step.")
    reproduce: str = Field(default="", description="The command that starts this run again.")
    built_on: list[BuiltOn] = Field(default_factory=list, description="Earlier runs that this one started from.")
    sealed: dict[str, str] = Field(
        default_factory=dict,
        description="SHA-256 of the files that the pack was built from, by path in the run directory: an edit shows.",
    )


def get_verdict(gates: list[GateResult] | tuple[GateResult, ...]) -> Verdict:
    """Return ``passed`` if every gate passed. A unit without gates never passes.

    >>> get_verdict([])
    'failed'
    """
    return "passed" if gates and all(gate.passed for gate in gates) else "failed"
