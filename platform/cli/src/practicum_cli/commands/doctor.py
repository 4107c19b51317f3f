"""``practicum doctor``: what this machine can run, and what is missing for the rest."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from practicum_cli.commands.options import experiments_option
from practicum_cli.health import Check, check_machine, check_stages
from practicum_cli.streams import tell_json
from practicum_cli.tables import format_table
from practicum_core.errors import EXIT_ENVIRONMENT, EXIT_OK


@click.command()
@experiments_option
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def doctor(*, experiments: Path, as_json: bool) -> int:
    """Say what this machine can run and what is missing, for each stage. Exit 4 where something needed is missing."""
    checks, stages = check_machine(experiments), check_stages()
    if as_json:
        document = {"machine": [asdict(check) for check in checks], "stages": [asdict(check) for check in stages]}
        tell_json(document)
    else:
        click.echo(_format("MACHINE", checks))
        click.echo()
        click.echo(_format("STAGE", stages))
    is_fit = all(check.state != "missing" for check in (*checks, *stages))
    return EXIT_OK if is_fit else EXIT_ENVIRONMENT


def _format(title: str, checks: list[Check]) -> str:
    rows = [[check.name, check.state, check.found, check.hint] for check in checks]
    return format_table([title, "STATE", "FOUND", "WHAT TO DO"], rows)
