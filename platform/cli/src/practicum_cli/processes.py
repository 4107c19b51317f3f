"""Decides how a step's process is started, recognised later, and ended. Knows no stage.

The process holds a lock on a file of its step for as long as it lives, so that a later executor knows for certain
whether one is still at work, even where the first executor was killed before it could note the process id.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import psutil

from practicum_core.atomic import explain_os_errors, write_json_atomic
from practicum_core.errors import PlatformError, Reason
from practicum_core.file_lock import try_lock
from practicum_core.layout import StageLayout
from practicum_core.step_files import ChildNote, read_child_note

_POLL_S = 0.1
_KILL_S = 10.0
_CREATION_TOLERANCE_S = 1.0


class Child:
    """A step's process, started by this executor."""

    def __init__(self, process: subprocess.Popen[bytes], attempt: int) -> None:
        self._process = process
        self.attempt = attempt
        self.started_s = time.monotonic()
        self.stopped_s: float | None = None
        self.was_killed = False

    @property
    def pid(self) -> int:
        """Process id, which is the process group's id too."""
        return self._process.pid

    def poll(self) -> int | None:
        """Return the exit status, negative for a signal, or ``None`` while it runs."""
        return self._process.poll()

    def wait(self, timeout_s: float) -> None:
        """Wait until it ends, ``timeout_s`` at most."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout_s)

    def request_stop(self) -> None:
        """Send SIGTERM to the leader, once; its own workers are its to end."""
        if self.stopped_s is None and self.poll() is None:
            self.stopped_s = time.monotonic()
            self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Kill the process with all of its descendants."""
        self.was_killed = True
        kill_tree(self.pid)
        self._process.wait()

    def sweep(self) -> None:
        """Kill what an ended leader left behind in its process group."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)


def start_child(
    layout: StageLayout, command: Sequence[str], variables: Mapping[str, str], folder: Path, attempt: int
) -> Child:
    """Start a step's process in its own session, its output appended to the step's log.

    Raises:
        PlatformError: Another process of this step lives, or a file cannot be written.
    """
    with explain_os_errors(layout.root):
        layout.root.mkdir(parents=True, exist_ok=True)
        with layout.lock.open("w") as lock, layout.log.open("ab") as log:
            if not try_lock(lock.fileno()):
                raise PlatformError(
                    Reason.RUN_BUSY, f"{layout.root}: another process works on this step", "wait until it ends"
                )
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=dict(variables),
                cwd=folder,
                start_new_session=True,
                pass_fds=(lock.fileno(),),
            )
    child = Child(process, attempt)
    try:
        note = ChildNote(process.pid, _get_creation_time(process.pid), attempt, _utc_now())
        write_json_atomic(layout.child, asdict(note))
    except BaseException:
        child.kill()
        raise
    return child


def is_step_alive(layout: StageLayout) -> bool:
    """Whether a process of this step lives, by the lock that it holds."""
    if not layout.lock.exists():
        return False
    with layout.lock.open("r+") as handle:
        return not try_lock(handle.fileno())


def end_orphan(layout: StageLayout, grace_s: float, is_hurried: Callable[[], bool]) -> None:
    """End a step's process that a killed executor left behind: SIGTERM, wait for its checkpoint, then SIGKILL.

    Args:
        layout: The step.
        grace_s: Seconds that it has for its checkpoint.
        is_hurried: Whether to wait no longer.

    Raises:
        PlatformError: It cannot be named or ended.
    """
    note = read_child_note(layout)
    process = _find_process(note) if note else None
    if process is not None:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    has_ended = _wait_for_lock(layout, grace_s, is_hurried)
    if not has_ended and process is not None:
        kill_tree(process.pid)
        has_ended = _wait_for_lock(layout, _KILL_S, lambda: False)
    if not has_ended:
        raise PlatformError(
            Reason.RUN_BUSY,
            f"{layout.root}: a process of an earlier executor still works on this step",
            "wait until it ends, then resume again",
        )


def kill_tree(pid: int) -> None:
    """Kill a process, its descendants and its process group."""
    try:
        family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        family = []
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    for member in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            member.kill()


def _find_process(note: ChildNote) -> psutil.Process | None:
    try:
        process = psutil.Process(note.pid)
        return process if abs(process.create_time() - note.created_s) < _CREATION_TOLERANCE_S else None
    except psutil.NoSuchProcess:
        return None


def _wait_for_lock(layout: StageLayout, timeout_s: float, is_hurried: Callable[[], bool]) -> bool:
    deadline_s = time.monotonic() + timeout_s
    while is_step_alive(layout):
        if is_hurried() or time.monotonic() > deadline_s:
            return False
        time.sleep(_POLL_S)
    return True


def _get_creation_time(pid: int) -> float:
    try:
        return float(psutil.Process(pid).create_time())
    except psutil.NoSuchProcess:
        return 0.0


def _utc_now() -> str:
    return dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")
