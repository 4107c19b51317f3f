"""Decides how processes keep out of each other's way: an advisory lock on an open file, gone with its holder."""

from __future__ import annotations

import fcntl
import time

_POLL_S = 0.05


def try_lock(descriptor: int) -> bool:
    """Take an exclusive lock on an open file; False where another process holds it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def lock_within(descriptor: int, timeout_s: float) -> bool:
    """Lock an open file for this process alone, waiting ``timeout_s`` at most; False where another still holds it."""
    deadline_s = time.monotonic() + timeout_s
    while not try_lock(descriptor):
        if time.monotonic() > deadline_s:
            return False
        time.sleep(_POLL_S)
    return True
