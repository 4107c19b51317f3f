"""``practicum loadtest``: which rate of requests a server bears, and what it waits for first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from practicum_cli.commands.options import experiments_option, owner_option, read_server_options, server_options
from practicum_cli.commands.single_run import execute_unit, tell_result
from practicum_cli.load_table import describe_load
from practicum_cli.request import RunRequest
from practicum_core.curriculum import TOOLS
from practicum_core.errors import ConfigError
from practicum_core.layout import RunLayout

_UNIT = "load-test"


@click.command()
@click.argument("url", metavar="URL")
@click.option("--rate", "rates", metavar="N[,N...]", help="Requests per second, one rate after another.")
@click.option("--seconds", type=click.FloatRange(min=0, min_open=True), help="How long each rate is measured.")
@click.option(
    "--load", type=click.Choice(["constant", "poisson", "gamma"]), help="Times between requests; gamma comes in bursts."
)
@click.option("--trace", metavar="FILE", help="Times between requests from JSON lines with at_s.")
@click.option("--replay", metavar="RUN", help="Send the schedule of an earlier test again: its run directory.")
@click.option("--search", type=click.IntRange(0, 16), help="More rates tried to find the highest within the SLO.")
@click.option("--slo-ttft", type=click.FloatRange(min=0, min_open=True), help="SLO: seconds to the first token.")
@click.option("--slo-tpot", type=click.FloatRange(min=0, min_open=True), help="SLO: seconds per further token.")
@click.option("--slo-e2e", type=click.FloatRange(min=0, min_open=True), help="SLO: seconds to the end of an answer.")
@server_options
@click.option("--engine-url", metavar="URL", help="Engine behind a gateway at URL, whose metrics are read too.")
@owner_option
@click.option("--set", "overrides", multiple=True, metavar="STEP.KEY=VALUE", help="An option of the step; repeatable.")
@experiments_option
@click.option("--json", "as_json", is_flag=True, help="Print the final status and the result as JSON.")
def loadtest(*, url: str, overrides: tuple[str, ...], experiments: Path, as_json: bool, **given: Any) -> int:  # noqa: ANN401 - an option each
    """Send requests to the OpenAI-compatible server at URL, at rising rates, and measure what it bears.

    Requests are sent when they are due, whether earlier ones were answered or not, and latencies count from then. A
    rate at which this machine could not keep the schedule is refused: its figures would not be the server's.

    Exit 0 where every figure is the server's, 1 where one was refused.
    """
    step = TOOLS[_UNIT].steps[-1].name
    options = {f"{step}.{name}": value for name, value in _build_options(url, given).items()}
    outcome = execute_unit(_UNIT, RunRequest(overrides=overrides, extra_set=options), experiments)
    return tell_result(outcome, step, describe_load, as_json=as_json)


def _build_options(url: str, given: dict[str, Any]) -> dict[str, Any]:
    """Return the options of the step that were given on the command line."""
    named = {
        "url": url,
        "rates": _read_rates(given["rates"]),
        "rate_s": given["seconds"],
        "load": "trace" if given["trace"] else given["load"],
        "trace": _find_file(given["trace"]),
        "schedule": _find_schedule(given["replay"]),
        "search_steps": given["search"],
        "slo_ttft_s": given["slo_ttft"],
        "slo_tpot_s": given["slo_tpot"],
        "slo_e2e_s": given["slo_e2e"],
        "engine_url": given["engine_url"],
        **read_server_options(given),
    }
    if given["trace"] and given["load"]:
        raise click.UsageError("--load and --trace: give one of them")
    return {name: value for name, value in named.items() if value is not None}


def _read_rates(text: str | None) -> list[float] | None:
    if text is None:
        return None
    try:
        return [float(word) for word in text.split(",")]
    except ValueError as error:
        raise click.UsageError(f"--rate {text}: expected numbers with commas between, such as 1,2,4") from error


def _find_file(path: str | None) -> str | None:
    if path is None:
        return None
    if not Path(path).is_file():
        raise ConfigError(f"--trace {path}: no file", "give a file of JSON lines with at_s")
    return f"file://{Path(path).absolute()}"


def _find_schedule(path: str | None) -> str | None:
    """Return the folder of the schedule of a run, or of a folder that holds one itself."""
    if path is None:
        return None
    step = TOOLS[_UNIT].steps[-1].name
    folders = (RunLayout(Path(path)).stage(step).artifacts, Path(path))
    found = next((folder for folder in folders if (folder / "schedule.json").is_file()), None)
    if found is None:
        raise ConfigError(
            f"--replay {path}: no schedule of a load test", "give the run directory of an earlier load test"
        )
    return f"file://{found.absolute()}"
