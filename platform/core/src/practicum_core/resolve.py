"""Each step's final configuration: stage defaults, the unit's own, the profile's, the week job's, ``spec.set``.

Gathers every problem and raises once. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any

from pydantic import ValidationError

from practicum_core.curriculum import get_unit, require_implemented
from practicum_core.errors import ConfigError, suggest_similar
from practicum_core.problems import list_problems
from practicum_core.references import find_reference_problems
from practicum_core.stage_process import RUN_SCHEME, get_endpoint_step, list_texts
from practicum_core.stages import StageConfig, StageSpec, get_stage
from practicum_core.units.unit import Step, Unit
from practicum_core.weekjob import WeekJob

NEEDED_SPLITS = "needed_splits"
"""The option that is filled in from the options of later steps, and so is no factor of its own."""


@dataclass(frozen=True)
class ResolvedStep:
    """A step with its final, validated configuration.

    ``needs`` names the steps that must have ended before it starts, or be ready where they are servers. ``companions``
    names the servers that must run while it runs: those that it uses, and those that these use.
    """

    name: str
    spec: StageSpec
    config: StageConfig
    needs: tuple[str, ...] = ()
    companions: tuple[str, ...] = ()

    @property
    def stage(self) -> str:
        """Name of the stage."""
        return self.spec.name

    @property
    def environment(self) -> str:
        """Name of the environment that runs it."""
        return self.spec.find_environment(self.config)


@dataclass(frozen=True)
class ResolvedUnit:
    """A unit with its steps as a week job wants them."""

    unit: Unit
    steps: tuple[ResolvedStep, ...]


def resolve_steps(weekjob: WeekJob) -> tuple[ResolvedStep, ...]:
    """Resolve and validate every step's configuration: stage defaults, unit, profile, week job, ``spec.set``.

    Raises:
        ConfigError: Every problem found, gathered into one message.
    """
    return resolve_unit(weekjob).steps


def resolve_unit(weekjob: WeekJob) -> ResolvedUnit:
    """Resolve and validate the steps of a week job's unit.

    Raises:
        ConfigError: Every problem found, gathered into one message.
    """
    unit = get_unit(weekjob.spec.unit, weekjob.spec.variant)
    require_implemented(unit)
    stages = {step.name: get_stage(step.stage) for step in unit.steps}
    overrides, problems = _split_overrides(weekjob, unit)
    steps: list[ResolvedStep] = []
    for step in unit.steps:
        stage = stages[step.name]
        values = _merge_config(weekjob, unit, step, stage, overrides.get(step.name, {}))
        try:
            config = stage.config.model_validate(values)
        except ValidationError as error:
            problems += list_problems(error, stage.config, prefix=f"{step.name}.", noun="option")
            continue
        if stage.follow_replicas is not None and weekjob.spec.serving and weekjob.spec.serving.engine != "local":
            config = stage.follow_replicas(config)
        problems.extend(f"{step.name}: {problem}" for problem in find_reference_problems(config))
        steps.append(ResolvedStep(step.name, stage, config, _list_needs(unit, step)))
    problems += _refuse_serving(weekjob, unit, stages) + _refuse_texts(steps, stages)
    if problems:
        raise ConfigError("; ".join(problems), f"`practicum weeks {unit.name}` lists the options of each step")
    accompanied = [replace(step, companions=tuple(_list_companions(step, steps))) for step in steps]
    return ResolvedUnit(unit, tuple(_tell_needed_splits(accompanied)))


def _list_companions(step: ResolvedStep, steps: Sequence[ResolvedStep]) -> dict[str, None]:
    """List the servers that must run while a step runs. One that only presents the results of others uses none."""
    used = [one for one in steps if one.name in step.needs and one.spec.is_server and not step.spec.is_presentation]
    found = {server.name: None for server in used}
    for server in used:
        found |= _list_companions(server, steps)
    return found


def _tell_needed_splits(steps: Sequence[ResolvedStep]) -> list[ResolvedStep]:
    """Tell each step that asks for it which splits the steps after it read, so that it can refuse data without them.

    What steps read after other data was frozen is no split of this step's data.
    """
    told = list(steps)
    for place, step in enumerate(steps):
        if NEEDED_SPLITS not in type(step.config).model_fields or NEEDED_SPLITS in step.config.model_fields_set:
            continue
        needed: dict[str, list[str]] = {}
        data = getattr(step.config, "data", None)
        for later in steps[place + 1 :]:
            if "data" in later.spec.locks and getattr(later.config, "data", None) != data:
                break
            for split in later.config.list_splits():
                needed.setdefault(split, []).append(later.name)
        told[place] = replace(step, config=step.config.model_copy(update={NEEDED_SPLITS: needed}))
    return told


def _list_needs(unit: Unit, step: Step) -> tuple[str, ...]:
    """Return what a step waits for: what the curriculum says, else the step before; all before it for the evidence."""
    if step.needs is not None:
        return step.needs
    before = tuple(one.name for one in unit.steps[: unit.steps.index(step)])
    return before if step.is_presentation else before[-1:]


def _refuse_serving(weekjob: WeekJob, unit: Unit, stages: Mapping[str, StageSpec]) -> list[str]:
    """Say what of ``spec.serving`` could not be acted on: nothing of it is ignored."""
    serving = weekjob.spec.serving
    if serving is None:
        return []
    if not any(stage.is_server for stage in stages.values()):
        return [f"serving: unit {unit.name} runs no server; leave it out"]
    problems = []
    if serving.engine != "local" and not any(stage.join_records for stage in stages.values()):
        problems.append(f"serving.engine: unit {unit.name} serves no model that {serving.engine} could; leave it out")
    fewest, most = serving.min_replicas, serving.max_replicas
    if serving.engine == "local" and any(count not in (None, 1) for count in (fewest, most)):
        problems.append("serving: a local server has one replica; leave minReplicas and maxReplicas out")
    if serving.engine == "rayserve" and fewest == 0:
        # The gateway asks its engines for their models every few seconds, and Ray Serve counts that.
        problems.append("serving: a service of rayserve behind a gateway has one replica at least")
    if fewest is not None and most is not None and fewest > most:
        problems.append(f"serving: minReplicas {fewest} is more than maxReplicas {most}")
    return problems


def _refuse_texts(steps: Sequence[ResolvedStep], stages: Mapping[str, StageSpec]) -> list[str]:
    """Say which options name the address of a step that is no server, or that need not be there, or lead out.

    Links of ``run:PATH`` are followed when the stage resolves it.
    """
    servers = {name for name, stage in stages.items() if stage.is_server}
    problems = []
    for step in steps:
        for text in list_texts(step.config):
            name = get_endpoint_step(text)
            if name is not None and (name not in servers or name not in step.needs):
                problems.append(f"{step.name}: '{text}' names no server that this step needs")
            elif text.startswith(RUN_SCHEME) and _leads_out(PurePosixPath(text.removeprefix(RUN_SCHEME))):
                problems.append(f"{step.name}: '{text}' leaves the run directory")
    return problems


def _leads_out(path: PurePosixPath) -> bool:
    return path.is_absolute() or ".." in path.parts


def _merge_config(
    weekjob: WeekJob, unit: Unit, step: Step, stage: StageSpec, overrides: Mapping[str, Any]
) -> dict[str, Any]:
    spec = weekjob.spec
    shared: dict[str, Any] = {
        "seed": spec.seed,
        "model": spec.model.uri,
        "data": spec.data.uri if spec.data else unit.data_uri,
        "waive_leakage": list(spec.waive_leakage),
        "num_workers": spec.resources.workers,
    }
    fields = stage.config.model_fields
    values = {key: value for key, value in shared.items() if key in fields and value is not None}
    values.update(step.config)
    if "waive_leakage" in step.config:  # what the unit accepts comes on top of what the week job accepts
        values["waive_leakage"] = [*dict.fromkeys([*spec.waive_leakage, *step.config["waive_leakage"]])]
    if spec.profile == "quick":
        values.update(step.quick)
    values.update(overrides)
    return values


def _split_overrides(weekjob: WeekJob, unit: Unit) -> tuple[dict[str, dict[str, Any]], list[str]]:
    names = [step.name for step in unit.steps]
    overrides: dict[str, dict[str, Any]] = {}
    problems: list[str] = []
    for key, value in weekjob.spec.set.items():
        step, dot, option = key.partition(".")
        if not dot or step not in names:
            problems.append(f"set: unknown step in '{key}'{suggest_similar(step, names)} (steps: {', '.join(names)})")
        else:
            overrides.setdefault(step, {})[option] = value
    return overrides, problems
