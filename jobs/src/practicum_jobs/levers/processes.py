"""Processes that each measure one thing, forked from one that has imported the libraries already.

A measurement has a process to itself, so that its peak memory is its own. Importing torch and its trainers takes ten
seconds on two cores, which would outweigh most measurements; the fork server of Python's multiprocessing pays it once.
"""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import os
import signal
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, Generic, TypeVar

from practicum_core.errors import PracticumError, Stopped
from practicum_jobs.context import StageContext

_POLL_S = 0.2
_GRACE_S = 5.0
Argument = TypeVar("Argument")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Measured(Generic[Result]):
    """What a process returned; ``None`` with the problem where it failed."""

    result: Result | None
    problem: str = ""


class MeasuringProcesses:
    """Starts one process for each measurement and waits for it.

    Args:
        ctx: Of the stage; a stop that it is asked for stops the process.
        libraries: Modules that the fork server imports once.
        timeout_s: After which a process is stopped.
    """

    def __init__(self, ctx: StageContext, libraries: Sequence[str], timeout_s: float) -> None:
        self._ctx = ctx
        self._timeout_s = timeout_s
        self._methods = multiprocessing.get_context("forkserver")
        self._methods.set_forkserver_preload(list(libraries))

    def call(
        self,
        function: Callable[[Argument], Result],
        argument: Argument,
        look: Callable[[], None] | None = None,
    ) -> Measured[Result]:
        """Call the function in a process of its own and return what it returns; both travel as pickles.

        Args:
            function: Of a module that the process can import.
            argument: Its only argument.
            look: Called now and then while it runs.

        Raises:
            Stopped: A stop was requested; the process is stopped too.
        """
        with self._start(function, argument) as (process, receiver):
            return self._wait(process, receiver, look)

    @contextlib.contextmanager
    def start(self, function: Callable[[Argument], object], argument: Argument) -> Iterator[Watched]:
        """Run the function in a process of its own until the end of the context; SIGTERM asks it to end."""
        with self._start(function, argument) as (process, receiver):
            yield Watched(process, receiver)

    @contextlib.contextmanager
    def _start(
        self, function: Callable[[Argument], object], argument: Argument
    ) -> Iterator[tuple[BaseProcess, Connection]]:
        receiver, sender = self._methods.Pipe(duplex=False)
        process = self._methods.Process(target=_run, args=(function, argument, sender), daemon=False)
        process.start()
        sender.close()
        try:
            yield process, receiver
        finally:
            _stop(process)
            receiver.close()

    def _wait(self, process: BaseProcess, receiver: Connection, look: Callable[[], None] | None) -> Measured[Result]:
        deadline_s = time.monotonic() + self._timeout_s
        while not receiver.poll(_POLL_S):
            if look is not None:
                look()
            if self._ctx.is_stop_requested:
                raise Stopped
            if time.monotonic() > deadline_s:
                return Measured(None, f"stopped after {self._timeout_s:.0f} s (timeout_s)")
        found: Measured[Result] = _receive(process, receiver)
        process.join(_GRACE_S)
        return found


@dataclass(frozen=True)
class Watched:
    """A process that runs."""

    process: BaseProcess
    receiver: Connection

    @property
    def pid(self) -> int:
        """Its process id, which is that of its session too."""
        return self.process.pid or 0

    def find_problem(self) -> str:
        """Return why it ended; empty while it runs."""
        if not self.receiver.poll():
            return ""
        return _receive(self.process, self.receiver).problem or "it ended by itself"


def _receive(process: BaseProcess, receiver: Connection) -> Measured[Any]:
    try:
        found: Measured[Any] = receiver.recv()
    except EOFError:
        process.join(_GRACE_S)
        killed = process.exitcode == -signal.SIGKILL
        hint = ", as the kernel does where memory runs out" if killed else ""
        return Measured(None, f"its process ended with {process.exitcode}{hint}")
    return found


def _run(function: Callable[[Argument], Result], argument: Argument, sender: Connection) -> None:
    os.setsid()  # so that what it starts can be stopped with it
    # Trainers search for garbage now and then. Among the million objects of the libraries that takes a second or two,
    # and copies their memory, which is no need of what is measured.
    gc.freeze()
    try:
        found = Measured(function(argument))
    except PracticumError as error:
        found = Measured(None, error.detail)
    except Exception as error:  # noqa: BLE001 - a process reports whatever its libraries raise
        traceback.print_exc()
        lines = str(error).strip().splitlines()
        found = Measured(None, f"{type(error).__name__}: {lines[0] if lines else 'no message'}"[:300])
    sender.send(found)
    sender.close()


def _stop(process: BaseProcess) -> None:
    """Stop the process and what it started, which share a session of their own."""
    if process.pid is None:
        return
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if number == signal.SIGKILL or process.is_alive():
                os.killpg(process.pid, number)
        process.join(_GRACE_S)
