"""An advisory lock on an open file, which ends with the process that holds it."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Callable

from practicum_core.errors import Stopped

_POLL_S = 0.05


def try_lock(descriptor: int) -> bool:
    """Take an exclusive lock on an open file; False where another process holds it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def lock_within(descriptor: int, timeout_s: float, is_stop_requested: Callable[[], bool] = lambda: False) -> bool:
    """Take an exclusive lock on an open file, waiting ``timeout_s`` at most; False where another still holds it.

    Raises:
        Stopped: A stop was requested meanwhile.
    """
    deadline_s = time.monotonic() + timeout_s
    while not try_lock(descriptor):
        if is_stop_requested():
            raise Stopped
        if time.monotonic() > deadline_s:
            return False
        time.sleep(_POLL_S)
    return True
