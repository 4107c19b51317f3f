"""``practicum capstone``: the weeks of a course checked as one chain, executed again, and presented."""

from __future__ import annotations

from pathlib import Path

import click

from practicum_cli.commands.options import experiments_option
from practicum_cli.commands.single_run import execute_unit, tell_end
from practicum_cli.conclusion import describe_fault
from practicum_cli.console import build_listener
from practicum_cli.defence import build_defence, find_unit
from practicum_cli.re_execution import execute_again
from practicum_cli.request import RunRequest
from practicum_cli.runs import Run
from practicum_cli.streams import tell
from practicum_core.agreement import DEFAULT_TOLERANCE
from practicum_runtime.stop_request import StopRequest


@click.command()
@click.argument("runs", nargs=-1, metavar="[RUN]...")
@click.option("--full", is_flag=True, help="First execute every week again, which takes as long as they did.")
@click.option("--variant", type=click.Choice(["8", "10", "12"]), help="Length of the course in weeks.")
@click.option("--set", "overrides", multiple=True, metavar="STEP.KEY=VALUE", help="An option of a step; repeatable.")
@experiments_option
@click.option("--json", "as_json", is_flag=True, help="Print the final status as JSON.")
def capstone(
    *,
    runs: tuple[str, ...],
    full: bool,
    variant: str | None,
    overrides: tuple[str, ...],
    experiments: Path,
    as_json: bool,
) -> int:
    """Check every hash of the weeks, execute their evaluations again as they were, and write the documents.

    RUNs are the weeks to defend; without any, the latest finished run of each. The run ends with technical document,
    slides, model card, data card and retrospective in stages/capstone/artifacts. Exit 1 where a link is broken or a
    repeated step differs, or a week is absent. In the course of 12 weeks this is the extended capstone.
    """
    request = RunRequest(variant=int(variant) if variant else None, overrides=overrides)
    unit = find_unit(request.variant or 10)
    defence = build_defence(runs, unit, request, experiments)
    if full:
        _verify_all(defence.runs)
    return tell_end(execute_unit(unit, defence.request, experiments), as_json=as_json)


def _verify_all(runs: tuple[Run, ...]) -> None:
    stop = StopRequest()
    for run in runs:
        again = execute_again(run.layout.root, DEFAULT_TOLERANCE, build_listener(), stop)
        said = again.result.agreement if again.result else (describe_fault(again.outcome) or "did not end")
        tell(f"{run.name}: {said}", err=True)
