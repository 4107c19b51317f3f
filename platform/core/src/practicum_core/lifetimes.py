"""Lifetimes of steps: from one observation, whether each step is done, may start or may continue. Pure.

A task is done when it has succeeded. A server is done when the last step that uses it is done.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from practicum_core.metrics import StageMetric
from practicum_core.observed import Hold, Observed, ObservedStep
from practicum_core.phases import Phase
from practicum_core.resolve import ResolvedStep
from practicum_core.weekjob import StageStatus, WeekJobSpec, WeekJobStatus

Steps = Sequence[ResolvedStep]
Seen = Mapping[str, ObservedStep]


@dataclass(frozen=True)
class StepFacts:
    """One step, its observed state, and what follows from it.

    ``before`` is its entry in the last status. ``resumes`` counts its starts after a stop; ``restarts`` counts the
    starts by the cluster within this attempt.
    """

    step: ResolvedStep
    seen: ObservedStep | None
    before: StageStatus | None
    hold: Hold | None
    is_done: bool
    may_start: bool
    may_stay: bool
    resumes: int
    restarts: int

    @property
    def name(self) -> str:
        """Name of the step."""
        return self.step.name

    @property
    def is_server(self) -> bool:
        """Whether the step is a server."""
        return self.step.spec.is_server

    @property
    def is_alive(self) -> bool:
        """Whether its process or object exists."""
        return self.seen is not None and self.seen.is_alive

    @property
    def phase(self) -> Phase | None:
        """Its phase; ``None`` if it was never started."""
        return self.seen.phase if self.seen is not None else None


@dataclass(frozen=True)
class Clock:
    """Seconds in which steps started or ran: ``ended_s`` in past intervals, ``active_s`` including the current one.

    ``since`` is the start of the current interval; ``None`` while nothing runs.
    """

    ended_s: int
    since: dt.datetime | None
    active_s: float


@dataclass(frozen=True)
class Survey:
    """All steps of a week job, in the order of the unit.

    ``current`` is the first step that is not done, tasks before servers; ``None`` if all are done. ``is_kept`` says
    that servers are kept although no step uses them.
    """

    facts: tuple[StepFacts, ...]
    current: StepFacts | None
    is_kept: bool
    clock: Clock

    @property
    def metrics(self) -> list[StageMetric]:
        """What the steps measured."""
        measured = [(one.name, one.seen.metrics) for one in self.facts if one.seen is not None]
        return [StageMetric(stage=name, **metric.model_dump()) for name, metrics in measured for metric in metrics]


def survey_steps(spec: WeekJobSpec, steps: Steps, observed: Observed, now: dt.datetime) -> Survey:
    """Derive the facts of every step from one observation."""
    seen, previous = observed.steps, observed.previous
    awaited = _list_awaited(spec, steps, previous)
    done = {step.name: _is_done(step, steps, seen, awaited) for step in steps}
    is_kept = _keeps_servers(spec, previous, now, is_over=all(done.values()))
    facts = tuple(
        StepFacts(
            step,
            seen.get(step.name),
            _find_stage(step.name, previous),
            observed.holds.get(step.name),
            done[step.name],
            _may_start(step, steps, seen, keeps_servers=is_kept),
            _may_stay(step, steps, seen),
            _count_resumes(step.name, seen.get(step.name), previous),
            _count_restarts(step.name, seen.get(step.name), previous),
        )
        for step in steps
    )
    unfinished = [one for one in facts if not one.is_done]
    tasks = [one for one in unfinished if not one.is_server]
    return Survey(facts, next(iter(tasks or unfinished), None), is_kept, _read_clock(observed, now))


def list_users(server: ResolvedStep, steps: Steps) -> list[ResolvedStep]:
    """List the steps that use a server. A step that only presents the results of others uses none."""
    return [step for step in steps if server.name in step.needs and not step.spec.is_presentation]


def list_coexisting(steps: Steps, *, keeps_servers: bool) -> list[list[ResolvedStep]]:
    """List, for each step, the steps that exist at the same time, itself first.

    Kept servers also exist at the same time as every later step.
    """
    groups, by_name = [], {one.name: one for one in steps}
    for index, step in enumerate(steps):
        kept = [one for one in steps[:index] if keeps_servers and one.spec.is_server]
        companions = [by_name[name] for name in step.companions]
        groups.append([*{one.name: one for one in (step, *companions, *kept)}.values()])
    return groups


def _list_awaited(spec: WeekJobSpec, steps: Steps, previous: WeekJobStatus | None) -> frozenset[str]:
    """List the kept servers that no step uses and that were never all ready: that they become so is the week's work."""
    if spec.serving is None or not spec.serving.keep or (previous is not None and previous.completion_time):
        return frozenset()
    return frozenset(step.name for step in steps if step.spec.is_server and not list_users(step, steps))


def _is_done(step: ResolvedStep, steps: Steps, seen: Seen, awaited: frozenset[str] = frozenset()) -> bool:
    """Whether a step is done: a task that has succeeded, or a server whose users are all done.

    A server of ``awaited`` is done when it is ready.
    """
    own = seen.get(step.name)
    if step.name in awaited:
        return own is not None and own.phase is Phase.SERVING
    if step.spec.is_server:
        return all(_is_done(user, steps, seen, awaited) for user in list_users(step, steps))
    return own is not None and own.phase is Phase.SUCCEEDED


def _may_stay(step: ResolvedStep, steps: Steps, seen: Seen) -> bool:
    """Whether a running step may continue: every task that it needs is done.

    A server that it uses may be unavailable for a while.
    """
    before = [one for one in steps if one.name in step.needs]
    return all(one.spec.is_server or _is_done(one, steps, seen) for one in before) and all(
        _may_stay(one, steps, seen) for one in before
    )


def _may_start(step: ResolvedStep, steps: Steps, seen: Seen, *, keeps_servers: bool) -> bool:
    """Whether every task that this step needs has finished, and every server that it needs is ready.

    The step that builds the evidence also waits for the end of servers that are not kept, to include their records.
    """
    needed = [one for one in steps if one.name in step.needs]
    are_satisfied = all(_is_satisfied(one, step, steps, seen, keeps_servers=keeps_servers) for one in needed)
    return are_satisfied and _may_stay(step, steps, seen)


def _is_satisfied(needed: ResolvedStep, step: ResolvedStep, steps: Steps, seen: Seen, *, keeps_servers: bool) -> bool:
    if not needed.spec.is_server:
        return _is_done(needed, steps, seen)
    own = seen.get(needed.name)
    is_ready = own is not None and own.phase is Phase.SERVING
    if not step.spec.is_presentation:
        return is_ready
    has_ended = own is None or not own.is_alive
    return _is_done(needed, steps, seen) and (is_ready if keeps_servers else has_ended)


def _keeps_servers(spec: WeekJobSpec, previous: WeekJobStatus | None, now: dt.datetime, *, is_over: bool) -> bool:
    """Whether servers stay although no step uses them: asked for, and the time to live is not over."""
    ttl_s = spec.ttl_seconds_after_finished
    if spec.serving is None or not spec.serving.keep:
        return False
    ended_at = previous.ended_at if previous else None
    if not is_over or ttl_s is None or ended_at is None:
        return True
    return (now - ended_at).total_seconds() < ttl_s


def _find_stage(step: str, previous: WeekJobStatus | None) -> StageStatus | None:
    return next((stage for stage in previous.stages if stage.name == step), None) if previous else None


def _count_resumes(step: str, seen: ObservedStep | None, previous: WeekJobStatus | None) -> int:
    """Count the starts of a step that followed a stop: those told before, and one more where it was stopped then."""
    before = _find_stage(step, previous)
    if before is None or seen is None:
        return 0
    is_resumed = before.phase is Phase.SUSPENDED and seen.attempt > before.attempt
    return min((before.resumes or 0) + is_resumed, seen.attempt - 1)


def _count_restarts(step: str, seen: ObservedStep | None, previous: WeekJobStatus | None) -> int:
    """Count the starts of a server that the cluster made by itself: what is seen, or what was told of the same attempt.

    Nothing is seen of a server that was taken down for having died too often.
    """
    before = _find_stage(step, previous)
    is_same = before is not None and (seen is None or seen.attempt <= before.attempt)
    told = (before.restarts or 0) if before is not None and is_same else 0
    return max(seen.restarts if seen else 0, told)


def _read_clock(observed: Observed, now: dt.datetime) -> Clock:
    """Return the seconds that steps started or ran: told before, and since then."""
    previous = observed.previous
    if previous is None:
        ended_s, since = 0, observed.started_at
    else:
        ended_s = previous.active_seconds
        since = dt.datetime.fromisoformat(previous.active_since) if previous.active_since else None
    return Clock(ended_s, since, ended_s + ((now - since).total_seconds() if since else 0.0))
