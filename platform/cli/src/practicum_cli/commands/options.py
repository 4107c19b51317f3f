"""Options that several subcommands share."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from practicum_cli.cluster_runs import Place
from practicum_cli.runs import DEFAULT_ROOT
from practicum_core.errors import ConfigError
from practicum_core.layout import is_safe_name

experiments_option = click.option(
    "--out",
    "experiments",
    type=click.Path(path_type=Path),
    default=DEFAULT_ROOT,
    envvar="PRACTICUM_EXPERIMENTS",
    show_default=True,
    help="Folder of all runs.",
)

owner_option = click.option(
    "--i-own-this-server", is_flag=True, help="Allow a server that is neither on this machine nor in the own cluster."
)
_SERVER_OPTIONS = (
    click.option(
        "--model", "served_model", metavar="NAME", help="Name of the model there; the first one listed without it."
    ),
    click.option("--key-variable", metavar="NAME", help="Environment variable that holds the server's key."),
    click.option("--key-file", metavar="FILE", help="File that holds the server's key."),
)

_namespace_option = click.option(
    "-n", "--namespace", metavar="NAME", help="Namespace on the cluster; the kubeconfig's without it."
)
_context_option = click.option("--context", metavar="NAME", help="Context of the kubeconfig; its current one without.")
_cluster_option = click.option(
    "--cluster", "is_cluster", is_flag=True, help="Week jobs of a cluster, not runs of this machine; -n implies it."
)


def server_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the model and the key of a server of the user's own."""
    for option in reversed(_SERVER_OPTIONS):
        command = option(command)
    return command


def read_server_options(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return, as a step that asks a server names them, what :func:`server_options` and :data:`owner_option` took.

    Args:
        given: The command's options; ``None`` for those that were not given.
    """
    return {
        "served_model": given["served_model"],
        "key_variable": given["key_variable"],
        "key_file": str(Path(given["key_file"]).absolute()) if given["key_file"] else None,
        "i_own_this_server": given["i_own_this_server"] or None,
    }


def place_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command ``place``: where on which cluster."""

    @_namespace_option
    @_context_option
    @functools.wraps(command)
    def call(*, namespace: str | None, context: str | None, **rest: Any) -> Any:  # noqa: ANN401 - the command's own
        return command(place=_build_place(namespace, context), **rest)

    return call


def cluster_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command ``place``: where on which cluster, or ``None`` for this machine."""

    @_cluster_option
    @_namespace_option
    @_context_option
    @functools.wraps(command)
    def call(*, is_cluster: bool, namespace: str | None, context: str | None, **rest: Any) -> Any:  # noqa: ANN401 - as above
        is_asked = is_cluster or namespace is not None or context is not None
        return command(place=_build_place(namespace, context) if is_asked else None, **rest)

    return call


def _build_place(namespace: str | None, context: str | None) -> Place:
    if namespace is not None and not is_safe_name(namespace):
        raise ConfigError(f"--namespace {namespace!r}: no namespace has such a name", "lower case, digits and dashes")
    return Place(namespace, context)
