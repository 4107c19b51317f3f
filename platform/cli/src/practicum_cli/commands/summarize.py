"""``practicum summarize``: one row per run, with its phase, gates and metrics."""

from __future__ import annotations

from pathlib import Path

import click

from practicum_cli.runs import DEFAULT_ROOT
from practicum_cli.summary import build_summary
from practicum_cli.tables import format_table
from practicum_core.atomic import write_text_atomic


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), default=DEFAULT_ROOT, envvar="PRACTICUM_EXPERIMENTS")
@click.option("--format", "style", type=click.Choice(["md", "csv", "html"]), default="md", show_default=True)
@click.option("--output", type=click.Path(path_type=Path), metavar="FILE", help="Write here instead of printing.")
@click.option("--all-metrics", is_flag=True, help="Every metric of every step, not the chosen ones.")
def summarize(*, folder: Path, style: str, output: Path | None, all_metrics: bool) -> None:
    """Aggregate all runs under FOLDER to one table; half-written ones are listed as such.

    The column seconds is the time in which at least one step of a run ran: that of a server and that of the steps that
    ask it count once.
    """
    header, rows = build_summary(folder, all_metrics=all_metrics)
    text = format_table(header, rows, "csv" if style == "csv" else "html" if style == "html" else "md")
    if output is None:
        click.echo(text)
        return
    write_text_atomic(output, text + "\n")
    click.echo(f"{len(rows)} runs: {output}")
