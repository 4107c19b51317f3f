"""Locks on the cache: the folder of environments, models and data that outlive a run."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator

from practicum_core.atomic import explain_os_errors
from practicum_core.file_lock import lock_within
from practicum_core.machine import get_cache_dir

SETTING = "PRACTICUM_CACHE"


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
        lock_within(handle.fileno(), math.inf, is_stop_requested)
        yield
