"""A unit: its steps, its gates and the rows of the course plan that it covers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from practicum_core.gates import Comparison, GateSpec
from practicum_core.stages import STAGES

Proof = Literal["effect", "performance"]


@dataclass(frozen=True)
class Step:
    """One stage inside a unit.

    ``config`` applies to every profile. In the quick profile, which is sized for two cores, ``quick`` overrides it.
    ``needs`` names the steps that must have finished (servers: must be ready) before this one starts; by default, the
    step before it.
    """

    name: str
    stage: str
    config: Mapping[str, Any] = field(default_factory=dict)
    quick: Mapping[str, Any] = field(default_factory=dict)
    needs: tuple[str, ...] | None = None

    @property
    def is_presentation(self) -> bool:
        """Whether its stage only presents the results of other steps."""
        return self.stage in STAGES and STAGES[self.stage].is_presentation

    @property
    def is_server(self) -> bool:
        """Whether its stage is a server."""
        return self.stage in STAGES and STAGES[self.stage].is_server


@dataclass(frozen=True)
class Unit:
    """The content of one week.

    ``merges`` names the units whose content it has in a shorter course: there, ``latest:sft`` means a run of it.
    ``proves`` is the kind of evidence that its figures are in a defence; units of other kinds count among the risks.
    """

    name: str
    title_en: str
    title_zh: str
    goal_en: str
    goal_zh: str
    requirements: tuple[str, ...]
    steps: tuple[Step, ...]
    gates: tuple[GateSpec, ...] = ()
    data_uri: str = "builtin:tickets"
    merges: tuple[str, ...] = ()
    proves: Proof | None = None

    @property
    def is_implemented(self) -> bool:
        """Whether every step's stage exists in this version."""
        return all(step.stage in STAGES for step in self.steps)


def build_gate(  # noqa: PLR0913 - a row of a table
    name: str,
    step: str,
    metric: str,
    comparison: Comparison,
    threshold: float,
    title_en: str,
    title_zh: str,
    *,
    bound: str = "value",
    is_optional: bool = False,
) -> GateSpec:
    """Return a gate: ``metric`` of the record of ``step``, or one end of its interval, compared with a threshold."""
    return GateSpec.model_validate(
        {
            "name": name,
            "step": step,
            "metric": metric,
            "comparison": comparison,
            "threshold": threshold,
            "bound": bound,
            "is_optional": is_optional,
            "title_en": title_en,
            "title_zh": title_zh,
        }
    )
