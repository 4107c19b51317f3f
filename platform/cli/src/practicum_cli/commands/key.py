"""``practicum key``: keys of the gateway made, listed and revoked.

A running gateway follows within a second on this machine. On a cluster the kubelet takes a minute or two.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import click

from practicum_cli.cluster_runs import Place
from practicum_cli.commands.options import cluster_options, experiments_option
from practicum_cli.streams import tell
from practicum_cli.tables import format_table
from practicum_core.api_keys import KEY_FILE, KeyFile, KeyLimits, change_key_file, make_key, read_key_file


@click.group()
def key() -> None:
    """Make, list or revoke keys of the gateway, of this machine or of a cluster; their hashes alone are kept."""


@key.command()
@click.argument("owner")
@click.option("--tokens-per-minute", type=click.IntRange(min=1), help="Tokens of prompts and answers.")
@click.option("--requests-per-minute", type=click.IntRange(min=1), help="Requests.")
@click.option("--concurrent-requests", type=click.IntRange(min=1), help="Requests at the same time, streams too.")
@click.option("--priority", type=click.IntRange(0, 9), default=5, show_default=True, help="0 comes first in a queue.")
@experiments_option
@cluster_options
def make(
    *,
    owner: str,
    tokens_per_minute: int | None,
    requests_per_minute: int | None,
    concurrent_requests: int | None,
    priority: int,
    experiments: Path,
    place: Place | None,
) -> None:
    """Make a key for OWNER and print it, this once."""
    limits = KeyLimits(
        tokens_per_minute=tokens_per_minute,
        requests_per_minute=requests_per_minute,
        concurrent_requests=concurrent_requests,
        priority=priority,
    )
    secret, made = make_key(owner, limits, _now())
    _change(experiments, place, lambda file: file.add(made))
    tell(secret)


@key.command(name="list")
@experiments_option
@cluster_options
def list_keys(*, experiments: Path, place: Place | None) -> None:
    """List the keys with their limits."""
    rows = [
        [
            one.id,
            one.owner,
            one.created_at,
            one.revoked_at or "",
            one.ends_at.isoformat(timespec="seconds") if one.ends_at else "",
            _show(one.limits.tokens_per_minute),
            _show(one.limits.requests_per_minute),
            _show(one.limits.concurrent_requests),
            str(one.limits.priority),
        ]
        for one in _read(experiments, place).keys
    ]
    header = ["KEY", "OWNER", "MADE", "REVOKED", "ENDS", "TOKENS/MIN", "REQUESTS/MIN", "AT ONCE", "PRIORITY"]
    tell(format_table(header, rows) if rows else "no keys yet")


@key.command()
@click.argument("key_id", metavar="KEY")
@experiments_option
@cluster_options
def revoke(*, key_id: str, experiments: Path, place: Place | None) -> None:
    """Revoke KEY, named as `practicum key list` names it."""
    _change(experiments, place, lambda file: file.revoke(key_id, _now()))
    tell(f"key {key_id} is revoked")


def _read(experiments: Path, place: Place | None) -> KeyFile:
    if place is None:
        return read_key_file(experiments / KEY_FILE)
    from practicum_cli.api_server import connect  # noqa: PLC0415 - its client loads for seconds

    with connect(place) as server:
        return server.read_keys()


def _change(experiments: Path, place: Place | None, change: Callable[[KeyFile], KeyFile]) -> None:
    if place is None:
        change_key_file(experiments / KEY_FILE, change)
        return
    from practicum_cli.api_server import connect  # noqa: PLC0415 - as above

    with connect(place) as server:
        server.change_keys(change)


def _show(limit: int | None) -> str:
    return "" if limit is None else str(limit)


def _now() -> str:
    return dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
