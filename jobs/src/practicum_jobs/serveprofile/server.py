"""A server with given options in a process of its own: started, awaited, measured and stopped."""

from __future__ import annotations

import contextlib
import os
import pkgutil
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from practicum_core.stages.serve import ServeConfig
from practicum_jobs.adapters.engine_server import ServerSettings
from practicum_jobs.context import StageContext
from practicum_jobs.levers.processes import MeasuringProcesses, Watched

_POLL_S = 0.2
_HOST = "127.0.0.1"
_OK = 200


class ServerFailedError(Exception):
    """A server did not become ready; the text says why."""


@dataclass(frozen=True)
class ServerOrder:
    """What a process serves.

    Attributes:
        program: ``module:function`` that serves until it is asked to stop.
        log: File for everything that it writes.
    """

    program: str
    config: ServeConfig
    folder: Path
    port: int
    num_threads: int
    log: Path


def serve_measured(order: ServerOrder) -> None:
    """Serve in this process until it gets SIGTERM."""
    with order.log.open("wb") as log:
        os.dup2(log.fileno(), sys.stdout.fileno())
        os.dup2(log.fileno(), sys.stderr.fileno())
    stops: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: stops.append(number))
    serve: Callable[[ServerSettings, Callable[[], bool]], object] = pkgutil.resolve_name(order.program)
    settings = ServerSettings(
        config=order.config,
        path=order.folder,
        names=(order.config.served_name,),
        host=_HOST,
        port=order.port,
        num_threads=order.num_threads,
        log=order.log,
    )
    serve(settings, lambda: bool(stops))


@contextlib.contextmanager
def hold_server(
    processes: MeasuringProcesses, order: ServerOrder, timeout_s: float, ctx: StageContext
) -> Iterator[RunningServer]:
    """Start a server, wait until it is ready, and stop it at the end.

    Raises:
        ServerFailedError: It ended, or was not ready in time.
        Stopped: A stop was requested.
    """
    with processes.start(serve_measured, order) as watched:
        server = RunningServer(f"http://{_HOST}:{order.port}", watched)
        deadline_s = time.monotonic() + timeout_s
        while not server.is_ready():
            ctx.raise_if_stopped()
            if problem := watched.find_problem():
                raise ServerFailedError(problem)
            if time.monotonic() > deadline_s:
                raise ServerFailedError(f"not ready after {timeout_s:.0f} s (timeout_s)")
            time.sleep(_POLL_S)
        yield server


@dataclass(frozen=True)
class RunningServer:
    """A server that was started."""

    url: str
    watched: Watched

    def is_ready(self) -> bool:
        """Whether it answers requests."""
        try:
            return httpx.get(f"{self.url}/readyz", timeout=5, trust_env=False).status_code == _OK
        except httpx.HTTPError:
            return False

    def measure_memory(self) -> int:
        """Return the bytes that its processes hold; what several of them share counts once among them.

        Raises:
            ServerFailedError: It ended.
        """
        try:
            process = psutil.Process(self.watched.pid)
            family = (process, *process.children(recursive=True))
        except psutil.NoSuchProcess as error:
            raise ServerFailedError(self.watched.find_problem() or "it ended by itself") from error
        total = 0
        for one in family:
            with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                total += int(one.memory_full_info().pss)
        return total


def find_free_port() -> int:
    """Return a port on which nothing listens now."""
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        return int(probe.getsockname()[1])
