"""The command that repeats one experiment, with every option that is not the usual one."""

from __future__ import annotations

import json
import shlex

from practicum_core.curriculum import get_unit
from practicum_core.stages.chaos import ChaosConfig

TOOL = "chaos-test"
_FLAGS = {
    "rate": "--rate",
    "served_model": "--model",
    "key_variable": "--key-variable",
    "key_file": "--key-file",
}
_TOLD_APART = frozenset({"experiments", "url", "proxy_url", "own_key", "i_own_this_server", "service_run"})
"""Given in another way, or found again."""


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
