"""``practicum pointer``: named pointers to runs move only by command, leave an audit line, and move back."""

from __future__ import annotations

from pathlib import Path

import click

from practicum_cli.commands.options import experiments_option
from practicum_cli.runs import find_run, read_whole_run
from practicum_cli.tables import format_table
from practicum_core.errors import GateFailed
from practicum_core.pointers import Move, Pointers, check_name

_why_option = click.option("--why", default="", help="Reason, kept in the audit line.")


@click.group()
def pointer() -> None:
    """Move, show or roll back a named pointer to a run, such as best or served."""


@pointer.command(name="set")
@click.argument("name")
@click.argument("run")
@_why_option
@click.option("--despite-gates", is_flag=True, help="Accept a run whose gates were not passed; the line names them.")
@experiments_option
def set_pointer(*, name: str, run: str, why: str, despite_gates: bool, experiments: Path) -> None:
    """Point NAME to RUN, which must be whole and have passed its gates."""
    check_name(name)
    found = read_whole_run(find_run(run, experiments))
    missed = ", ".join(gate.name for gate in found.status.gates if not gate.passed)
    if missed and not despite_gates:
        raise GateFailed(f"{found.name}: gates not passed: {missed}", "point to another run, or say --despite-gates")
    if missed:
        why = f"{why} (gates not passed: {missed})".strip()
    click.echo(_describe(Pointers(experiments).set(name, found.name, why)))


@pointer.command()
@click.argument("name", required=False)
@experiments_option
def show(*, name: str | None, experiments: Path) -> None:
    """Show where NAME leads and every move of it; all pointers without NAME."""
    pointers = Pointers(experiments)
    if name is None:
        rows = [[each, pointers.read(each)] for each in pointers.list_names()]
        click.echo(format_table(["POINTER", "RUN"], rows) if rows else "no pointers yet")
        return
    click.echo(f"{name} -> {pointers.read(name)}")
    moves = pointers.read_moves(name)
    rows = [[move.time, move.action, move.before or "(none)", move.after, move.who, move.why] for move in moves]
    click.echo(format_table(["TIME", "ACTION", "FROM", "TO", "WHO", "WHY"], rows))


@pointer.command()
@click.argument("name")
@_why_option
@experiments_option
def rollback(*, name: str, why: str, experiments: Path) -> None:
    """Move NAME back to where it was before its last move."""

    def require_whole(run: str) -> None:
        read_whole_run(experiments / run)

    click.echo(_describe(Pointers(experiments).rollback(name, why, require_whole)))


def _describe(move: Move) -> str:
    return f"{move.name}: {move.before or '(none)'} -> {move.after}"
