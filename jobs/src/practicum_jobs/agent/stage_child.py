"""Decides how a pod's stage is started, watched and ended. Knows no stage.

The stage holds a lock on a file of its step for as long as it lives, so that a pod that replaces one which the cluster
gave up on, and which may still be writing its checkpoint elsewhere, waits for it.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import BinaryIO

import psutil

from practicum_core.atomic import explain_os_errors, write_json_atomic
from practicum_core.errors import PlatformError, Reason, Stopped
from practicum_core.file_lock import try_lock
from practicum_core.layout import StageLayout
from practicum_core.step_files import ChildNote

LOCK_WAIT_S = 330.0
"""Longer than a stage has for its checkpoint after SIGTERM."""
_LOCK_POLL_S = 0.2
_CHUNK_BYTES = 1 << 16
_RAY_HEAD = "KUBERAY_GEN_RAY_START_CMD"
"""KubeRay sets it in every container of Ray."""


@contextlib.contextmanager
def hold_step(layout: StageLayout, is_stop_requested: Callable[[], bool], wait_s: float = LOCK_WAIT_S) -> Iterator[int]:
    """Hold a step's lock and yield its descriptor, for the stage to inherit.

    Raises:
        PlatformError: Another pod works on the step and does not end.
        Stopped: A stop was requested meanwhile.
    """
    deadline_s = time.monotonic() + wait_s
    with explain_os_errors(layout.lock):
        layout.root.mkdir(parents=True, exist_ok=True)
        handle = layout.lock.open("a")
    with handle:
        while not try_lock(handle.fileno()):
            if is_stop_requested():
                raise Stopped
            if time.monotonic() > deadline_s:
                raise PlatformError(
                    Reason.RUN_BUSY, f"{layout.root}: another pod works on this step", "wait until that pod has ended"
                )
            time.sleep(_LOCK_POLL_S)
        yield handle.fileno()


class StageChild:
    """The stage's process."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self.started_s = time.monotonic()
        self.stopped_s: float | None = None

    @property
    def pid(self) -> int:
        """Process id, which is the process group's id too."""
        return self._process.pid

    def wait(self, timeout_s: float) -> int | None:
        """Wait ``timeout_s`` at most; return the exit status, negative for a signal, or ``None`` while it runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._process.wait(timeout_s)
        return None

    def request_stop(self) -> None:
        """Send SIGTERM to the stage, once; its own workers are its to end. Safe in a signal handler."""
        if self.stopped_s is None and self._process.returncode is None:
            self.stopped_s = time.monotonic()
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGTERM)

    def sweep(self) -> None:
        """Kill the stage, where it still runs, and what it left behind in its process group."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()


def start_stage(
    layout: StageLayout, arguments: Sequence[str], variables: Mapping[str, str], attempt: int, lock: int
) -> StageChild:
    """Start a stage in its own session, its output appended to the step's log, and note it in ``child.json``.

    Args:
        layout: The step.
        arguments: After the interpreter.
        variables: Its whole environment.
        attempt: Which start of the step it is.
        lock: Descriptor of the step's lock, for the stage to keep.
    """
    with explain_os_errors(layout.log), layout.log.open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=dict(variables),
            cwd=layout.root.parent.parent,
            start_new_session=True,
            pass_fds=(lock,),
        )
    child = StageChild(process)
    try:
        started_at = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")
        created_s = float(psutil.Process(child.pid).create_time())
        write_json_atomic(layout.child, asdict(ChildNote(child.pid, created_s, attempt, started_at)))
    except BaseException:
        child.sweep()
        raise
    return child


def open_container_log(variables: Mapping[str, str], first: Path = Path("/proc/1/fd/1")) -> BinaryIO:
    """Return the stream that the container's log is made of: our own, but in a Ray head the first process's.

    There Ray keeps what its jobs print in files of its own, and `kubectl logs` would show nothing of the stage.
    """
    if _RAY_HEAD in variables:
        with contextlib.suppress(OSError):
            return first.open("ab")
    return sys.stdout.buffer


class LogTail:
    """Copies what is appended to a log to another stream, so that the pod's own log shows it."""

    def __init__(self, path: Path, out: BinaryIO) -> None:
        self._path = path
        self._out = out
        self._at = path.stat().st_size if path.exists() else 0

    def copy(self) -> None:
        """Copy what came since the last call."""
        try:
            with self._path.open("rb") as log:
                log.seek(self._at)
                while chunk := log.read(_CHUNK_BYTES):
                    self._at += len(chunk)
                    self._out.write(chunk)
        except FileNotFoundError:
            return
        self._out.flush()
