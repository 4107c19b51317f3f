"""The status of a week job, from what is observed and what the plan decided. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from practicum_core.errors import ConfigError, Reason
from practicum_core.gates import GateResult
from practicum_core.lifetimes import Clock, StepFacts, Survey
from practicum_core.observed import LAST_WORDS, Hold, Observed, ObservedStep
from practicum_core.phases import ConditionType, Phase
from practicum_core.resolve import ResolvedStep
from practicum_core.weekjob import Condition, MetricStatus, StageStatus, WeekJobStatus

_COMPUTING = (Phase.RUNNING, Phase.SERVING)


@dataclass(frozen=True)
class Decision:
    """What the plan decided.

    ``wanted`` are the steps that should exist. ``end`` is an end before its time, ``failure`` a step whose own failure
    is not tried again.
    """

    wanted: tuple[StepFacts, ...]
    held: tuple[ResolvedStep, Hold] | None
    end: Hold | None
    failure: StepFacts | None
    is_kept: bool


def build_status(
    observed: Observed, now: dt.datetime, survey: Survey, decision: Decision, gates: tuple[GateResult, ...]
) -> WeekJobStatus:
    """Return the status of a week job whose specification is valid.

    Args:
        observed: What the executor sees.
        now: The present time.
        survey: What follows from it for each step.
        decision: What was decided.
        gates: The results of the unit's gates; empty until every step is done.
    """
    phase, reason, message = _summarize(survey, decision, gates)
    stages = [_build_stage_status(one) for one in survey.facts]
    previous = observed.previous
    started = previous.start_time if previous else None
    if started is None and any(one.phase in (*_COMPUTING, Phase.SUCCEEDED) for one in survey.facts):
        started = now.isoformat(timespec="seconds")
    active_seconds, active_since = _advance_clock(phase, survey.clock, now)
    waiting = next((one.seen for one in survey.facts if one.seen and one.phase is Phase.QUEUED), None)
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
        completion_time=_get_completion_time(phase, survey, observed, now),
        metrics=[
            MetricStatus(name=f"{metric.stage}.{metric.name}", value=repr(metric.value), unit=metric.unit)
            for metric in survey.metrics
        ],
        gates=list(gates),
        evidence=observed.evidence,
        stage=survey.current.name if survey.current and not phase.is_terminal else None,
        progress=_describe_progress(stages),
        gates_passed=f"{sum(gate.passed for gate in gates)}/{len(gates)}" if gates else None,
    )


def _get_completion_time(phase: Phase, survey: Survey, observed: Observed, now: dt.datetime) -> str | None:
    """Return when it ended. The time to live of a week whose servers are kept counts from the end of its last task."""
    if not phase.is_terminal and survey.current is not None:
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


def _summarize(survey: Survey, decision: Decision, gates: tuple[GateResult, ...]) -> tuple[Phase, Reason, str]:
    alive = [(one, one.seen) for one in survey.facts if one.seen is not None and one.seen.is_alive]
    if survey.current is None:
        return _describe_done(decision, gates, alive)
    is_computing = any(seen.phase in _COMPUTING for _, seen in alive)
    if decision.end is not None and not is_computing:
        return Phase.FAILED, decision.end.reason, decision.end.message
    if decision.failure is not None and not is_computing:
        return _describe_failure(decision.failure)
    tasks = [(one, seen) for one, seen in alive if not one.is_server or seen.phase is not Phase.SERVING]
    if tasks:
        computing = [pair for pair in tasks if pair[1].phase is Phase.RUNNING]
        phase, reason, message = _describe_alive(*(computing or tasks)[0])
    else:
        phase, reason, message = _describe_idle(decision, [one.name for one, _ in alive])
    # A server that answers uses its share, whatever else waits.
    return (Phase.RUNNING if is_computing else phase), reason, message


def _describe_failure(failure: StepFacts) -> tuple[Phase, Reason, str]:
    seen = failure.seen
    if seen is None or seen.phase is not Phase.FAILED:
        words = _find_last_words(failure)
        said = f"; {words}" if words else ""
        return Phase.FAILED, Reason.STAGE_CRASHED, f"{failure.name}: the server died {failure.restarts + 1} times{said}"
    return Phase.FAILED, seen.reason or Reason.STAGE_CRASHED, f"{failure.name}: {seen.message}"


def _find_last_words(facts: StepFacts) -> str:
    """Return what a server said before it died, as it is seen, or as it was told before it was taken down."""
    told = facts.seen or facts.before
    _, mark, words = told.message.partition(LAST_WORDS) if told is not None else ("", "", "")
    return mark + words


def _describe_done(
    decision: Decision, gates: tuple[GateResult, ...], alive: Sequence[tuple[StepFacts, ObservedStep]]
) -> tuple[Phase, Reason, str]:
    verdict = _describe_success(gates)
    if decision.is_kept and (alive or decision.wanted):
        serving = [f"{one.name} at {seen.endpoint}" for one, seen in alive if seen.phase is Phase.SERVING]
        if serving:
            return Phase.SERVING, Reason.SERVING, f"{verdict[2]}; serves {', '.join(serving)}"
        names = ", ".join(one.name for one in decision.wanted) or ", ".join(one.name for one, _ in alive)
        return Phase.RUNNING, Reason.STAGE_STARTING, f"{verdict[2]}; {names} starts again"
    if alive:
        return Phase.RUNNING, Reason.STAGE_RUNNING, f"{', '.join(one.name for one, _ in alive)} is being stopped"
    return verdict


def _describe_success(gates: tuple[GateResult, ...]) -> tuple[Phase, Reason, str]:
    missed = [gate.name for gate in gates if not gate.passed]
    if missed:
        return Phase.SUCCEEDED, Reason.GATE_FAILED, f"gates not passed: {', '.join(missed)}"
    return Phase.SUCCEEDED, Reason.GATES_PASSED, "every gate passed" if gates else "finished"


def _describe_idle(decision: Decision, serving: Sequence[str]) -> tuple[Phase, Reason, str]:
    starting = [one.name for one in decision.wanted if one.name not in serving]
    if starting:
        return Phase.RUNNING, Reason.STAGE_STARTING, f"{', '.join(starting)} starts"
    if decision.held is not None:
        step, hold = decision.held
        return Phase.QUEUED, hold.reason, f"{step.name}: {hold.message}"
    if serving:
        return Phase.RUNNING, Reason.STAGE_RUNNING, f"{', '.join(serving)} is being stopped"
    return Phase.SUSPENDED, Reason.STOPPED, "stopped on request; can be resumed"


def _describe_alive(facts: StepFacts, seen: ObservedStep) -> tuple[Phase, Reason, str]:
    name = facts.name
    if seen.phase is Phase.RUNNING:
        if facts.is_server:
            return Phase.RUNNING, Reason.STAGE_STARTING, f"{name}: {seen.message or 'runs and is not ready yet'}"
        return Phase.RUNNING, Reason.STAGE_RUNNING, f"{name} runs"
    reason = seen.reason or (Reason.QUEUED if seen.phase is Phase.QUEUED else Reason.STAGE_STARTING)
    said = seen.message or ("waits for quota" if seen.phase is Phase.QUEUED else "starts")
    return seen.phase, reason, f"{name}: {said}"


def _build_stage_status(facts: StepFacts) -> StageStatus:
    seen, before = facts.seen, facts.before
    has_stopped = seen is None or seen.phase is Phase.SUSPENDED
    if facts.is_server and facts.is_done and has_stopped and before is not None and before.attempt:
        # That it was stopped, or that nothing is left of it, is how a server ends.
        ended = {"phase": Phase.SUCCEEDED, "endpoint": None, "message": "", "reason": None, "progress": 1.0}
        duration_s = seen.duration_s if seen is not None else before.duration_seconds
        return before.model_copy(update={**ended, "duration_seconds": duration_s})
    if seen is None:
        hold = facts.hold if facts.may_start and not facts.is_done else None
        return StageStatus(
            name=facts.name,
            phase=Phase.PENDING,
            restarts=facts.restarts or None,
            reason=hold.reason if hold is not None else None,
            message=hold.message if hold is not None else _find_last_words(facts),
        )
    return StageStatus(
        name=facts.name,
        phase=seen.phase,
        child=seen.child,
        attempt=seen.attempt,
        resumes=facts.resumes or None,
        restarts=facts.restarts or None,
        progress=1.0 if seen.phase in (Phase.SUCCEEDED, Phase.SERVING) else seen.progress,
        reason=seen.reason,
        message=seen.message,
        eta_seconds=seen.eta_s,
        duration_seconds=seen.duration_s,
        endpoint=seen.endpoint,
    )


def _advance_clock(phase: Phase, clock: Clock, now: dt.datetime) -> tuple[int, str | None]:
    """Return the clock from now on: it runs while steps start or run, and stands while they wait.

    That is the seconds of the times that are over, and when the present one began.
    """
    if phase in (Phase.RUNNING, Phase.INITIALIZING):
        return clock.ended_s, (clock.since or now).isoformat(timespec="seconds")
    return clock.ended_s + (int((now - clock.since).total_seconds()) if clock.since else 0), None


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
