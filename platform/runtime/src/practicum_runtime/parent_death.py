"""A process that must not outlive the one that started it: the kernel sends it a signal when that one ends."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def follow_parent(parent: int, number: signal.Signals = signal.SIGTERM) -> None:
    """Ask for a signal when the parent ends, however it ends. Does nothing where the system is not Linux.

    The kernel sends it when the thread ends that started this process (prctl(2), PR_SET_PDEATHSIG), so a parent must
    start its children from a thread that lives as long as itself.

    Args:
        parent: Id of the process that started this one. Where it has ended already, the signal comes at once.
        number: The signal.
    """
    if not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)
    if is_parent_gone(parent):
        os.kill(os.getpid(), number)


def is_parent_gone(parent: int) -> bool:
    """Whether the process that started this one has ended.

    >>> is_parent_gone(os.getppid())
    False
    """
    return os.getppid() != parent
