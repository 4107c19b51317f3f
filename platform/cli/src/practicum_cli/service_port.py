"""The port of a service that a person chose: checked before anything starts, and noted for the executor."""

from __future__ import annotations

import socket
from pathlib import Path

from practicum_core.atomic import write_json_atomic
from practicum_core.errors import ConfigError
from practicum_core.layout import RunLayout
from practicum_runtime.ports import LOOPBACK


def require_free_port(port: int) -> None:
    """Check that a server could listen on a port.

    Raises:
        ConfigError: Another program has it, or this user may not.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: connections that an earlier server closed a moment ago do not hold the port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            what = "this user may not listen there" if isinstance(error, PermissionError) else "it is in use"
            raise ConfigError(
                f"port {port} of {LOOPBACK}: {what}", "choose another with --port, or leave --port out"
            ) from error


def note_port(run: Path, step: str, port: int) -> None:
    """Note the port of a step's server, which the executor takes as that of an earlier start.

    Raises:
        PlatformError: The step's folder cannot be written.
    """
    write_json_atomic(RunLayout(run).stage(step).port, {"port": port})
