"""The lock of a step: held by its process for as long as it lives, so that no two work on one step.

The process inherits the lock. So it is held even where whoever started the process was killed, and another executor,
or the pod that replaces a lost one, knows for certain whether a process is still at work.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from practicum_core.atomic import explain_os_errors
from practicum_core.errors import PlatformError, Reason
from practicum_core.file_lock import lock_within, try_lock
from practicum_core.layout import StageLayout


@contextlib.contextmanager
def hold_step(
    layout: StageLayout, wait_s: float = 0.0, is_stop_requested: Callable[[], bool] = lambda: False
) -> Iterator[int]:
    """Hold a step's lock and yield its descriptor, for the step's process to inherit.

    Args:
        layout: The step.
        wait_s: Seconds to wait for another process to end.
        is_stop_requested: Whether to give up waiting.

    Raises:
        PlatformError: Another process works on the step and does not end (``RunBusy``), or a file cannot be written.
        Stopped: A stop was requested meanwhile.
    """
    with explain_os_errors(layout.lock):
        layout.root.mkdir(parents=True, exist_ok=True)
        handle = layout.lock.open("a")
    with handle:
        if not lock_within(handle.fileno(), wait_s, is_stop_requested):
            raise PlatformError(
                Reason.RUN_BUSY, f"{layout.root}: another process works on this step", "wait until it has ended"
            )
        yield handle.fileno()


def is_step_held(layout: StageLayout) -> bool:
    """Whether a process of this step lives."""
    if not layout.lock.exists():
        return False
    with layout.lock.open("r+") as handle:
        return not try_lock(handle.fileno())
