"""Processes by their id: find one that was noted earlier, kill one with all of its descendants."""

from __future__ import annotations

import contextlib
import os
import signal

import psutil

_CREATION_TOLERANCE_S = 1.0


def get_creation_time(pid: int) -> float:
    """Return when a process was created, in seconds since the epoch; 0 where it has ended."""
    try:
        return float(psutil.Process(pid).create_time())
    except psutil.NoSuchProcess:
        return 0.0


def find_process(pid: int, created_s: float) -> psutil.Process | None:
    """Return the process with this id that was created then; ``None`` where it has ended.

    The system gives the id of an ended process to a later one, hence the time of creation.
    """
    try:
        process = psutil.Process(pid)
        is_same = abs(process.create_time() - created_s) < _CREATION_TOLERANCE_S
    except (psutil.NoSuchProcess, ValueError):  # a negative id is a ValueError
        return None
    return process if is_same else None


def kill_group(pid: int) -> None:
    """Kill the processes of a group, by the id of its leader; the leader itself may have ended."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def kill_tree(pid: int) -> None:
    """Kill a process, its process group and its descendants, those in groups of their own too."""
    try:
        family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        family = []
    kill_group(pid)
    for member in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            member.kill()
