"""Decides where environments, models and data lie that outlive a run, and how processes share that place."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from practicum_core.atomic import explain_os_errors
from practicum_core.errors import Stopped
from practicum_core.file_lock import try_lock

_LOCK_POLL_S = 0.2


def get_cache_dir() -> Path:
    """Return ``$PRACTICUM_CACHE``, else ``practicum`` below the user's cache folder."""
    explicit = os.environ.get("PRACTICUM_CACHE")
    if explicit:
        return Path(explicit).absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "practicum"


@contextlib.contextmanager
def hold_cache_lock(name: str, is_stop_requested: Callable[[], bool] = lambda: False) -> Iterator[None]:
    """Hold ``<cache>/locks/<name>.lock``, the same file that tools/ensure-env.sh locks.

    Raises:
        Stopped: A stop was requested while another process held the lock.
        PlatformError: The cache cannot be written.
    """
    path = get_cache_dir() / "locks" / f"{name}.lock"
    with explain_os_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = path.open("w")
    with handle:
        while not try_lock(handle.fileno()):
            if is_stop_requested():
                raise Stopped
            time.sleep(_LOCK_POLL_S)
        yield
