"""The state of a step on this machine, read from its files and its process. Changes nothing."""

from __future__ import annotations

from dataclasses import replace

from practicum_core.errors import Reason
from practicum_core.json_files import read_json_or_empty
from practicum_core.layout import RunLayout, StageLayout
from practicum_core.observed import ObservedStep
from practicum_core.phases import Phase
from practicum_core.resolve import ResolvedStep
from practicum_core.step_files import explain_exit, observe_error, observe_record
from practicum_runtime.child_note import read_child_note
from practicum_runtime.step_process import StepProcess


def observe_step(run: RunLayout, step: ResolvedStep, child: StepProcess | None) -> ObservedStep | None:
    """Return where a step stands; ``None`` where it was never started.

    Args:
        run: The run directory.
        step: The step.
        child: Its process, where this executor started one.
    """
    layout = run.stage(step.name)
    note = read_child_note(layout)
    attempt = child.attempt if child else note.attempt if note else 1
    if child is not None and child.is_running:
        return _observe_running(layout, child)
    if layout.record.exists():
        seen = observe_record(run, step.name, attempt)
        # A server leaves its record when it is stopped, which is no success while something needs it.
        is_stopped = step.spec.is_server and (child is None or child.stopped_s is not None)
        return replace(seen, phase=Phase.SUSPENDED) if is_stopped and seen.phase is Phase.SUCCEEDED else seen
    if layout.error.exists():
        return observe_error(layout, attempt)
    if child is not None:
        return _observe_end(layout, child)
    if note is not None:
        return ObservedStep(Phase.SUSPENDED, attempt=attempt, message="interrupted")
    return None


def _observe_running(layout: StageLayout, child: StepProcess) -> ObservedStep:
    progress = read_json_or_empty(layout.progress)
    return ObservedStep(
        Phase.RUNNING,
        attempt=child.attempt,
        child=str(child.pid),
        message=str(progress.get("message") or ""),
        progress=progress.get("fraction"),
        eta_s=progress.get("eta_s"),
    )


def _observe_end(layout: StageLayout, child: StepProcess) -> ObservedStep:
    if child.stopped_s is not None:
        message = "ended by force; goes on from its last checkpoint" if child.was_killed else "stopped"
        return ObservedStep(Phase.SUSPENDED, attempt=child.attempt, reason=Reason.STOPPED, message=message)
    return explain_exit(layout, child.poll() or 0, child.attempt)
