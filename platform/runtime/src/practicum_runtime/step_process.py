"""The process of a step: started in a process group of its own, asked to stop, killed, swept up after."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from practicum_core.atomic import explain_os_errors
from practicum_core.layout import StageLayout
from practicum_runtime.child_note import write_child_note
from practicum_runtime.process_tree import kill_group, kill_tree
from practicum_runtime.temporary_folder import SETTING, make_short_link

STOP_GRACE_S = 300.0
"""Seconds that a stage has to write its checkpoint after a stop request."""


class StepProcess:
    """A step's process, started by this process.

    Args:
        process: The process.
        attempt: Which start of the step it is.
        link: Link to its folder of temporary files, removed with it; ``None`` where it has none.

    Attributes:
        attempt: Which start of the step it is.
        started_s: When it started, on the monotonic clock.
        stopped_s: When it was asked to stop; ``None`` where it was not.
        was_killed: Whether it was killed here.
        is_swept: Whether its end was dealt with, see :meth:`sweep`.
    """

    def __init__(self, process: subprocess.Popen[bytes], attempt: int, link: Path | None = None) -> None:
        self._process = process
        self._link = link
        self.attempt = attempt
        self.started_s = time.monotonic()
        self.stopped_s: float | None = None
        self.was_killed = False
        self.is_swept = False

    @property
    def pid(self) -> int:
        """Process id, which is the process group's id too."""
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self.poll() is None

    def poll(self) -> int | None:
        """Return the exit status, negative for a signal, or ``None`` while it runs."""
        return self._process.poll()

    def wait(self, timeout_s: float) -> int | None:
        """Wait ``timeout_s`` at most; return the exit status, negative for a signal, or ``None`` while it runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._process.wait(timeout_s)
        return None

    def request_stop(self) -> None:
        """Send SIGTERM, once. Its own workers are left to it. Safe in a signal handler."""
        if self.stopped_s is None and self.is_running:
            self.stopped_s = time.monotonic()
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGTERM)

    def stop(self, grace_s: float, *, is_forced: bool = False) -> None:
        """Ask it to stop and return at once; called again after the grace, kill it.

        Args:
            grace_s: Seconds that it has after the request.
            is_forced: Whether the grace is over.
        """
        self.request_stop()
        if self.is_running and (is_forced or time.monotonic() - (self.stopped_s or 0.0) > grace_s):
            self.kill()

    def kill(self) -> None:
        """Kill it with all of its descendants, and collect it."""
        self.was_killed = True
        kill_tree(self.pid)
        self._process.wait()

    def sweep(self) -> None:
        """Kill what it left behind in its process group, itself too where it still runs, and collect it."""
        if not self.is_swept:
            kill_group(self.pid)
            self._process.wait()
            if self._link is not None:
                self._link.unlink(missing_ok=True)
            self.is_swept = True


def start_step(
    layout: StageLayout, command: Sequence[str], variables: Mapping[str, str], attempt: int, lock: int
) -> StepProcess:
    """Start a step's process in the run directory and note it; its output is appended to the step's log.

    Args:
        layout: The step; its folder exists.
        command: Program and arguments.
        variables: Its whole environment. A long ``TMPDIR`` is replaced by a short link to it.
        attempt: Which start of the step it is.
        lock: Descriptor of the step's lock (:func:`practicum_runtime.step_lock.hold_step`), which it inherits.

    Raises:
        PlatformError: A file of the step cannot be written; then no process runs.
    """
    with explain_os_errors(layout.log), layout.log.open("ab") as log, contextlib.ExitStack() as undo:
        link = make_short_link(variables.get(SETTING))
        if link is not None:
            undo.callback(link.unlink, missing_ok=True)
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**variables, SETTING: str(link)} if link else dict(variables),
            cwd=layout.root.parent.parent,
            # A group, and no session: Linux divides processors among sessions first (autogroup), and the client of a
            # load test that woke in a session of its own waited up to a second for a server that computed.
            process_group=0,
            pass_fds=(lock,),
        )
        undo.pop_all()
    started = StepProcess(process, attempt, link)
    try:
        write_child_note(layout, started.pid, attempt)
    except BaseException:
        started.kill()
        started.sweep()
        raise
    return started
