"""Files of experiments: those that come with Practicum by name, and a student's own by path."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from practicum_core.errors import ConfigError, suggest_similar
from practicum_core.problems import list_problems
from practicum_core.stages.experiments import Activity, Experiment, Hypothesis, Provider
from practicum_jobs.chaos.actions import ACTIONS
from practicum_jobs.chaos.probes import PROBES, is_within

_FOLDER = Path(__file__).with_name("experiments")
_RUNG = Activity(type="probe", name="the best rung answers", tolerance="full", provider=Provider(func="get_rung"))
_ANSWERS = Activity(
    type="probe",
    name="answers are whole and of the model",
    tolerance={"type": "range", "range": [1.0, 1.0]},
    provider=Provider(func="measure_full_answers", arguments={"num_requests": 2}),
)


def get_hypothesis(experiment: Experiment, *, has_ladder: bool) -> Hypothesis:
    """Return the steady state of an experiment; of one that names none, that requests are answered in full."""
    usual = Hypothesis(title="Requests are answered in full", probes=[_RUNG, _ANSWERS] if has_ladder else [_ANSWERS])
    return experiment.hypothesis or usual


def list_builtin() -> list[str]:
    """List the names of the experiments that come with Practicum."""
    return sorted(path.stem for path in _FOLDER.glob("*.yaml"))


def read_experiment(name: str) -> Experiment:
    """Read an experiment.

    Args:
        name: Of one that comes with Practicum, or the path of a file.

    Raises:
        ConfigError: There is none, it is not valid, or it names an unknown action or probe; all problems at once.
    """
    path = _FOLDER / f"{name}.yaml" if name in list_builtin() else Path(name)
    try:
        document: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(
            f"experiment {name}: {error}", f"name a YAML file, or one of {', '.join(list_builtin())}"
        ) from error
    try:
        experiment = Experiment.model_validate(document)
    except ValidationError as error:
        problems = list_problems(error, Experiment, noun="field")
        raise ConfigError(f"experiment {name}: {'; '.join(problems)}", "correct the named fields") from error
    check_activities(name, experiment)
    return experiment


def check_activities(name: str, experiment: Experiment) -> None:
    """Check the functions of an experiment, their arguments and the tolerances, before anything is done.

    Raises:
        ConfigError: Some do not fit; all problems at once.
    """
    problems = [problem for one in _list_activities(experiment) if (problem := _find_problem(one))]
    if problems:
        raise ConfigError(f"experiment {name}: {'; '.join(problems)}", "correct the named functions")


def _list_activities(experiment: Experiment) -> list[Activity]:
    probes = experiment.hypothesis.probes if experiment.hypothesis else []
    return [*probes, *experiment.method, *experiment.rollbacks]


def _find_problem(activity: Activity) -> str:
    """Return what is wrong with an activity; empty where nothing is."""
    table: dict[str, Any] = dict(ACTIONS if activity.type == "action" else PROBES)
    name = activity.provider.func
    if name not in table:
        return f"unknown {activity.type} '{name}'{suggest_similar(name, table)}; there are {', '.join(sorted(table))}"
    try:
        inspect.signature(table[name]).bind(None, **activity.provider.arguments)
        if activity.type == "probe":
            is_within(0.0, activity.tolerance)
    except TypeError as error:
        return f"{activity.type} {name}: {error}"
    except ConfigError as error:
        return f"{activity.type} {name}: {error.detail}"
    return ""
