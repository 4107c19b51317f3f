"""Faults of processes: stopped, killed, without room on the disk. What was changed is returned as plain numbers.

The same on a laptop, where the stage chaos changes processes of its own run, and inside a pod, where
:mod:`practicum_runtime.faults_in_pod` does.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

import psutil

from practicum_runtime.process_tree import find_process


class Known(NamedTuple):
    """A process: its id may be given to another one, so the time of its creation stands beside it."""

    pid: int
    created_s: float


class Limited(NamedTuple):
    """A process whose files may not grow, and the limits (soft, hard) that it had; below 0: none."""

    pid: int
    created_s: float
    soft: int
    hard: int


T = TypeVar("T", Known, Limited)


def list_family(*roots: psutil.Process) -> list[psutil.Process]:
    """Return processes with all that they started."""
    return [one for root in roots for one in (root, *root.children(recursive=True))]


def suspend(family: Sequence[psutil.Process]) -> list[Known]:
    """Stop processes (SIGSTOP); where one of them cannot be stopped, none is.

    Raises:
        psutil.AccessDenied: One is not of this user.
    """
    stopped = [Known(one.pid, one.create_time()) for one in family]
    try:
        for one in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.suspend()
    except psutil.Error:
        resume(stopped)
        raise
    return stopped


def resume(stopped: Sequence[Known]) -> None:
    """Let processes go on."""
    _change_each(stopped, lambda process, _: process.resume())


def kill_largest(family: Sequence[psutil.Process]) -> int:
    """Kill the process that holds most memory, and no other, as the kernel does; return its id."""
    victim = max(family, key=_measure_memory)
    victim.kill()
    return victim.pid


def limit_files(family: Sequence[psutil.Process]) -> list[Limited]:
    """Let every write to a file fail, as on a full disk, without filling one.

    The soft limit of the size of files (RLIMIT_FSIZE) becomes 0, which needs no root and is taken back. A write fails
    with EFBIG; on a full disk it would be ENOSPC.
    """
    limited = []
    for one in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            soft, hard = one.rlimit(psutil.RLIMIT_FSIZE)
            one.rlimit(psutil.RLIMIT_FSIZE, (0, hard))
            limited.append(Limited(one.pid, one.create_time(), soft, hard))
    return limited


def lift_limits(limited: Sequence[Limited]) -> None:
    """Give processes back the limits that they had."""
    _change_each(limited, lambda process, old: process.rlimit(psutil.RLIMIT_FSIZE, (old.soft, old.hard)))


def _change_each(known: Sequence[T], change: Callable[[psutil.Process, T], object]) -> None:
    """Change processes that still run; one that ended in between does not keep the others from it."""
    for one in known:
        process = find_process(one.pid, one.created_s)
        with contextlib.suppress(psutil.NoSuchProcess):
            if process is not None:
                change(process, one)


def _measure_memory(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0
