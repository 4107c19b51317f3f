"""One row per run for a table: which run, whether it is whole, its gates and its metrics."""

from __future__ import annotations

from pathlib import Path

from practicum_cli.runs import Run, read_checked_run
from practicum_core.curriculum import UNITS
from practicum_core.durations import measure_duration
from practicum_core.errors import ConfigError, DataError, Reason
from practicum_core.json_files import read_json_or_empty
from practicum_core.layout import RunLayout
from practicum_core.resolve import resolve_steps
from practicum_core.run_folders import iter_run_dirs
from practicum_core.stages import STAGES
from practicum_core.step_files import iter_records
from practicum_core.weekjob import WeekJob

_FIXED = ("unit", "run", "phase", "gates", "profile", "seed", "model", "data", "control", "factor", "seconds")


def build_summary(root: Path, *, all_metrics: bool) -> tuple[list[str], list[list[str]]]:
    """Return header and rows of the table over every run below ``root``.

    Without ``all_metrics`` the columns are the metrics that a gate of the unit holds against a threshold, and the
    headline figures.

    Raises:
        ConfigError: There is no such folder.
    """
    if not root.is_dir():
        raise ConfigError(f"{root}: no such folder", "name the folder of runs, usually `experiments`")
    entries = [_describe(path, all_metrics=all_metrics) for path in iter_run_dirs(root)]
    metrics = sorted({name for _, values in entries for name in values})
    rows = [
        [*(fixed.get(key, "") for key in _FIXED), *(values.get(name, "") for name in metrics)]
        for fixed, values in entries
    ]
    return [*_FIXED, *metrics], rows


def _describe(path: Path, *, all_metrics: bool) -> tuple[dict[str, str], dict[str, str]]:
    try:
        run = read_checked_run(path)
    except DataError:
        return {"unit": path.parent.name, "run": path.name, "phase": Reason.RUN_INCOMPLETE}, {}
    shown = {metric.name: metric.value for metric in run.status.metrics}
    chosen = shown if all_metrics else {name: value for name, value in shown.items() if name in _choose(run)}
    return _describe_fixed(run), {name: _shorten(value) for name, value in chosen.items()}


def _choose(run: Run) -> frozenset[str]:
    unit = UNITS.get(run.weekjob.spec.unit)
    if unit is None:
        return frozenset()
    gated = {f"{gate.step}.{gate.metric}" for gate in unit.gates}
    stages = [(step.name, STAGES[step.stage]) for step in unit.steps if step.stage in STAGES]
    return frozenset(gated | {f"{step}.{metric}" for step, stage in stages for metric in stage.headlines})


def _describe_fixed(run: Run) -> dict[str, str]:
    spec, gates = run.weekjob.spec, run.status.gates
    control = read_json_or_empty(RunLayout(run.layout.root).control)
    seconds = measure_duration(record for _, record in iter_records(run.layout))
    return {
        "unit": spec.unit,
        "run": run.id,
        "phase": run.status.phase,
        "gates": f"{sum(gate.passed for gate in gates)}/{len(gates)}" if gates else "",
        "profile": spec.profile,
        "seed": str(spec.seed),
        "model": _describe_models(run.weekjob),
        "data": spec.data.uri if spec.data else "",
        "control": control.get("control", ""),
        "factor": control.get("factor") or "",
        "seconds": f"{seconds:.1f}",
    }


def _describe_models(weekjob: WeekJob) -> str:
    """Name the models that the steps read, in their order; the one asked for where no step reads any.

    >>> from practicum_core.weekjob import Metadata, WeekJobSpec
    >>> spec = WeekJobSpec.model_validate({"unit": "serving", "set": {"serve.model": "latest:sft"}})
    >>> _describe_models(WeekJob(metadata=Metadata(name="week-07"), spec=spec))
    'latest:sft'
    """
    try:
        steps = resolve_steps(weekjob)
    except ConfigError:  # of a run by a version with other options
        return weekjob.spec.model.uri
    models = dict.fromkeys(getattr(step.config, "model", None) for step in steps)
    return ", ".join(model for model in models if isinstance(model, str) and model) or weekjob.spec.model.uri


def _shorten(value: str) -> str:
    try:
        return f"{float(value):.6g}"
    except ValueError:
        return value
