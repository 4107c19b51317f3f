"""Advisory locks on open files. The kernel releases a lock when the process that holds it ends."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Callable

from practicum_core.errors import Stopped

_POLL_S = 0.05


def try_lock(descriptor: int) -> bool:
    """Take an exclusive lock on an open file; ``False`` if another process holds it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def lock_within(descriptor: int, timeout_s: float, is_stop_requested: Callable[[], bool] = lambda: False) -> bool:
    """Take an exclusive lock on an open file; ``False`` if another process still holds it after ``timeout_s``.

    Raises:
        Stopped: A stop was requested while waiting.
    """
    deadline_s = time.monotonic() + timeout_s
    while not try_lock(descriptor):
        if is_stop_requested():
            raise Stopped
        if time.monotonic() > deadline_s:
            return False
        time.sleep(_POLL_S)
    return True
