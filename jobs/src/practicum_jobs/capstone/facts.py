"""What the weeks of a chain measured, ordered for people: gates, key figures, failures and times by week. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from practicum_core.curriculum import UNITS
from practicum_core.durations import measure_duration
from practicum_core.errors import ConfigError, DataError
from practicum_core.layout import RunLayout
from practicum_core.metrics import StageMetric
from practicum_core.stages.base import Failure
from practicum_core.step_files import iter_records, read_record
from practicum_core.texts import Bilingual, Text
from practicum_core.units.unit import Proof
from practicum_jobs.capstone.weeks import Week
from practicum_jobs.render.chain import name_unit
from practicum_jobs.render.figures import get_metric_title, name_failure, rank_metric

KEY_FIGURES = 6
"""Figures of a week that a page shows; the week's own pack has them all."""


@dataclass(frozen=True)
class FailureCount:
    """A kind of failure that a week recorded."""

    title: Text
    number: int
    example: str


@dataclass(frozen=True)
class WeekFacts:
    """One week as the documents show it.

    Attributes:
        gates: The titles of its gates and whether each passed.
        duration_s: Seconds in which at least one of its steps ran.
    """

    week: Week
    title: Bilingual
    gates: tuple[tuple[Bilingual, bool], ...]
    figures: tuple[StageMetric, ...]
    failures: tuple[FailureCount, ...]
    duration_s: float

    @property
    def has_passed(self) -> bool:
        """Whether every gate of the week passed."""
        return self.week.evidence.verdict == "passed"

    @property
    def failed_gates(self) -> tuple[Bilingual, ...]:
        """Titles of the gates that did not pass."""
        return tuple(title for title, passed in self.gates if not passed)


def gather_facts(weeks: Sequence[Week]) -> list[WeekFacts]:
    """Gather what the weeks measured, in their order."""
    return [_gather_week(week) for week in weeks]


def list_shown(layout: RunLayout, steps: Sequence[str]) -> list[StageMetric]:
    """List the figures of steps of a run that documents show: key figures, and those with an interval.

    Raises:
        ConfigError: There is no such step, or it has no record yet.
    """
    found: list[StageMetric] = []
    for step in steps:
        try:
            metrics = read_record(layout, step).metrics
        except DataError as error:
            raise ConfigError(f"capstone.shown names '{step}', which has no record", "name steps before it") from error
        found += [
            StageMetric(stage=step, **metric.model_dump())
            for metric in metrics
            if metric.low is not None or get_metric_title(metric).is_key
        ]
    return found


def choose_weeks(facts: Iterable[WeekFacts], proof: Proof) -> list[WeekFacts]:
    """Choose the weeks whose figures are evidence of a kind, in the order of the course."""
    return [one for one in facts if one.week.unit in UNITS and UNITS[one.week.unit].proves == proof]


def _gather_week(week: Week) -> WeekFacts:
    unit = UNITS.get(week.unit)
    titles = {gate.name: Bilingual(gate.title_en, gate.title_zh) for gate in unit.gates} if unit else {}
    gates = tuple((titles.get(gate.name, Bilingual(gate.name, gate.name)), gate.passed) for gate in week.evidence.gates)
    return WeekFacts(
        week,
        name_unit(week.unit),
        gates,
        tuple(_choose_figures(week.evidence.metrics)),
        tuple(_count_failures(week)),
        measure_duration(record for _, record in iter_records(week.layout)),
    )


def _choose_figures(metrics: Sequence[StageMetric]) -> list[StageMetric]:
    """Choose key figures, those with an interval first."""
    keys = [metric for metric in metrics if get_metric_title(metric).is_key]
    ordered = sorted(keys, key=lambda metric: (metric.low is None, rank_metric(metric.name)))
    return ordered[:KEY_FIGURES]


def _count_failures(week: Week) -> list[FailureCount]:
    found = list(_iter_failures(week))
    counts = Counter(failure.kind for failure in found)
    first = {failure.kind: failure for failure in reversed(found)}
    return [
        FailureCount(name_failure(kind), number, f"{first[kind].where}: {first[kind].text}")
        for kind, number in counts.most_common()
    ]


def _iter_failures(week: Week) -> Iterable[Failure]:
    for step in week.evidence.durations_s:
        try:
            yield from read_record(week.layout, step).failures
        except DataError:
            continue  # its broken seal is told
