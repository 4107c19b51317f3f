"""The state of a step, from its children and from what its pods reported. Pure: values in, observation out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from practicum_controller.backends.backend import Standing
from practicum_controller.history import Attempt, KeptReport
from practicum_controller.places import QueuePlace
from practicum_controller.scene import Child, Scene
from practicum_core.observed import ObservedStep
from practicum_core.phases import Phase
from practicum_core.reports import StepReport
from practicum_core.units.unit import Unit
from practicum_core.weekjob import QueueStatus

_PHASES = {
    Standing.WAITING: Phase.QUEUED,
    Standing.STARTING: Phase.INITIALIZING,
    Standing.RUNNING: Phase.RUNNING,
    Standing.READY: Phase.SERVING,
    # One that left a record has reported it by now.
    Standing.ENDED: Phase.FAILED,
}


@dataclass(frozen=True)
class StepFacts:
    """Everything that is known of one step of one week job."""

    children: Sequence[Child] = ()
    reports: Mapping[int, StepReport] = field(default_factory=dict)
    places: Mapping[str, QueuePlace] = field(default_factory=dict)


def observe_steps(
    unit: Unit, scene: Scene, reports: Mapping[Attempt, KeptReport], places: Mapping[str, QueuePlace]
) -> dict[str, ObservedStep]:
    """Return the state of each step that was ever started, by its name. A server whose pod still ends is running."""
    children = scene.children
    names = {child.step for child in children} | {attempt.step for attempt in reports}
    observed: dict[str, ObservedStep] = {}
    for name in names:
        own = [child for child in children if child.step == name]
        told = {attempt.number: kept.report for attempt, kept in reports.items() if attempt.step == name}
        seen = observe_step(StepFacts(own, told, places))
        if seen is not None:
            observed[name] = seen
    return _add_ending_servers(unit, observed, scene.left_pods)


def _add_ending_servers(
    unit: Unit, steps: Mapping[str, ObservedStep], left_pods: Mapping[str, str]
) -> dict[str, ObservedStep]:
    """Show servers as running whose object is gone and whose pod has not ended: it may write its record yet."""
    ending = [step.name for step in unit.steps if step.is_server and step.name in left_pods]
    gone = {name: steps.get(name, ObservedStep(Phase.RUNNING)) for name in ending}
    shown = {
        name: replace(seen, phase=Phase.RUNNING, message=f"pod {left_pods[name]} ends")
        for name, seen in gone.items()
        if not seen.is_alive or name not in steps
    }
    return {**steps, **shown}


def observe_step(facts: StepFacts) -> ObservedStep | None:
    """Return the state of a step; ``None`` where it was never started."""
    child = max(facts.children, key=lambda one: one.attempt, default=None)
    attempt = max(child.attempt if child else 0, max(facts.reports, default=0))
    report = facts.reports.get(attempt)
    is_server = child is not None and child.attempt == attempt and child.is_server
    if report is not None and report.is_final and not is_server:
        return _read_final(report, child)
    if child is None or child.attempt < attempt:
        # The attempt's object is gone and it never said how it ended: stopped, or deleted by a person.
        return ObservedStep(Phase.SUSPENDED, attempt) if attempt else None
    return _observe_child(child, facts, report)


def _read_final(report: StepReport, child: Child | None) -> ObservedStep:
    return ObservedStep(
        Phase.SUCCEEDED if report.outcome == "succeeded" else Phase.FAILED,
        report.attempt,
        child=child.description if child else None,
        reason=report.reason,
        message=report.message,
        fix=report.fix,
        progress=1.0 if report.outcome == "succeeded" else report.progress,
        duration_s=report.duration_s,
        metrics=tuple(report.metrics),
    )


def _observe_child(child: Child, facts: StepFacts, report: StepReport | None) -> ObservedStep:
    state = child.state
    phase = _PHASES[state.standing]
    return ObservedStep(
        phase,
        child.attempt,
        child=child.description,
        reason=state.reason,
        message=report.message if report and phase is Phase.RUNNING and not state.message else state.message,
        progress=report.progress if report else None,
        eta_s=report.eta_s if report else None,
        admitted_at=child.admitted_at,
        queue=_read_queue(facts.places.get(child.uid), state.message) if phase is Phase.QUEUED else None,
        endpoint=child.endpoint,
        restarts=state.restarts,
    )


def _read_queue(place: QueuePlace | None, message: str) -> QueueStatus:
    if place is None:
        return QueueStatus(message=message)
    return QueueStatus(position=round_position(place.position), message=message, eta_seconds=place.eta_s)


def round_position(position: int) -> int:
    """Round a place in a long queue, so that one admission does not change every status behind it.

    >>> [round_position(place) for place in (3, 27, 345, 4567)]
    [3, 20, 300, 4000]
    """
    step = 1
    while position >= 20 * step:
        step *= 10
    return position - position % step
