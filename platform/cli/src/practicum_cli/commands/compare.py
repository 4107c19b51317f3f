"""``practicum diff``: the factors in which two runs differ."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from practicum_cli.commands.options import experiments_option
from practicum_cli.control import read_facts
from practicum_cli.runs import find_run, read_checked_run
from practicum_cli.streams import tell_json
from practicum_cli.tables import format_table
from practicum_core.errors import EXIT_GATE, EXIT_OK
from practicum_core.factors import count_factors, find_differences


@click.command()
@click.argument("first", metavar="RUN")
@click.argument("second", metavar="RUN")
@experiments_option
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def diff(*, first: str, second: str, experiments: Path, as_json: bool) -> int:
    """Name the factors in which two runs differ; exit 1 where there is more than one.

    Factors: unit, seed, model and data by content, every option of every step, the stages' code, the locks. Hardware,
    threads, Python, commit and profile are shown as context and not counted.
    """
    runs = [read_checked_run(find_run(reference, experiments)) for reference in (first, second)]
    differences = find_differences(read_facts(runs[0]), read_facts(runs[1]))
    count = count_factors(differences)
    if as_json:
        tell_json({"factors": count, "differences": [asdict(difference) for difference in differences]})
    else:
        names = [difference.name for difference in differences if difference.kind == "factor"]
        named = f": {', '.join(names)}" if names else ""
        click.echo(f"{count} {'factor differs' if count == 1 else 'factors differ'}{named}")
        if differences:
            rows = [[entry.name, entry.kind, entry.first, entry.second] for entry in differences]
            click.echo(format_table(["NAME", "KIND", runs[0].name, runs[1].name], rows))
    return EXIT_GATE if count > 1 else EXIT_OK
