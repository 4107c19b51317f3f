"""The week job of a capstone: which runs it defends, and its steps with the options of the steps that they repeat."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from practicum_cli.request import RunRequest, build_weekjobs
from practicum_cli.runs import Run, find_run, read_step_config, read_whole_run
from practicum_core.curriculum import UNITS, VARIANTS
from practicum_core.errors import ConfigError
from practicum_core.layout import RunLayout
from practicum_core.lineage import BuiltOn, Lineage, read_lineage, resolve_references
from practicum_core.references import list_references
from practicum_core.resolve import ResolvedStep, resolve_steps
from practicum_core.stages.base import get_uri_kind, list_reuse_options
from practicum_core.stages.capstone import SPEC as CAPSTONE
from practicum_core.stages.capstone import CapstoneConfig, parse_rerun
from practicum_core.weekjob import SetValue

_EVIDENCE = RunLayout(Path()).evidence_json.as_posix()


@dataclass(frozen=True)
class Defence:
    """The runs of the weeks in their order, and the request of the run that defends them."""

    runs: tuple[Run, ...]
    request: RunRequest


def find_unit(variant: int) -> str:
    """Return the unit with which a course of that many weeks ends: the one that checks its chain.

    >>> find_unit(12)
    'capstone-extended'
    """
    return next(name for name in VARIANTS[variant] if any(step.stage == CAPSTONE.name for step in UNITS[name].steps))


def build_defence(named: Sequence[str], unit: str, request: RunRequest, experiments: Path) -> Defence:
    """Choose the runs and take over what they were run with.

    Args:
        named: Runs as a person names them; without any, the latest finished run of every week.
        unit: The unit that defends them.
        request: What else was asked for.
        experiments: Folder of all runs.

    Raises:
        ConfigError: Weeks have no finished run, or a name names none.
        DataError: A run is not whole.
    """
    config = next(step.config for step in _resolve(unit, request) if isinstance(step.config, CapstoneConfig))
    runs = _choose_runs(named, config, request.variant or 10, experiments)
    repeating = [run for text in config.reruns if (run := _find(runs, parse_rerun(text)[1])) is not None]
    if repeating:
        request = _take_over_spec(request, repeating[0])
    steps = _resolve(unit, request)
    repeated = [
        (step, run, of, text)
        for text in config.reruns
        for name, unit_of, of in [parse_rerun(text)]
        for step in steps
        if step.name == name and (run := _find(runs, unit_of)) is not None
    ]
    capstone = next(step.name for step in steps if isinstance(step.config, CapstoneConfig))
    options: dict[str, SetValue] = {
        f"{capstone}.weeks": [f"run:{run.id}/{_EVIDENCE}" for run in runs],
        f"{capstone}.reruns": [text for _, _, _, text in repeated],
    }
    for step, run, of, _ in repeated:
        options |= _take_over(step, run, of)
        for server in (one for one in steps if one.name in step.companions):
            options |= _take_over(server, run, server.name)
    return Defence(tuple(runs), replace(request, extra_set={**options, **request.extra_set}))


def _resolve(unit: str, request: RunRequest) -> tuple[ResolvedStep, ...]:
    return resolve_steps(build_weekjobs((unit,), request)[0])


def _take_over_spec(request: RunRequest, run: Run) -> RunRequest:
    """Return a request with what a run was asked for, where the request says nothing else."""
    spec = run.weekjob.spec
    return replace(
        request,
        profile=request.profile or spec.profile,
        seed=spec.seed if request.seed is None else request.seed,
        model=request.model or spec.model.uri,
        data=request.data or (spec.data.uri if spec.data else None),
        waive=request.waive or tuple(spec.waive_leakage),
    )


def _choose_runs(named: Sequence[str], config: CapstoneConfig, variant: int, experiments: Path) -> list[Run]:
    if named:
        return _drop_repeated(read_whole_run(find_run(name, experiments)) for name in named)
    found: list[BuiltOn] = []
    problems: list[str] = []
    for wanted in list_references([config]):
        try:
            lineage = resolve_references([wanted], experiments, variant)
        except ConfigError as error:
            problems.append(error.detail.removeprefix(f"{wanted.reference}: "))
        else:
            found += lineage.built_on if lineage else []
    if problems:
        raise ConfigError(
            "; ".join(dict.fromkeys(problems)),
            "run these weeks first, or name the runs to defend without them: practicum capstone RUN...",
        )
    return _drop_repeated(read_whole_run(experiments / one.unit / one.run_id) for one in found)


def _drop_repeated(runs: Iterable[Run]) -> list[Run]:
    """Drop a run that stands for two weeks, as one of a shorter course does."""
    chosen = list({run.name: run for run in runs}.values())
    twice = [run.name for run in chosen if sum(other.id == run.id for other in chosen) > 1]
    if twice:
        raise ConfigError(f"runs of several units have one id: {', '.join(twice)}", "run one of the weeks again")
    return chosen


def _find(runs: Sequence[Run], unit: str) -> Run | None:
    return next(
        (run for run in runs if run.weekjob.spec.unit == unit or unit in UNITS[run.weekjob.spec.unit].merges), None
    )


def _take_over(step: ResolvedStep, run: Run, of: str) -> dict[str, SetValue]:
    """Return the options of a step that differ from those of the step that it repeats, as that one had them.

    A reference is taken over by the run that it was resolved to then.
    """
    recorded, now = read_step_config(run.layout, of), step.config.model_dump(mode="json")
    fields = type(step.config).model_fields
    skipped = set(list_reuse_options(type(step.config)))
    lineage = read_lineage(run.layout) or Lineage()
    options: dict[str, SetValue] = {}
    for name, value in recorded.items():
        takes_uri = name in now and get_uri_kind(fields[name]) is not None
        if name not in now or name in skipped or (isinstance(value, dict) and not takes_uri):
            continue
        kept = _name_runs(value, lineage) if takes_uri else value
        if kept != now[name]:
            # A week job's options hold no mapping: each adapter is a text NAME=URI.
            options[f"{step.name}.{name}"] = _list_pairs(kept) if isinstance(kept, dict) else kept
    return options


def _name_runs(value: Any, lineage: Lineage) -> Any:  # noqa: ANN401 - any JSON value
    """Return a URI, or a table of URIs, with references by the run that they were resolved to."""
    if isinstance(value, dict):
        return {name: _name_runs(one, lineage) for name, one in value.items()}
    return lineage.name_run(value) if isinstance(value, str) else value


def _list_pairs(table: Mapping[str, str]) -> list[str | int | float]:
    return [f"{name}={text}" for name, text in table.items()]
