"""``practicum chaos``: one experiment on a running service, and its verdict."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from practicum_cli.commands.options import experiments_option, owner_option, read_server_options, server_options
from practicum_cli.commands.single_run import execute_unit, tell_result
from practicum_cli.experiment_table import describe_experiments
from practicum_cli.held_services import HeldService, find_service
from practicum_cli.request import RunRequest
from practicum_core.curriculum import TOOLS
from practicum_core.errors import ConfigError

_UNIT = "chaos-test"


@click.command()
@click.argument("file", metavar="FILE")
@click.argument("url", metavar="[URL]", required=False)
@click.option("--run", "reference", metavar="RUN", help="Run whose servers are broken; the one behind URL without it.")
@click.option("--rate", type=click.FloatRange(min=0, min_open=True), help="Requests per second beside the fault.")
@server_options
@owner_option
@click.option("--set", "overrides", multiple=True, metavar="STEP.KEY=VALUE", help="An option of a step; repeatable.")
@experiments_option
@click.option("--json", "as_json", is_flag=True, help="Print the final status and the result as JSON.")
def chaos(
    *,
    file: str,
    url: str | None,
    reference: str | None,
    overrides: tuple[str, ...],
    experiments: Path,
    as_json: bool,
    **given: Any,  # noqa: ANN401 - an option each
) -> int:
    """Break a service on purpose, under load, and judge what its users got.

    FILE is an experiment (YAML), or the name of one that comes with Practicum, such as kill. URL is an
    OpenAI-compatible server of your own; without it, the service of `practicum serve` that runs here. Requests are
    sent at a steady rate; where the steady state holds, the fault is made and taken back, and what clients got is
    compared with what the experiment expects. Ctrl-C takes the fault back.

    Exit 0 where the service held, 1 where it did not, or where it was not steady before.
    """
    service = find_service(reference, url, experiments)
    step = TOOLS[_UNIT].steps[0].name
    options = {f"{step}.{name}": value for name, value in _build_options(file, url, service, given).items()}
    outcome = execute_unit(_UNIT, RunRequest(overrides=overrides, extra_set=options), experiments)
    return tell_result(outcome, step, describe_experiments, as_json=as_json)


def _build_options(file: str, url: str | None, service: HeldService | None, given: dict[str, Any]) -> dict[str, Any]:
    """Return the options of the step that were given on the command line, or that the service found here tells."""
    address = url or (service.url if service else "")
    if not address:
        raise ConfigError(
            "no service runs here, and no URL is given",
            "start one with `practicum serve MODEL --with-faults`, or give the address of a server of your own",
        )
    has_key = given["key_variable"] is not None or given["key_file"] is not None
    named = {
        "experiments": [str(Path(file).absolute()) if Path(file).is_file() else file],
        "url": address,
        "rate": given["rate"],
        **read_server_options(given),
    }
    if service is not None:
        named |= {"service_run": f"run:{service.run.root.name}", "proxy_url": service.proxy_url, "own_key": not has_key}
    return {name: value for name, value in named.items() if value is not None}
