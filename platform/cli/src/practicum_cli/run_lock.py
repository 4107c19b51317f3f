"""The lock of a run directory: held by the executor that works on it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from practicum_core.atomic import explain_os_errors
from practicum_core.errors import PlatformError, Reason
from practicum_core.file_lock import lock_within, try_lock
from practicum_core.layout import RunLayout

_LOCK_WAIT_S = 0.5
"""A command that looks whether a run is held holds it for a moment itself; that must not turn an executor away."""


@contextlib.contextmanager
def hold_run(run: RunLayout) -> Iterator[None]:
    """Hold the run directory against other executors.

    Raises:
        PlatformError: Another executor works on it.
    """
    with explain_os_errors(run.lock):
        handle = run.lock.open("a")
    with handle:
        if not lock_within(handle.fileno(), _LOCK_WAIT_S):
            raise PlatformError(
                Reason.RUN_BUSY, f"{run.root}: another process works on this run", "wait until it ends, or stop it"
            )
        yield


def is_run_held(run: RunLayout) -> bool:
    """Whether an executor works on the run now."""
    try:
        with run.lock.open("rb") as handle:
            return not try_lock(handle.fileno())
    except OSError:
        return False
