"""Orphans: processes of steps whose executor was killed. The next executor ends them before it goes on."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence

import psutil

from practicum_core.errors import PlatformError, Reason
from practicum_core.layout import StageLayout
from practicum_runtime.child_note import read_child_note
from practicum_runtime.process_tree import find_process, kill_tree
from practicum_runtime.step_lock import is_step_held

_POLL_S = 0.1
_KILL_S = 10.0


def end_orphans(layouts: Sequence[StageLayout], grace_s: float, is_hurried: Callable[[], bool]) -> None:
    """End the processes that hold steps: SIGTERM to all, wait for their checkpoints, then SIGKILL.

    Args:
        layouts: The steps.
        grace_s: Seconds that they have for their checkpoints, all together.
        is_hurried: Whether to wait no longer.

    Raises:
        PlatformError: Nobody noted which process it is and it does not end, or it cannot be killed (``RunBusy``).
    """
    found = {layout: _find_process(layout) for layout in layouts}
    for process in found.values():
        if process is not None:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.terminate()
    held = _wait_for_locks(layouts, grace_s, is_hurried)
    stubborn = [process for layout in held if (process := found[layout]) is not None]
    for process in stubborn:
        kill_tree(process.pid)
    if stubborn:
        held = _wait_for_locks(held, _KILL_S, lambda: False)
    if held:
        raise PlatformError(
            Reason.RUN_BUSY,
            f"{held[0].root}: a process of an earlier executor still works on this step",
            "wait until it ends, then resume again",
        )


def _find_process(layout: StageLayout) -> psutil.Process | None:
    note = read_child_note(layout)
    return find_process(note.pid, note.created_s) if note else None


def _wait_for_locks(
    layouts: Sequence[StageLayout], timeout_s: float, is_hurried: Callable[[], bool]
) -> list[StageLayout]:
    """Wait until no step is held; return those that still are."""
    deadline_s = time.monotonic() + timeout_s
    while held := [layout for layout in layouts if is_step_held(layout)]:
        if is_hurried() or time.monotonic() > deadline_s:
            break
        time.sleep(_POLL_S)
    return held
