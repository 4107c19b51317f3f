"""Comparison of a repeated run with its record: bit-equal, within a tolerance, or different. Read-only.

Metrics of the machine (seconds, throughput, memory, answers kept from earlier runs) are counted but not compared,
because they vary. The same holds for the metrics of the evidence pack, which contains times.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from practicum_cli.control import read_facts
from practicum_cli.runs import Run
from practicum_core.curriculum import get_unit
from practicum_core.factors import find_differences
from practicum_core.json_files import read_json_lines
from practicum_core.layout import RunLayout
from practicum_core.metrics import Metric
from practicum_core.resolve import resolve_steps
from practicum_core.stages import STAGES
from practicum_core.stages.base import list_reuse_options
from practicum_core.step_files import read_record
from practicum_core.weekjob import SetValue, WeekJob

DEFAULT_TOLERANCE = 1e-3
_MACHINE_UNITS = ("s", "ms", "us", "GiB", "MiB", "KiB")
_MACHINE_SUFFIXES = ("_s", "_ms", "_per_s", "_gib", "_mib", "_rss_bytes", "cached")
_COMMON_FIELDS = frozenset(
    {"started_at", "finished_at", "duration_s", "metrics", "artifacts", "failures", "notes", "html", "html_sha256"}
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
class Verification:
    """The whole comparison."""

    findings: tuple[Finding, ...]
    changed: tuple[str, ...]
    num_machine_figures: int

    @property
    def agreement(self) -> Agreement:
        """The worst that decides; one that does not decide still takes bit-equality away."""
        if any(finding.agreement is Agreement.DIFFERENT and finding.decides for finding in self.findings):
            return Agreement.DIFFERENT
        is_equal = all(finding.agreement is Agreement.EQUAL for finding in self.findings)
        return Agreement.EQUAL if is_equal else Agreement.CLOSE


def build_weekjob_of_record(run: Run) -> WeekJob:
    """Return a week job that resolves to what the steps of ``run`` were configured with, whatever the defaults are now.

    Steps that may take results of other runs must not: what is verified is computed again.

    Raises:
        ConfigError: This version no longer knows an option of the record.
        DataError: A configuration is missing.
    """
    recorded = read_facts(run).steps
    options: dict[str, SetValue] = dict(run.weekjob.spec.set)
    for step in resolve_steps(run.weekjob):
        now = step.config.model_dump(mode="json")
        for key, value in recorded.get(step.name, {}).items():
            if key not in now or now[key] != value:
                options[f"{step.name}.{key}"] = value
        options |= {f"{step.name}.{key}": False for key in list_reuse_options(type(step.config))}
    return run.weekjob.model_copy(update={"spec": run.weekjob.spec.model_copy(update={"set": options})})


def compare_runs(recorded: Run, executed: Run, tolerance: float) -> Verification:
    """Compare an execution with its record: inputs, then each step's metrics, facts, artifacts and samples.

    Args:
        recorded: The run as it was.
        executed: The same week job, executed again.
        tolerance: Allowed difference of a metric, relative to the larger of 1 and its recorded size.
    """
    differences = find_differences(read_facts(recorded), read_facts(executed))
    steps = resolve_steps(executed.weekjob)
    reuse = {f"{step.name}.{key}" for step in steps for key in list_reuse_options(type(step.config))}
    changed = [f"{entry.name}: {entry.first} -> {entry.second}" for entry in differences if entry.name not in reuse]
    findings = [
        Finding("inputs", entry.name, Agreement.DIFFERENT, entry.first, entry.second)
        for entry in differences
        if entry.name == "model" or entry.name.startswith("data.")
    ]
    unit = get_unit(recorded.weekjob.spec.unit, recorded.weekjob.spec.variant)
    # What a server counted depends on its restarts; what its users measured stands in their records.
    servers = {step.name for step in unit.steps if step.is_server}
    num_machine_figures = 0
    for stage in recorded.status.stages:
        if stage.name in servers:
            continue
        found, skipped = _compare_step(stage.name, recorded, executed, tolerance)
        findings += found
        num_machine_figures += skipped
    return Verification(tuple(findings), tuple(changed), num_machine_figures)


def _compare_step(step: str, recorded: Run, executed: Run, tolerance: float) -> tuple[list[Finding], int]:
    """Compare one step; also count the figures of the machine, which are left out."""
    first, second = (read_record(run.layout, step) for run in (recorded, executed))
    pairs = list(_pair_metrics(first.metrics, second.metrics))
    findings = [
        _compare_metric(step, name, (left, right), tolerance)
        for name, unit, left, right in pairs
        if not _is_of_machine(name, unit) and not STAGES[first.stage].is_presentation
    ]
    skipped = len(pairs) - len(findings)
    findings += _compare_facts(step, first.model_dump(mode="json"), second.model_dump(mode="json"))
    if not STAGES[first.stage].is_presentation:
        findings += _compare_artifacts(step, first.artifacts, second.artifacts)
        findings += _compare_samples(step, recorded.layout, executed.layout)
    return findings, skipped


def _pair_metrics(first: list[Metric], second: list[Metric]) -> Iterator[tuple[str, str, Metric | None, Metric | None]]:
    left, right = ({metric.name: metric for metric in metrics} for metrics in (first, second))
    for name in sorted({*left, *right}):
        unit = (left.get(name) or right[name]).unit
        yield name, unit, left.get(name), right.get(name)


def _is_of_machine(name: str, unit: str) -> bool:
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


def _compare_samples(step: str, first: RunLayout, second: RunLayout) -> Iterator[Finding]:
    left, right = (_read_samples(layout, step) for layout in (first, second))
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


def _read_samples(layout: RunLayout, step: str) -> list[dict[str, Any]]:
    samples = read_json_lines(layout.stage(step).samples)
    return [{key: value for key, value in sample.items() if not _is_volatile(key)} for sample in samples]


def _is_volatile(key: str) -> bool:
    return key in _VOLATILE_KEYS or key.endswith("cached")


def _show(metric: Metric | None) -> str:
    return "absent" if metric is None else repr(metric.value)
