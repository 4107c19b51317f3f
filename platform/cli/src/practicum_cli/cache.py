"""Decides how processes share the place where environments, models and data lie that outlive a run."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

from practicum_core.atomic import explain_os_errors
from practicum_core.errors import Stopped
from practicum_core.file_lock import try_lock
from practicum_core.machine import get_cache_dir

SETTING = "PRACTICUM_CACHE"
_LOCK_POLL_S = 0.2


@contextlib.contextmanager
def hold_cache_lock(name: str, is_stop_requested: Callable[[], bool] = lambda: False) -> Iterator[None]:
    """Hold ``<cache>/locks/<name>.lock``, the same file that tools/ensure-env.sh locks.

    Raises:
        Stopped: A stop was requested while another process held the lock.
        PlatformError: The cache cannot be written.
    """
    path = get_cache_dir() / "locks" / f"{name}.lock"
    with explain_os_errors(path, SETTING):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = path.open("w")
    with handle:
        while not try_lock(handle.fileno()):
            if is_stop_requested():
                raise Stopped
            time.sleep(_LOCK_POLL_S)
        yield
