"""Points for the weeks of a class by a rubric: gates, metrics, and days late. Pure: reads no file and no clock."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field

from practicum_core.evidence import Evidence
from practicum_core.gates import Comparison, is_satisfied

_DAY_S = 86_400


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class MetricPoints(_Part):
    """Points for a metric of a step that reaches a threshold."""

    step: str
    metric: str
    comparison: Comparison = Comparison.AT_LEAST
    threshold: float
    points: float = Field(gt=0)


class WeekRubric(_Part):
    """What one week is worth."""

    due: dt.datetime | None = Field(default=None, description="Later runs are late; with a time zone.")
    gate_points: float = Field(default=1.0, ge=0, description="Of a gate that passed, where gates names no other.")
    gates: dict[str, float] = Field(default_factory=dict, description="Points of a gate by its name.")
    metrics: tuple[MetricPoints, ...] = Field(default=(), description="Points beside those of the gates.")


class Rubric(_Part):
    """How a class is graded; every week without an entry counts one point a gate."""

    variant: int = Field(default=10, description="Length of the course in weeks: 8, 10 or 12.")
    weeks: dict[str, WeekRubric] = Field(default_factory=dict, description="By week-NN or the name of a unit.")
    late_share_per_day: float = Field(default=0.1, ge=0, le=1, description="Of the points, for every day begun.")
    late_share_at_most: float = Field(default=0.5, ge=0, le=1)


@dataclass(frozen=True)
class WeekGrade:
    """The grade of one week of one student.

    Attributes:
        points: Counted; 0 where something about the evidence is wrong.
        earned: What gates and metrics gave, less what is due to lateness.
        possible: What all gates and metrics would have given.
        gates_passed: Gates that passed.
        num_gates: All gates.
        days_late: Days begun after the due time.
        problems: What is wrong with the evidence, each in a sentence.
    """

    points: float
    earned: float
    possible: float
    gates_passed: int
    num_gates: int
    days_late: int
    problems: tuple[str, ...]


def grade_week(
    rubric: Rubric, week: WeekRubric, evidence: Evidence, finished: dt.datetime | None, problems: Sequence[str]
) -> WeekGrade:
    """Grade one week.

    Args:
        rubric: Of the class.
        week: Of this week.
        evidence: Of the run.
        finished: When its last step ended, with a time zone; ``None`` where nobody knows, which is not late.
        problems: What was found wrong with the evidence.

    >>> from practicum_core.gates import GateResult
    >>> gates = [GateResult(name="a", passed=True, threshold=0), GateResult(name="b", passed=False, threshold=0)]
    >>> evidence = Evidence(unit="sft", run="x", verdict="failed", gates=gates, metrics=[])
    >>> grade = grade_week(Rubric(), WeekRubric(gates={"a": 3}), evidence, None, [])
    >>> grade.points, grade.possible
    (3.0, 4.0)
    """
    worth = {gate.name: week.gates.get(gate.name, week.gate_points) for gate in evidence.gates}
    reached = sum(worth[gate.name] for gate in evidence.gates if gate.passed)
    values = {(metric.stage, metric.name): metric.value for metric in evidence.metrics}
    for asked in week.metrics:
        value = values.get((asked.step, asked.metric))
        if value is not None and is_satisfied(value, asked.comparison, asked.threshold):
            reached += asked.points
    days_late = count_days_late(week.due, finished)
    kept = 1 - min(days_late * rubric.late_share_per_day, rubric.late_share_at_most)
    earned = float(reached * kept)
    return WeekGrade(
        points=0.0 if problems else earned,
        earned=earned,
        possible=float(sum(worth.values()) + sum(asked.points for asked in week.metrics)),
        gates_passed=sum(gate.passed for gate in evidence.gates),
        num_gates=len(evidence.gates),
        days_late=days_late,
        problems=tuple(problems),
    )


def count_days_late(due: dt.datetime | None, finished: dt.datetime | None) -> int:
    """Count the days begun after the due time.

    >>> due = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    >>> [count_days_late(due, due + dt.timedelta(hours=hours)) for hours in (-1, 0, 1, 25)]
    [0, 0, 1, 2]
    """
    if due is None or finished is None or finished <= due:
        return 0
    return math.ceil((finished - due).total_seconds() / _DAY_S)


def find_copies(seals: Mapping[str, Mapping[str, str]]) -> dict[str, list[str]]:
    """Return, by student, the others whose records of one week are equal: records hold times, so no two runs share one.

    Args:
        seals: By student, the hashes of the records of their run of the week, by path.

    >>> find_copies({"a": {"stages/sft/record.json": "1"}, "b": {"stages/sft/record.json": "1"}, "c": {}})
    {'a': ['b'], 'b': ['a']}
    """
    owners: dict[tuple[str, str], set[str]] = {}
    for student, sealed in seals.items():
        for path, digest in sealed.items():
            if path.endswith("/record.json"):
                owners.setdefault((path, digest), set()).add(student)
    copies: dict[str, set[str]] = {}
    for sharing in owners.values():
        for student in sharing if len(sharing) > 1 else ():
            copies.setdefault(student, set()).update(sharing - {student})
    return {student: sorted(others) for student, others in sorted(copies.items())}
