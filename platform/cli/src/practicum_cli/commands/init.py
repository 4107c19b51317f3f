"""``practicum init``: lay down the experiments template in a student's folder."""

from __future__ import annotations

from pathlib import Path

import click

from practicum_cli.template import lay_down


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR", default=".")
def init(*, folder: Path) -> None:
    """Lay down configurations, a log folder and a summary script in DIR. Files that exist are kept as they are."""
    written, kept = lay_down(folder)
    for path in written:
        click.echo(f"wrote {path}")
    for path in kept:
        click.echo(f"kept  {path} (exists)")
    click.echo(f"next: cd {folder} && practicum run configs/week-01.yaml")
