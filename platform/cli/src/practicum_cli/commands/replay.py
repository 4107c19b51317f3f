"""``practicum replay``: recorded traffic sent again at the same times, and compared with what was recorded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from practicum_cli.commands.options import experiments_option, owner_option, read_server_options, server_options
from practicum_cli.commands.single_run import execute_unit, tell_result
from practicum_cli.replay_table import describe_replay
from practicum_cli.request import RunRequest
from practicum_core.curriculum import TOOLS
from practicum_core.errors import ConfigError
from practicum_core.traffic import TRAFFIC

_UNIT = "replay"


@click.command()
@click.argument("trace", metavar="TRACE")
@click.argument("url", metavar="URL")
@server_options
@owner_option
@click.option("--set", "overrides", multiple=True, metavar="STEP.KEY=VALUE", help="An option of the step; repeatable.")
@experiments_option
@click.option("--json", "as_json", is_flag=True, help="Print the final status and the result as JSON.")
def replay(
    *,
    trace: str,
    url: str,
    overrides: tuple[str, ...],
    experiments: Path,
    as_json: bool,
    **given: Any,  # noqa: ANN401 - an option each
) -> int:
    """Send recorded traffic again to the OpenAI-compatible server at URL, and compare what came of it.

    TRACE is a traffic.jsonl, the folder of a recording, or the run directory of a gateway with gateway.traffic=true.
    Requests are sent at their recorded times, with their recorded prompts or words of the same number. Outcomes, alerts
    and times are held against the recorded ones, within tolerances. No fault is made: a recording with its fault is
    replayed by week 8 (chaos.recording).

    Exit 0 where the replay was the same, 1 where it differed or this machine could not keep the times.
    """
    step = TOOLS[_UNIT].steps[-1].name
    named = {
        "url": url,
        "replay": f"file://{find_trace(Path(trace)).absolute()}",
        **read_server_options(given),
    }
    options = {f"{step}.{name}": value for name, value in named.items() if value is not None}
    outcome = execute_unit(_UNIT, RunRequest(overrides=overrides, extra_set=options), experiments)
    return tell_result(outcome, step, describe_replay, as_json=as_json)


def find_trace(path: Path) -> Path:
    """Return the file of a trace: the path itself, that of a recording, or that of the gateway of a run.

    Raises:
        ConfigError: There is none.
    """
    places = (path, path / TRAFFIC, *sorted(path.glob(f"stages/*/artifacts/{TRAFFIC}")))
    found = next((one for one in places if one.is_file()), None)
    if found is None:
        raise ConfigError(
            f"{path}: no recorded traffic", "give a traffic.jsonl, or a run whose gateway had gateway.traffic=true"
        )
    return found
