"""How far what two executions of a step left behind agrees: metrics, facts, artifacts and samples. Read-only.

Metrics of the machine (seconds, throughput, memory, answers kept from earlier runs) are counted but not compared,
because they vary. The same holds for the metrics of the evidence pack, which contains times, and for a stage that
measures speed as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from practicum_core.json_files import read_json_lines
from practicum_core.layout import RunLayout
from practicum_core.metrics import Metric
from practicum_core.stages import STAGES
from practicum_core.step_files import read_record

DEFAULT_TOLERANCE = 1e-3
_MACHINE_UNITS = ("s", "ms", "us", "GiB", "MiB", "KiB")
_MACHINE_SUFFIXES = ("_s", "_ms", "_per_s", "_gib", "_mib", "_rss_bytes", "cached")
_COMMON_FIELDS = frozenset(
    {
        "step",
        "started_at",
        "finished_at",
        "duration_s",
        "metrics",
        "artifacts",
        "failures",
        "notes",
        "html",
        "html_sha256",
    }
)
_VOLATILE_KEYS = frozenset({"time_s", "seconds", "duration_s", "latency_s"})


class Agreement(StrEnum):
    """How far two values agree, from best to worst."""

    EQUAL = "bit-equal"
    CLOSE = "within tolerance"
    DIFFERENT = "differs"


@dataclass(frozen=True)
class Finding:
    """How one thing agrees. ``decides`` is false where a difference alone does not fail the verification."""

    step: str
    name: str
    agreement: Agreement
    recorded: str = ""
    executed: str = ""
    decides: bool = True


@dataclass(frozen=True)
class Execution:
    """One execution of a step: a step of a run."""

    run: RunLayout
    step: str


def compare_executions(recorded: Execution, executed: Execution, tolerance: float) -> tuple[list[Finding], int]:
    """Compare two executions of a step; also count the figures of the machine, which are left out.

    Args:
        recorded: What is on record.
        executed: The same step, executed again; its name is the one in the findings.
        tolerance: Allowed difference of a metric, relative to the larger of 1 and its recorded size.

    Raises:
        DataError: A record is missing or malformed.
    """
    step = executed.step
    first, second = (read_record(one.run, one.step) for one in (recorded, executed))
    pairs = list(_pair_metrics(first.metrics, second.metrics))
    if STAGES[first.stage].measures_speed:
        return [], len(pairs)
    findings = [
        _compare_metric(step, name, (left, right), tolerance)
        for name, unit, left, right in pairs
        if not is_of_machine(name, unit) and not STAGES[first.stage].is_presentation
    ]
    skipped = len(pairs) - len(findings)
    findings += _compare_facts(step, first.model_dump(mode="json"), second.model_dump(mode="json"))
    if not STAGES[first.stage].is_presentation:
        findings += _compare_artifacts(step, first.artifacts, second.artifacts)
        findings += _compare_samples(recorded, executed)
    return findings, skipped


def _pair_metrics(first: list[Metric], second: list[Metric]) -> Iterator[tuple[str, str, Metric | None, Metric | None]]:
    left, right = ({metric.name: metric for metric in metrics} for metrics in (first, second))
    for name in sorted({*left, *right}):
        unit = (left.get(name) or right[name]).unit
        yield name, unit, left.get(name), right.get(name)


def is_of_machine(name: str, unit: str) -> bool:
    """Whether a metric tells of the machine rather than of the result."""
    return unit in _MACHINE_UNITS or unit.endswith("/s") or name.endswith(_MACHINE_SUFFIXES)


def _compare_metric(step: str, name: str, pair: tuple[Metric | None, Metric | None], tolerance: float) -> Finding:
    left, right = pair
    if left is None or right is None:
        return Finding(step, name, Agreement.DIFFERENT, _show(left), _show(right))
    values = [(left.value, right.value), (left.low, right.low), (left.high, right.high)]
    if all(_is_same(one, other) for one, other in values):
        return Finding(step, name, Agreement.EQUAL, _show(left), _show(right))
    is_close = all(_is_close(one, other, tolerance) for one, other in values)
    return Finding(step, name, Agreement.CLOSE if is_close else Agreement.DIFFERENT, _show(left), _show(right))


def _is_same(one: float | None, other: float | None) -> bool:
    """Whether two figures are equal; NaN equals NaN here, since both runs measured nothing."""
    return one == other or (one is not None and other is not None and one != one and other != other)  # noqa: PLR0124


def _is_close(one: float | None, other: float | None, tolerance: float) -> bool:
    if one is None or other is None:
        return one is other
    return _is_same(one, other) or abs(one - other) <= tolerance * max(1.0, abs(one))


def _compare_facts(step: str, first: dict[str, Any], second: dict[str, Any]) -> Iterator[Finding]:
    """Compare the fields that only this kind of record has. A hash that differs takes bit-equality away, no more."""
    for name in sorted({*first, *second} - _COMMON_FIELDS):
        if name.endswith(_MACHINE_SUFFIXES):
            continue
        left, right = first.get(name), second.get(name)
        agreement = Agreement.EQUAL if left == right else Agreement.DIFFERENT
        is_plain = isinstance(left, str | int | bool | None)
        shown = (str(left), str(right)) if is_plain and left != right else ("", "")
        yield Finding(step, name, agreement, shown[0], shown[1], decides=not name.endswith("sha256"))


def _compare_artifacts(step: str, first: list[Any], second: list[Any]) -> Iterator[Finding]:
    left, right = ({artifact.path: artifact.sha256 for artifact in artifacts} for artifacts in (first, second))
    for path in sorted({*left, *right}):
        is_equal = left.get(path) == right.get(path)
        agreement = Agreement.EQUAL if is_equal else Agreement.DIFFERENT
        shown = ("", "") if is_equal else (left.get(path, "absent")[:12], right.get(path, "absent")[:12])
        is_missing = path not in left or path not in right
        yield Finding(step, f"artifact {path}", agreement, shown[0], shown[1], decides=is_missing)


def _compare_samples(recorded: Execution, executed: Execution) -> Iterator[Finding]:
    step = executed.step
    left, right = (_read_samples(one) for one in (recorded, executed))
    if len(left) != len(right):
        yield Finding(step, "samples", Agreement.DIFFERENT, str(len(left)), str(len(right)))
        return
    if not left:
        return
    different = [number for number, (one, other) in enumerate(zip(left, right, strict=True), start=1) if one != other]
    if not different:
        yield Finding(step, "samples", Agreement.EQUAL, f"{len(left)} samples")
        return
    named = ", ".join(map(str, different[:10]))
    text = f"{len(different)} of {len(left)} differ, lines {named}"
    yield Finding(step, "samples", Agreement.DIFFERENT, text, decides=False)


def _read_samples(execution: Execution) -> list[dict[str, Any]]:
    samples = read_json_lines(execution.run.stage(execution.step).samples)
    return [{key: value for key, value in sample.items() if not _is_volatile(key)} for sample in samples]


def _is_volatile(key: str) -> bool:
    return key in _VOLATILE_KEYS or key.endswith("cached")


def _show(metric: Metric | None) -> str:
    return "absent" if metric is None else repr(metric.value)
