"""The command line that starts a run again with the same request. Pure."""

from __future__ import annotations

import json
import shlex
from typing import Any

from practicum_core.curriculum import VARIANTS, get_unit
from practicum_core.errors import ConfigError
from practicum_core.lineage import Lineage
from practicum_core.weekjob import ModelSource, Resources, WeekJob

_FIELDS_WITHOUT_OPTION = (
    "resources",
    "serving",
    "active_deadline_seconds",
    "pre_running_deadline_seconds",
    "backoff_limit",
)
"""Fields of a week job for which ``practicum run`` has no option."""


def build_run_command(weekjob: WeekJob, run_id: str, lineage: Lineage | None = None) -> str:
    """Build the ``practicum run`` line of a week job; where options cannot say it all, the line names its file.

    Args:
        weekjob: The week job.
        run_id: Of the run.
        lineage: What it is built on: the line names those very runs, whatever the latest is by then.
    """
    named = lineage or Lineage()
    spec = weekjob.spec
    if any(_is_set(weekjob, name) for name in _FIELDS_WITHOUT_OPTION):
        return shlex.join(["practicum", "run", f"experiments/{spec.unit}/{run_id}/weekjob.yaml"])
    words = ["practicum", "run", _get_week_name(weekjob), "--variant", str(spec.variant), "--profile", spec.profile]
    words += ["--seed", str(spec.seed)]
    if spec.model != ModelSource():
        words += ["--model", named.name_run(spec.model.uri)]
    if spec.data and spec.data.uri != get_unit(spec.unit, spec.variant).data_uri:
        words += ["--data", named.name_run(spec.data.uri)]
    for key, value in sorted(spec.set.items()):
        words += ["--set", f"{key}={_write_value(_name_runs(value, named))}"]
    for name in spec.waive_leakage:
        words += ["--waive", name]
    if spec.control:
        words += ["--control", spec.control]
    return shlex.join(words)


def _name_runs(value: Any, lineage: Lineage) -> Any:  # noqa: ANN401 - any YAML value
    """Return an option with the runs that its references were resolved to, those behind ``NAME=`` in a list too."""
    if isinstance(value, list):
        return [_name_runs(one, lineage) for one in value]
    if not isinstance(value, str):
        return value
    name, sign, reference = value.partition("=")
    named = lineage.name_run(reference)
    return f"{name}{sign}{named}" if named != reference else lineage.name_run(value)


def _is_set(weekjob: WeekJob, name: str) -> bool:
    value = getattr(weekjob.spec, name)
    default = Resources() if name == "resources" else type(weekjob.spec).model_fields[name].default
    return bool(value != default)


def _get_week_name(weekjob: WeekJob) -> str:
    """Return ``week-NN`` if a week of the course is this unit, else the unit's name.

    Both name the same unit; students know it by its week.
    """
    name, spec = weekjob.metadata.name, weekjob.spec
    try:
        is_week = get_unit(name, spec.variant).name == spec.unit
    except ConfigError:
        is_week = False
    weeks = VARIANTS[spec.variant]
    if not is_week and spec.unit in weeks:
        return f"week-{weeks.index(spec.unit) + 1:02d}"
    return name if is_week else spec.unit


def _write_value(value: Any) -> str:  # noqa: ANN401 - any YAML value
    """Write a value so that YAML reads it back unchanged: as JSON, and plain words without quotes.

    A number with an exponent gets a decimal point, because YAML 1.1 reads ``1e-05`` as a string.

    >>> _write_value("qlora"), _write_value(0.0005), _write_value(1e-05), _write_value("1e-3")
    ('qlora', '0.0005', '1.0e-05', '"1e-3"')
    """
    if isinstance(value, str) and value.replace("-", "").replace("_", "").isalpha() and not _is_yaml_word(value):
        return value
    text = json.dumps(value, ensure_ascii=False)
    return text.replace("e", ".0e") if isinstance(value, float) and "e" in text and "." not in text else text


def _is_yaml_word(value: str) -> bool:
    return value.lower() in {"true", "false", "yes", "no", "on", "off", "null", "y", "n"}
