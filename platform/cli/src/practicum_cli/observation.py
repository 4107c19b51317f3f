"""Decides what a step's files and its process say about where it stands. Reads; changes nothing."""

from __future__ import annotations

import json
import signal
from typing import Any

from practicum_cli.processes import Child, read_child_note
from practicum_cli.runs import read_record
from practicum_core.errors import DataError, Reason
from practicum_core.layout import RunLayout, StageLayout
from practicum_core.phases import Phase
from practicum_core.plan import ObservedStep

_LOG_HINT = "read the step's log: practicum logs RUN STEP"


def observe_step(run: RunLayout, step: str, child: Child | None) -> ObservedStep | None:
    """Return where a step stands; ``None`` where it was never started.

    Args:
        run: The run directory.
        step: Name of the step.
        child: Its process, where this executor started one.
    """
    layout = run.stage(step)
    note = read_child_note(layout)
    attempt = child.attempt if child else note.attempt if note else 1
    if child is not None and child.poll() is None:
        return _observe_running(layout, child)
    if layout.record.exists():
        return _observe_record(run, step, attempt)
    if layout.error.exists():
        return _observe_error(layout, attempt)
    if child is not None:
        return _observe_crash(layout, child)
    if note is not None:
        return ObservedStep(Phase.SUSPENDED, attempt=attempt, message="interrupted")
    return None


def read_json_or_empty(path: Any) -> dict[str, Any]:  # noqa: ANN401 - a Path
    """Read a JSON mapping that another process may be writing; empty where it is not whole."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}


def _observe_running(layout: StageLayout, child: Child) -> ObservedStep:
    progress = read_json_or_empty(layout.progress)
    return ObservedStep(
        Phase.RUNNING,
        attempt=child.attempt,
        child=str(child.pid),
        message=str(progress.get("message") or ""),
        progress=progress.get("fraction"),
        eta_s=progress.get("eta_s"),
    )


def _observe_record(run: RunLayout, step: str, attempt: int) -> ObservedStep:
    try:
        record = read_record(run, step)
    except DataError as error:
        return ObservedStep(
            Phase.FAILED, attempt=attempt, reason=Reason.RUN_INCOMPLETE, message=error.detail, fix=error.fix
        )
    return ObservedStep(Phase.SUCCEEDED, attempt=attempt, duration_s=record.duration_s, metrics=record.metrics)


def _observe_error(layout: StageLayout, attempt: int) -> ObservedStep:
    document = read_json_or_empty(layout.error)
    try:
        reason = Reason(document.get("reason", ""))
    except ValueError:
        reason = Reason.STAGE_CRASHED
    phase = Phase.SUSPENDED if reason is Reason.STOPPED else Phase.FAILED
    message, fix = str(document.get("detail", "")), str(document.get("fix", ""))
    return ObservedStep(phase, attempt=attempt, reason=reason, message=message, fix=fix)


def _observe_crash(layout: StageLayout, child: Child) -> ObservedStep:
    status = child.poll() or 0
    if child.stopped_s is not None:
        message = "ended by force; goes on from its last checkpoint" if child.was_killed else "stopped"
        return ObservedStep(Phase.SUSPENDED, attempt=child.attempt, reason=Reason.STOPPED, message=message)
    if status >= 0:
        message = f"ended with exit code {status} and without a record; its log is {layout.log}"
        return ObservedStep(
            Phase.FAILED, attempt=child.attempt, reason=Reason.STAGE_CRASHED, message=message, fix=_LOG_HINT
        )
    name = signal.Signals(-status).name
    if -status == signal.SIGKILL:
        message = f"killed by signal 9 ({name}), most likely for memory; its log is {layout.log}"
        fix = "use a smaller batch_size or max_length, or free some memory, then resume"
        return ObservedStep(Phase.FAILED, attempt=child.attempt, reason=Reason.OUT_OF_MEMORY, message=message, fix=fix)
    message = f"killed by signal {-status} ({name}); its log is {layout.log}"
    return ObservedStep(
        Phase.FAILED, attempt=child.attempt, reason=Reason.STAGE_CRASHED, message=message, fix=_LOG_HINT
    )
