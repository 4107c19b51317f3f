"""``practicum replay``: recorded traffic sent again at the same times, and compared with what was recorded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from practicum_cli.commands.options import experiments_option
from practicum_cli.commands.single_run import execute_unit, tell_fault
from practicum_cli.conclusion import describe_end
from practicum_cli.replay_table import describe_replay
from practicum_cli.request import RunRequest
from practicum_cli.session import describe_outcome
from practicum_cli.streams import tell, tell_json
from practicum_core.curriculum import TOOLS
from practicum_core.errors import ConfigError
from practicum_core.json_files import read_json_or_empty
from practicum_core.layout import RunLayout
from practicum_core.traffic import TRAFFIC

_UNIT = "replay"


@click.command()
@click.argument("trace", metavar="TRACE")
@click.argument("url", metavar="URL")
@click.option(
    "--model", "served_model", metavar="NAME", help="Name of the model there; the first one listed without it."
)
@click.option("--key-variable", metavar="NAME", help="Environment variable that holds the server's key.")
@click.option("--key-file", metavar="FILE", help="File that holds the server's key.")
@click.option(
    "--i-own-this-server", is_flag=True, help="Allow a server that is neither on this machine nor in the own cluster."
)
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
        "served_model": given["served_model"],
        "key_variable": given["key_variable"],
        "key_file": str(Path(given["key_file"]).absolute()) if given["key_file"] else None,
        "i_own_this_server": given["i_own_this_server"] or None,
    }
    options = {f"{step}.{name}": value for name, value in named.items() if value is not None}
    outcome = execute_unit(_UNIT, RunRequest(overrides=overrides, extra_set=options), experiments)
    record = read_json_or_empty(RunLayout(outcome.path).stage(step).record)
    if as_json:
        tell_json({**describe_outcome(outcome), "result": record or None})
    else:
        if record:
            tell(describe_replay(record))
        tell(describe_end([outcome]))
    return tell_fault(outcome)


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
