"""An orphan: the process of a step whose executor was killed. The next executor ends it before it goes on."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

import psutil

from practicum_core.errors import PlatformError, Reason
from practicum_core.layout import StageLayout
from practicum_runtime.child_note import read_child_note
from practicum_runtime.process_tree import find_process, kill_tree
from practicum_runtime.step_lock import is_step_held

_POLL_S = 0.1
_KILL_S = 10.0


def end_orphan(layout: StageLayout, grace_s: float, is_hurried: Callable[[], bool]) -> None:
    """End the process that holds a step: SIGTERM, wait for its checkpoint, then SIGKILL.

    Args:
        layout: The step.
        grace_s: Seconds that it has for its checkpoint.
        is_hurried: Whether to wait no longer.

    Raises:
        PlatformError: Nobody noted which process it is and it does not end, or it cannot be killed (``RunBusy``).
    """
    note = read_child_note(layout)
    process = find_process(note.pid, note.created_s) if note else None
    if process is not None:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    has_ended = _wait_for_lock(layout, grace_s, is_hurried)
    if not has_ended and process is not None:
        kill_tree(process.pid)
        has_ended = _wait_for_lock(layout, _KILL_S, lambda: False)
    if not has_ended:
        raise PlatformError(
            Reason.RUN_BUSY,
            f"{layout.root}: a process of an earlier executor still works on this step",
            "wait until it ends, then resume again",
        )


def _wait_for_lock(layout: StageLayout, timeout_s: float, is_hurried: Callable[[], bool]) -> bool:
    deadline_s = time.monotonic() + timeout_s
    while is_step_held(layout):
        if is_hurried() or time.monotonic() > deadline_s:
            return False
        time.sleep(_POLL_S)
    return True
