"""The command that repeats one experiment, with every option that is not the usual one."""

from __future__ import annotations

import json
import shlex

from practicum_core.curriculum import get_unit
from practicum_core.stages.chaos import ChaosConfig
from practicum_core.weekjob import WeekJob

TOOL = "chaos-test"
_FLAGS = {
    "rate": "--rate",
    "served_model": "--model",
    "key_variable": "--key-variable",
    "key_file": "--key-file",
}
_TOLD_APART = frozenset({"experiments", "url", "proxy_url", "own_key", "i_own_this_server", "service_run"})
"""Given in another way, or found again."""


def build_cluster_command(weekjob: WeekJob, step: str, experiment: str) -> str:
    r"""Build the command that makes a week job with this experiment alone, like the given one in all else.

    >>> from practicum_core.weekjob import Metadata, WeekJobSpec
    >>> week = WeekJob(metadata=Metadata(name="week-08", namespace="student-01"), spec=WeekJobSpec(unit="availability"))
    >>> print(build_cluster_command(week, "chaos", "kill").replace(", ", ",\n"))
    echo '{"apiVersion": "practicum.dev/v1alpha1",
    "kind": "WeekJob",
    "metadata": {"generateName": "week-08-"},
    "spec": {"unit": "availability",
    "set": {"chaos.experiments": ["kill"]}}}' | kubectl create -n student-01 -f -
    """
    spec = weekjob.spec.model_dump(mode="json", by_alias=True, exclude_defaults=True, exclude_none=True)
    spec["set"] = spec.get("set", {}) | {f"{step}.experiments": [experiment]}
    about = {"generateName": f"{weekjob.metadata.name}-"}
    document = {"apiVersion": weekjob.api_version, "kind": weekjob.kind, "metadata": about, "spec": spec}
    return f"echo {shlex.quote(json.dumps(document))} | kubectl create -n {weekjob.metadata.namespace} -f -"


def build_command(unit: str, experiment: str, config: ChaosConfig) -> str:
    r"""Build the command.

    Args:
        unit: Of the run: a week's, or that of ``practicum chaos``.
        experiment: Name or path.
        config: As it ran.

    >>> print(build_command("availability", "kill", ChaosConfig()))
    practicum run availability --set 'chaos.experiments=["kill"]'
    >>> own = ChaosConfig(url="http://127.0.0.1:8080", proxy_url="", split=None, own_key=False, rate=4)
    >>> build_command("chaos-test", "hang", own)
    'practicum chaos hang http://127.0.0.1:8080 --rate 4.0'
    """
    if unit != TOOL:
        words = ["practicum", "run", unit, "--set", f"chaos.experiments={json.dumps([experiment])}"]
        return shlex.join(words)
    words = ["practicum", "chaos", experiment, config.url]
    usual = ChaosConfig.model_validate(get_unit(TOOL).steps[0].config).model_dump(mode="json")
    for name, value in config.model_dump(mode="json").items():
        if name in _TOLD_APART or value == usual.get(name):
            continue
        words += [_FLAGS[name], str(value)] if name in _FLAGS else ["--set", f"chaos.{name}={json.dumps(value)}"]
    if config.i_own_this_server:
        words.append("--i-own-this-server")
    return shlex.join(words)
