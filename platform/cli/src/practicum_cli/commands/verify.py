"""``practicum verify``: execute a run again from its record alone and say how far the two agree."""

from __future__ import annotations

from pathlib import Path

import click

from practicum_cli.commands.options import experiments_option
from practicum_cli.conclusion import describe_end, describe_fault, get_exit_code_of
from practicum_cli.console import build_listener
from practicum_cli.re_execution import build_document, execute_again
from practicum_cli.runs import find_run
from practicum_cli.streams import tell, tell_json
from practicum_cli.tables import format_table
from practicum_cli.verification import Verification
from practicum_core.agreement import DEFAULT_TOLERANCE, Agreement
from practicum_core.errors import EXIT_GATE, EXIT_OK
from practicum_runtime.stop_request import StopRequest


@click.command()
@click.argument("run", default="latest")
@experiments_option
@click.option(
    "--tolerance",
    type=click.FloatRange(min=0),
    default=DEFAULT_TOLERANCE,
    show_default=True,
    help="Allowed difference of a metric, relative to its size (at least 1).",
)
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def verify(*, run: str, experiments: Path, tolerance: float, as_json: bool) -> int:
    """Execute RUN again from its record and compare: exit 0 where equal or within tolerance, 1 where not.

    The execution lies under RUN/verify. Answers kept from earlier runs are not used. A run that is built on others is
    executed from the very files that it was built on; where they are gone or changed, exit 3 says which.
    """
    again = execute_again(find_run(run, experiments), tolerance, build_listener(), StopRequest())
    if again.result is None:
        tell(describe_end([again.outcome]), err=True)
        fault = describe_fault(again.outcome)
        if fault:
            tell(fault, err=True)
        return get_exit_code_of(again.outcome.status)
    if as_json:
        tell_json(build_document(again.name, again.result))
    else:
        tell(_describe(again.name, again.path, again.result))
    return EXIT_GATE if again.result.agreement is Agreement.DIFFERENT else EXIT_OK


def _describe(name: str, path: Path, result: Verification) -> str:
    count = {kind: sum(finding.agreement is kind for finding in result.findings) for kind in Agreement}
    counted = ", ".join(f"{number} {kind}" for kind, number in count.items() if number)
    lines = [
        f"{name}: {result.agreement} ({counted}; {result.num_machine_figures} figures of the machine not compared)"
    ]
    notable = [finding for finding in result.findings if finding.agreement is not Agreement.EQUAL]
    if notable:
        rows = [[item.step, item.name, item.agreement, item.recorded, item.executed] for item in notable]
        lines.append(format_table(["STEP", "WHAT", "AGREEMENT", "RECORDED", "EXECUTED"], rows))
    lines += [f"changed since the record: {change}" for change in result.changed]
    lines.append(f"execution: {path}")
    return "\n".join(lines)
