"""Loopback ports of a run's servers: one for each step, the same over restarts of the server.

A port that is merely looked up as free may be taken before the server listens on it, or between the end of a server and
its restart. So the executor keeps a socket bound to it, on which it does not listen: the kernel then gives the port to
nobody who asks for any free port, neither for listening nor for connecting. A server may listen there nonetheless where
it sets ``SO_REUSEADDR`` or ``SO_REUSEPORT``, as servers do that can be restarted at once (uvicorn, vLLM, http.server,
llama.cpp, Node, Go); see socket(7), "SO_REUSEADDR".
"""

from __future__ import annotations

import socket
from types import TracebackType
from typing import Self

from practicum_core.atomic import write_json_atomic
from practicum_core.json_files import read_json_or_empty
from practicum_core.layout import StageLayout

LOOPBACK = "127.0.0.1"
_FIRST_PORT, _LAST_PORT = 1024, 65_535


class ServerPorts:
    """The ports of one executor's servers, held until it closes them. Use as a context manager."""

    def __init__(self) -> None:
        self._sockets: dict[StageLayout, socket.socket] = {}

    def ensure(self, layout: StageLayout) -> int:
        """Return the port of a step; the first call picks it, holds it and notes it in the step's folder.

        A run that is resumed gets the port that was noted before, unless another program has it by now, or the kernel
        still keeps connections that its server closed (one minute).

        Raises:
            PlatformError: The step's folder cannot be written.
        """
        if layout not in self._sockets:
            self._sockets[layout] = _bind(_read_port(layout))
        port = int(self._sockets[layout].getsockname()[1])
        if _read_port(layout) != port:
            write_json_atomic(layout.port, {"port": port})
        return port

    def close(self) -> None:
        """Let go of all ports."""
        while self._sockets:
            self._sockets.popitem()[1].close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _read_port(layout: StageLayout) -> int:
    """Read the port that was noted for a step; 0, which stands for any free one, where none was."""
    noted = read_json_or_empty(layout.port).get("port")
    return noted if isinstance(noted, int) and _FIRST_PORT <= noted <= _LAST_PORT else 0


def _bind(port: int) -> socket.socket:
    """Bind a socket to a port, or to any free one where something else has that one."""
    held = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        held.bind((LOOPBACK, port))
    except OSError:
        held.close()
        if port == 0:
            raise
        return _bind(0)
    # Set after the port is bound: before, they would let two executors hold the same one.
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    return held
