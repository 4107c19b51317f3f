"""The status of a week job, from what is observed and what the plan decided. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from practicum_core.curriculum import Unit
from practicum_core.errors import ConfigError, Reason
from practicum_core.gates import GateResult, check_gates
from practicum_core.lifetimes import is_done
from practicum_core.metrics import StageMetric
from practicum_core.observed import Hold, Observed, ObservedStep
from practicum_core.phases import ConditionType, Phase
from practicum_core.resolve import ResolvedStep
from practicum_core.weekjob import Condition, MetricStatus, StageStatus, WeekJobStatus

_COMPUTING = (Phase.RUNNING, Phase.SERVING)


@dataclass(frozen=True)
class Outlook:
    """What the plan decided.

    ``current`` is the first step that is not done, tasks before servers; ``None`` when all are. ``starting`` names the
    steps that should exist. ``end`` is an end before its time, ``failure`` a step's own where it is not tried again.
    """

    steps: Sequence[ResolvedStep]
    current: ResolvedStep | None
    starting: tuple[str, ...]
    held: tuple[ResolvedStep, Hold] | None
    end: Hold | None
    failure: tuple[ResolvedStep, ObservedStep | None] | None
    is_kept: bool


def build_status(unit: Unit, observed: Observed, now: dt.datetime, outlook: Outlook) -> WeekJobStatus:
    """Return the status of a week job whose specification is valid."""
    metrics = [
        StageMetric(stage=step.name, **metric.model_dump())
        for step in outlook.steps
        for metric in (observed.steps[step.name].metrics if step.name in observed.steps else ())
    ]
    gates = check_gates(unit.gates, metrics) if outlook.current is None else ()
    phase, reason, message = _summarize(observed, outlook, gates)
    stages = [_build_stage_status(step, outlook, observed) for step in outlook.steps]
    previous = observed.previous
    started = previous.start_time if previous else None
    if started is None and any(one.phase in (*_COMPUTING, Phase.SUCCEEDED) for one in observed.steps.values()):
        started = now.isoformat(timespec="seconds")
    active_seconds, active_since = _advance_clock(phase, observed, now)
    waiting = next((seen for seen in observed.steps.values() if seen.phase is Phase.QUEUED), None)
    return WeekJobStatus(
        phase=phase,
        reason=reason,
        message=message,
        active_since=active_since,
        active_seconds=active_seconds,
        conditions=_build_conditions(phase, reason, message, gates, observed, now),
        observed_generation=observed.generation,
        stages=stages,
        queue=waiting.queue if waiting is not None and phase is Phase.QUEUED else None,
        start_time=started,
        completion_time=_get_completion_time(phase, outlook, observed, now),
        metrics=[
            MetricStatus(name=f"{metric.stage}.{metric.name}", value=repr(metric.value), unit=metric.unit)
            for metric in metrics
        ],
        gates=list(gates),
        evidence=observed.evidence,
        stage=outlook.current.name if outlook.current and not phase.is_terminal else None,
        progress=_describe_progress(stages),
        gates_passed=f"{sum(gate.passed for gate in gates)}/{len(gates)}" if gates else None,
    )


def _get_completion_time(phase: Phase, outlook: Outlook, observed: Observed, now: dt.datetime) -> str | None:
    """Return when it ended. The time to live of a week whose servers are kept counts from the end of its last task."""
    if not phase.is_terminal and outlook.current is not None:
        return None
    told = observed.previous.completion_time if observed.previous else None
    return told or now.isoformat(timespec="seconds")


def _describe_progress(stages: Sequence[StageStatus]) -> str:
    """Return the mean over the steps in per cent.

    >>> done = StageStatus(name="model", phase=Phase.SUCCEEDED, progress=1.0)
    >>> _describe_progress([done, StageStatus(name="sft", phase=Phase.RUNNING, progress=0.5)])
    '75%'
    """
    share = sum(stage.progress or 0.0 for stage in stages) / max(len(stages), 1)
    return f"{int(100 * share)}%"


def _summarize(observed: Observed, outlook: Outlook, gates: tuple[GateResult, ...]) -> tuple[Phase, Reason, str]:
    alive = _find_alive(observed, outlook)
    if outlook.current is None:
        return _describe_done(outlook, gates, alive)
    is_computing = any(seen.phase in _COMPUTING for _, seen in alive)
    if outlook.end is not None and not is_computing:
        return Phase.FAILED, outlook.end.reason, outlook.end.message
    if outlook.failure is not None and not is_computing:
        step, failed = outlook.failure
        if failed is None or failed.phase is not Phase.FAILED:
            times = count_restarts(step.name, failed, observed.previous) + 1
            return Phase.FAILED, Reason.STAGE_CRASHED, f"{step.name}: the server died {times} times"
        return Phase.FAILED, failed.reason or Reason.STAGE_CRASHED, f"{step.name}: {failed.message}"
    tasks = [(step, seen) for step, seen in alive if not step.spec.is_server or seen.phase is not Phase.SERVING]
    if tasks:
        computing = [pair for pair in tasks if pair[1].phase is Phase.RUNNING]
        phase, reason, message = _describe_alive(*(computing or tasks)[0])
    else:
        phase, reason, message = _describe_idle(outlook, [step.name for step, _ in alive])
    # A server that answers uses its share, whatever else waits.
    return (Phase.RUNNING if is_computing else phase), reason, message


def _find_alive(observed: Observed, outlook: Outlook) -> list[tuple[ResolvedStep, ObservedStep]]:
    pairs = [(step, observed.steps[step.name]) for step in outlook.steps if step.name in observed.steps]
    return [(step, seen) for step, seen in pairs if seen.is_alive]


def _describe_done(
    outlook: Outlook, gates: tuple[GateResult, ...], alive: Sequence[tuple[ResolvedStep, ObservedStep]]
) -> tuple[Phase, Reason, str]:
    verdict = _describe_success(gates)
    if outlook.is_kept and (alive or outlook.starting):
        serving = [f"{step.name} at {seen.endpoint}" for step, seen in alive if seen.phase is Phase.SERVING]
        if serving:
            return Phase.SERVING, Reason.SERVING, f"{verdict[2]}; serves {', '.join(serving)}"
        names = ", ".join(outlook.starting) or ", ".join(step.name for step, _ in alive)
        return Phase.RUNNING, Reason.STAGE_STARTING, f"{verdict[2]}; {names} starts again"
    if alive:
        return Phase.RUNNING, Reason.STAGE_RUNNING, f"{', '.join(step.name for step, _ in alive)} is being stopped"
    return verdict


def _describe_success(gates: tuple[GateResult, ...]) -> tuple[Phase, Reason, str]:
    missed = [gate.name for gate in gates if not gate.passed]
    if missed:
        return Phase.SUCCEEDED, Reason.GATE_FAILED, f"gates not passed: {', '.join(missed)}"
    return Phase.SUCCEEDED, Reason.GATES_PASSED, "every gate passed" if gates else "finished"


def _describe_idle(outlook: Outlook, serving: Sequence[str]) -> tuple[Phase, Reason, str]:
    starting = [name for name in outlook.starting if name not in serving]
    if starting:
        return Phase.RUNNING, Reason.STAGE_STARTING, f"{', '.join(starting)} starts"
    if outlook.held is not None:
        step, hold = outlook.held
        return Phase.QUEUED, hold.reason, f"{step.name}: {hold.message}"
    if serving:
        return Phase.RUNNING, Reason.STAGE_RUNNING, f"{', '.join(serving)} is being stopped"
    return Phase.SUSPENDED, Reason.STOPPED, "stopped on request; can be resumed"


def _describe_alive(step: ResolvedStep, seen: ObservedStep) -> tuple[Phase, Reason, str]:
    name = step.name
    if seen.phase is Phase.RUNNING:
        if step.spec.is_server:
            return Phase.RUNNING, Reason.STAGE_STARTING, f"{name}: {seen.message or 'runs and is not ready yet'}"
        return Phase.RUNNING, Reason.STAGE_RUNNING, f"{name} runs"
    reason = seen.reason or (Reason.QUEUED if seen.phase is Phase.QUEUED else Reason.STAGE_STARTING)
    said = seen.message or ("waits for quota" if seen.phase is Phase.QUEUED else "starts")
    return seen.phase, reason, f"{name}: {said}"


def _build_stage_status(step: ResolvedStep, outlook: Outlook, observed: Observed) -> StageStatus:
    seen, previous = observed.steps.get(step.name), observed.previous
    before = find_stage(step.name, previous)
    has_stopped = seen is None or seen.phase is Phase.SUSPENDED
    is_over = step.spec.is_server and has_stopped and is_done(step, outlook.steps, observed.steps)
    if is_over and before is not None and before.attempt:
        # That it was stopped, or that nothing is left of it, is how a server ends.
        ended = {"phase": Phase.SUCCEEDED, "endpoint": None, "message": "", "reason": None, "progress": 1.0}
        return before.model_copy(update=ended)
    restarts = count_restarts(step.name, seen, previous) or None
    if seen is None:
        return StageStatus(name=step.name, phase=Phase.PENDING, restarts=restarts)
    return StageStatus(
        name=step.name,
        phase=seen.phase,
        child=seen.child,
        attempt=seen.attempt,
        resumes=count_resumes(step.name, seen, previous) or None,
        restarts=restarts,
        progress=1.0 if seen.phase in (Phase.SUCCEEDED, Phase.SERVING) else seen.progress,
        reason=seen.reason,
        message=seen.message,
        eta_seconds=seen.eta_s,
        duration_seconds=seen.duration_s,
        endpoint=seen.endpoint,
    )


def find_stage(step: str, previous: WeekJobStatus | None) -> StageStatus | None:
    """Return what the last status said of a step."""
    return next((stage for stage in previous.stages if stage.name == step), None) if previous else None


def count_resumes(step: str, seen: ObservedStep, previous: WeekJobStatus | None) -> int:
    """Count the starts of a step that followed a stop: those told before, and one more where it was stopped then."""
    before = find_stage(step, previous)
    if before is None:
        return 0
    is_resumed = before.phase is Phase.SUSPENDED and seen.attempt > before.attempt
    return min((before.resumes or 0) + is_resumed, seen.attempt - 1)


def count_restarts(step: str, seen: ObservedStep | None, previous: WeekJobStatus | None) -> int:
    """Count the starts of a server that the cluster made by itself: what is seen, or what was told of the same attempt.

    Nothing is seen of a server that was taken down for having died too often.
    """
    before = find_stage(step, previous)
    is_same = before is not None and (seen is None or seen.attempt <= before.attempt)
    told = (before.restarts or 0) if before is not None and is_same else 0
    return max(seen.restarts if seen else 0, told)


def get_active_s(observed: Observed, now: dt.datetime) -> float:
    """Return the seconds that steps started or ran: told before, and since then."""
    ended_s, since = _read_clock(observed)
    return ended_s + ((now - since).total_seconds() if since else 0.0)


def _read_clock(observed: Observed) -> tuple[int, dt.datetime | None]:
    """Return the seconds of the times that ended, and when the present one began."""
    previous = observed.previous
    if previous is None:
        return 0, observed.started_at
    since = previous.active_since
    return previous.active_seconds, dt.datetime.fromisoformat(since) if since else None


def _advance_clock(phase: Phase, observed: Observed, now: dt.datetime) -> tuple[int, str | None]:
    """Return the same from now on: the clock runs while steps start or run, and stands while they wait."""
    ended_s, since = _read_clock(observed)
    if phase in (Phase.RUNNING, Phase.INITIALIZING):
        return ended_s, (since or now).isoformat(timespec="seconds")
    return ended_s + (int((now - since).total_seconds()) if since else 0), None


def _build_conditions(
    phase: Phase,
    reason: str,
    message: str,
    gates: tuple[GateResult, ...],
    observed: Observed,
    now: dt.datetime,
) -> list[Condition]:
    passed = bool(gates) and all(gate.passed for gate in gates)
    truths = {
        ConditionType.ACCEPTED: True,
        ConditionType.QUEUED: phase is Phase.QUEUED,
        ConditionType.RUNNING: phase is Phase.RUNNING,
        ConditionType.SUCCEEDED: phase is Phase.SUCCEEDED,
        ConditionType.FAILED: phase is Phase.FAILED,
        ConditionType.SERVING: any(seen.phase is Phase.SERVING for seen in observed.steps.values()),
        ConditionType.GATES_PASSED: passed,
    }
    # What does not hold needs no sentence: the status has one, and six copies would fill the object.
    return [
        _build_condition(kind, holds=holds, reason=reason, message=message if holds else "", observed=observed, now=now)
        for kind, holds in truths.items()
    ]


def _build_condition(
    kind: ConditionType, *, holds: bool, reason: str, message: str, observed: Observed, now: dt.datetime
) -> Condition:
    status: Literal["True", "False"] = "True" if holds else "False"
    before = next(
        (old for old in (observed.previous.conditions if observed.previous else []) if old.type is kind), None
    )
    is_same = before is not None and before.status == status
    changed = before.last_transition_time if is_same and before is not None else now.isoformat(timespec="seconds")
    return Condition(type=kind, status=status, reason=reason, message=message, last_transition_time=changed)


def build_rejection(error: ConfigError, observed: Observed, now: dt.datetime) -> WeekJobStatus:
    """Return the status of a week job that cannot be run as it is written."""
    condition = _build_condition(
        ConditionType.ACCEPTED, holds=False, reason=error.reason, message=error.detail, observed=observed, now=now
    )
    return WeekJobStatus(
        phase=Phase.FAILED,
        reason=error.reason,
        message=error.detail,
        conditions=[condition],
        observed_generation=observed.generation,
        completion_time=now.isoformat(timespec="seconds"),
    )
