"""The runs of a class as files: one folder a student. Reads them, and finds what is wrong with their evidence."""

from __future__ import annotations

import datetime as dt
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from practicum_core.content_hash import hash_path
from practicum_core.curriculum import get_unit
from practicum_core.durations import measure_duration, parse_time
from practicum_core.errors import ConfigError, DataError
from practicum_core.evidence import Evidence
from practicum_core.gates import check_gates
from practicum_core.layout import RunLayout
from practicum_core.metrics import StageMetric
from practicum_core.run_folders import explain_unfinished, list_runs_of_unit
from practicum_core.seal import find_broken_seals
from practicum_core.stages import STAGES
from practicum_core.stages.base import StageRecord
from practicum_core.step_files import iter_records

_SHOWN = 3


@dataclass(frozen=True)
class HandedIn:
    """What a student handed in for one week.

    Attributes:
        evidence: ``None`` where it cannot be read.
        finished: When its last step ended.
        duration_s: Seconds in which at least one of its steps ran.
    """

    student: str
    unit: str
    layout: RunLayout
    evidence: Evidence | None
    finished: dt.datetime | None
    problems: tuple[str, ...]
    duration_s: float = 0.0


def list_students(root: Path) -> dict[str, Path]:
    """Return the folder of runs of every student, by name: ``ROOT/STUDENT`` or ``ROOT/STUDENT/experiments``.

    Raises:
        ConfigError: There is no such folder, or no folder in it.
    """
    if not root.is_dir():
        raise ConfigError(f"{root}: no such folder", "name a folder that holds one folder a student")
    folders = {path.name: path for path in sorted(root.iterdir()) if path.is_dir() and not path.name.startswith(".")}
    if not folders:
        raise ConfigError(f"{root}: it holds no folder of a student", "one folder a student, with their runs in it")
    return {
        name: path / "experiments"
        if (path / "experiments").is_dir() and not list_runs_of_unit(path / "experiments")
        else path
        for name, path in folders.items()
    }


def read_handed_in(student: str, folder: Path, unit: str) -> HandedIn | None:
    """Read the latest finished run of a unit; ``None`` where there is none."""
    for run in reversed(list_runs_of_unit(folder / unit)):
        if not explain_unfinished(run, unit):
            return _read_run(student, unit, RunLayout(run))
    return None


def _read_run(student: str, unit: str, layout: RunLayout) -> HandedIn:
    try:
        evidence = Evidence.model_validate_json(layout.evidence_json.read_bytes())
    except (OSError, ValidationError):
        return HandedIn(student, unit, layout, None, None, ("its evidence.json is missing or broken",))
    records = dict(iter_records(layout))
    problems = [*_check_name(layout, evidence), *_check_seals(layout, evidence, records)]
    problems += _check_figures(evidence, records)
    ends = [parse_time(record.finished_at) for record in records.values()]
    finished, duration_s = max((end for end in ends if end), default=None), measure_duration(records.values())
    return HandedIn(student, unit, layout, evidence, finished, tuple(problems), duration_s)


def _check_name(layout: RunLayout, evidence: Evidence) -> list[str]:
    own = (layout.root.parent.name, layout.root.name)
    if (evidence.unit, evidence.run) == own:
        return []
    return [f"the evidence is of run {evidence.unit}/{evidence.run}, in the folder of {own[0]}/{own[1]}"]


def _check_seals(layout: RunLayout, evidence: Evidence, records: Mapping[str, StageRecord]) -> list[str]:
    if not evidence.sealed:
        return ["its evidence has no seals"]
    try:
        broken = [one.path for one in find_broken_seals(layout, evidence.sealed)]
    except ConfigError as error:
        return [error.detail]
    problems = [f"changed after the evidence was built: {_list(broken)}"] if broken else []
    path = layout.evidence_json.relative_to(layout.root).as_posix()
    told = [one.sha256 for record in records.values() for one in record.artifacts if one.path == path]
    if hash_path(layout.evidence_json) not in told:
        problems.append("evidence.json is not the one that the report wrote")
    return problems


def _check_figures(evidence: Evidence, records: Mapping[str, StageRecord]) -> list[str]:
    """Compare the evidence's figures with the records', and its gates with what those figures give."""
    measured = {
        (step, metric.name): metric.value
        for step, record in records.items()
        if not STAGES[record.stage].is_presentation
        for metric in record.metrics
    }
    other = [
        f"{metric.stage}.{metric.name} {metric.value:g}, recorded {measured[metric.stage, metric.name]:g}"
        for metric in evidence.metrics
        if (metric.stage, metric.name) in measured and not _is_same(metric.value, measured[metric.stage, metric.name])
    ]
    problems = [f"figures that no record holds: {_list(other)}"] if other else []
    given = [
        StageMetric(stage=step, **metric.model_dump()) for step, record in records.items() for metric in record.metrics
    ]
    due = {gate.name: gate.passed for gate in check_gates(get_unit(evidence.unit).gates, given)}
    wrong = [gate.name for gate in evidence.gates if gate.passed and not due.get(gate.name, False)]
    return [*problems, f"gates passed against their figures: {_list(wrong)}"] if wrong else problems


def read_week_jobs(path: Path) -> list[dict[str, Any]]:
    """Read week jobs as ``kubectl get weekjobs -A -o json`` writes them.

    Raises:
        DataError: The file is missing or something else.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        return [item for item in document["items"] if item["kind"] == "WeekJob"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: not a list of week jobs", "kubectl get weekjobs -A -o json > FILE") from error


def check_against_cluster(handed_in: HandedIn, week_jobs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Compare the evidence with what the controller recorded, which no student can write."""
    evidence = handed_in.evidence
    if evidence is None:
        return []
    own = [
        job.get("status") or {}
        for job in week_jobs
        if job["metadata"].get("namespace") == handed_in.student and job["spec"].get("unit") == handed_in.unit
    ]
    if not own:
        return ["the cluster has no week job of this week"]
    differences = [_compare(evidence, status) for status in own]
    return (
        [] if not all(differences) else [f"the controller recorded other figures: {_list(min(differences, key=len))}"]
    )


def _compare(evidence: Evidence, status: Mapping[str, Any]) -> list[str]:
    recorded = {str(one["name"]): str(one["value"]) for one in status.get("metrics", ())}
    differences = []
    for metric in evidence.metrics:
        text = recorded.get(f"{metric.stage}.{metric.name}")
        if text is None or not _is_same(metric.value, float(text)):
            differences.append(f"{metric.stage}.{metric.name} {metric.value:g}, not {text or 'recorded'}")
    return differences


def _is_same(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=1e-5, abs_tol=1e-9) or (math.isnan(one) and math.isnan(other))


def _list(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
