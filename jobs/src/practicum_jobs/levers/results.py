"""Figures and failures of a table of levers, the same for training and serving. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from practicum_core.metrics import Metric
from practicum_core.stages.base import Failure
from practicum_core.stages.levers import BASELINE, CONTROL, LeverRow


def build_lever_metrics(rows: Sequence[LeverRow], deciding: str, exact: Collection[str]) -> list[Metric]:
    """Build the metrics that gates read.

    Args:
        rows: Lines of the table, the baseline among them.
        deciding: The figure that verdicts are on.
        exact: Levers that may not change a result.
    """
    levers = [row for row in rows if row.name not in (BASELINE, CONTROL)]
    counts = {name: sum(row.verdict == verdict for row in levers) for name, verdict in _VERDICTS.items()}
    # A baseline that could not be measured leaves no lever measured either.
    counts["num_levers"] = len(levers)
    counts["num_unexpected_changes"] = sum(_is_unexpected(row, exact) for row in levers)
    metrics = [Metric(name=name, value=float(value)) for name, value in counts.items()]
    by_name = {row.name: row for row in rows}
    if deciding in by_name[BASELINE].figures:
        metrics.append(Metric(name=f"baseline_{deciding}", value=by_name[BASELINE].figures[deciding]))
    control = by_name[CONTROL].ratios.get(deciding)
    if control is not None:
        metrics.append(Metric(name="control_deviation", value=abs(control.value - 1)))
    best = max(
        (row.ratios[deciding] for row in levers if deciding in row.ratios), key=lambda one: one.value, default=None
    )
    if best is not None:
        metrics.append(Metric(name="best_ratio", value=best.value, low=best.low, high=best.high))
    return metrics


def build_lever_failures(rows: Sequence[LeverRow], exact: Collection[str]) -> list[Failure]:
    """Build the failures: levers that were not measured, and those that changed what they must not."""
    failures = [Failure(kind="not_measured", where=row.name, text=row.note) for row in rows if row.note]
    failures += [
        Failure(kind="result_changed", where=row.name, text=f"differs by {row.effect_size:.2%}")
        for row in rows
        if _is_unexpected(row, exact) and row.effect_size is not None
    ]
    return failures


_VERDICTS = {
    "num_better": "better",
    "num_worse": "worse",
    "num_undecided": "undecided",
    "num_unmeasured": "not_measured",
}


def _is_unexpected(row: LeverRow, exact: Collection[str]) -> bool:
    return row.effect == "changed" and row.name in exact
