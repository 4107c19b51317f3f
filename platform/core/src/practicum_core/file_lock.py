"""Decides how processes keep out of each other's way: an advisory lock on an open file, gone with its holder."""

from __future__ import annotations

import fcntl


def try_lock(descriptor: int) -> bool:
    """Take an exclusive lock on an open file; False where another process holds it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
