"""Options that several subcommands share."""

from __future__ import annotations

from pathlib import Path

import click

from practicum_cli.runs import DEFAULT_ROOT

experiments_option = click.option(
    "--out",
    "experiments",
    type=click.Path(path_type=Path),
    default=DEFAULT_ROOT,
    envvar="PRACTICUM_EXPERIMENTS",
    show_default=True,
    help="Folder of all runs.",
)
