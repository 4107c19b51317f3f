"""What a record says of repaired data: decisions with their criteria, changed splits, and which figures are clean.

The evidence pack shows them for each stage whose record extends :class:`RepairRecord`.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from practicum_core.gates import Comparison, is_satisfied
from practicum_core.stages.findings import FindingsRecord
from practicum_core.texts import Bilingual


class _Titled(BaseModel):
    """A part of a record with a title in both languages."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title_en: str
    title_zh: str

    @property
    def title(self) -> Bilingual:
        """The title in both languages."""
        return Bilingual(self.title_en, self.title_zh)


class Criterion(_Titled):
    """One condition of a decision."""

    value: float
    comparison: Comparison
    threshold: float
    style: Literal["count", "share"] = "count"

    @property
    def holds(self) -> bool:
        """Whether the value satisfies the condition."""
        return is_satisfied(self.value, self.comparison, self.threshold)


class Decision(_Titled):
    """Whether a step trains: yes if every criterion holds. Steps that train read it from a file."""

    name: str = Field(description="Of its file, NAME.json, which the step that follows it reads.")
    criteria: list[Criterion] = Field(min_length=1)

    @property
    def is_yes(self) -> bool:
        """Whether the step trains."""
        return all(criterion.holds for criterion in self.criteria)

    def list_reasons(self) -> list[Criterion]:
        """List the criteria that decided: those that do not hold, or all of them where every one holds."""
        return [criterion for criterion in self.criteria if not criterion.holds] or self.criteria


class SplitChange(_Titled):
    """One kind of rows that a split gained, lost or kept; the title says which rows."""

    split: str
    num_rows: int
    change: Literal["kept", "added", "left_out"]


class SplitClaim(_Titled):
    """Whether figures on a split are clean; the title says why."""

    split: str
    is_clean: bool


class Origin(BaseModel):
    """A failure and what was made of it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    split: str
    id: str
    cause: str
    num_rows: int = Field(description="Training rows that came from it.")
    num_pairs: int = Field(description="Preference pairs that came from it.")


class RepairRecord(FindingsRecord):
    """How data was repaired: the findings are those of its preference pairs."""

    decisions: list[Decision]
    changes: list[SplitChange]
    claims: list[SplitClaim]
    origins: list[Origin] = Field(default_factory=list)
    unrepaired_failures: int = Field(default=0, description="Failures of which no new row or pair was made.")
