"""Two runs of the same recorded traffic compared: schedule, fault, ladder, alerts, outcomes, times. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from practicum_core.rungs import RungChange
from practicum_core.stages.experiments import Finding
from practicum_core.stages.load_results import Estimate
from practicum_core.stages.replays import ReplayComparison, ReplayVerdict, Tolerances
from practicum_core.traffic import Recording, TraceEvent, TraceRequest
from practicum_jobs.load.alerts import list_alerts
from practicum_jobs.load.difference import compare_percentile
from practicum_jobs.scoring.intervals import Bootstrap

_OUTCOMES = ("full", "degraded", "error", "gone")
_MIN_PAIRS = 10
"""Full answers below which a median has no interval worth the name."""
_MEDIAN = 0.5


@dataclass(frozen=True)
class Course:
    """What a run of recorded traffic was. Times are seconds from the start of the schedule.

    Attributes:
        requests: In order of arrival.
        changes: Steps of the ladder.
        events: Changes of breakers.
        fault_s: When the fault began; ``None`` where none was made.
        undone_s: When it had been taken back.
        num_lost: Requests without an answer and without an error of the API's shape.
        late_p99_s: How late the client sent requests, 99th percentile.
    """

    requests: Sequence[TraceRequest]
    changes: Sequence[RungChange] = ()
    events: Sequence[TraceEvent] = ()
    fault_s: float | None = None
    undone_s: float | None = None
    num_lost: int = 0
    late_p99_s: float = 0.0

    @classmethod
    def of_recording(cls, recording: Recording, requests: Sequence[TraceRequest]) -> Course:
        """Build that of a recording."""
        return cls(
            requests,
            recording.changes,
            recording.events,
            recording.fault_s,
            recording.undone_s,
            recording.num_lost,
            recording.late_p99_s,
        )


@dataclass
class _Findings:
    found: list[Finding] = field(default_factory=list)

    def add(self, name: str, shown: str, bound: str, *, is_met: bool) -> None:
        self.found.append(Finding(name=name, shown=shown, bound=bound, is_met=is_met))


def join_passed(changes: Sequence[RungChange], passing_s: float) -> list[RungChange]:
    """Join steps down through a rung that was held for a shorter time than ``passing_s`` into one.

    >>> steps = [("full", "short", 1.0), ("short", "extract", 1.4), ("extract", "full", 9.0)]
    >>> made = [RungChange(at_s=at_s, before=before, after=after, reason="") for before, after, at_s in steps]
    >>> [(str(one.before), str(one.after)) for one in join_passed(made, 1.0)]
    [('full', 'extract'), ('extract', 'full')]
    """
    # Each with the time since which its rung was held: that of the last step that was joined into it.
    kept: list[tuple[RungChange, float]] = []
    for change in changes:
        if kept and change.at_s - kept[-1][1] < passing_s:
            first, _ = kept.pop()
            if first.before is not change.after:
                joined = first.model_copy(update={"after": change.after, "reason": change.reason})
                kept.append((joined, change.at_s))
        else:
            kept.append((change, change.at_s))
    return [change for change, _ in kept]


def list_rungs(changes: Sequence[RungChange], passing_s: float) -> list[str]:
    """List the rungs that were held, in order; empty where the ladder did not move."""
    joined = join_passed(changes, passing_s)
    return [str(joined[0].before), *(str(one.after) for one in joined)] if joined else []


def compare_courses(
    base: Course, replay: Course, tolerances: Tolerances, *, number: int = 1, seed: int = 7
) -> ReplayComparison:
    """Hold a replay against what was recorded.

    Args:
        base: The recorded run.
        replay: The same traffic, sent again.
        tolerances: How much may differ.
        number: Of the replay.
        seed: Of the bootstrap.
    """
    findings = _Findings()
    late_s = max(base.late_p99_s, replay.late_p99_s)
    has_kept = late_s <= tolerances.schedule_s
    findings.add("schedule", f"{late_s:.3f} s", f"<= {tolerances.schedule_s:g} s", is_met=has_kept)
    num = (len(base.requests), len(replay.requests))
    findings.add("arrivals", str(num[1]), str(num[0]), is_met=num[0] == num[1])
    if base.fault_s is not None:
        _compare_faults(base, replay, tolerances, findings)
        _compare_steps(base, replay, tolerances, findings)
    _compare_events(base, replay, tolerances, findings)
    _compare_outcomes(base, replay, tolerances, findings)
    latency = _compare_latency(base, replay, tolerances, Bootstrap(1000, seed), findings)
    is_same = all(one.is_met for one in findings.found)
    verdict = ReplayVerdict.SAME if is_same else ReplayVerdict.DIFFERS
    return ReplayComparison(
        number=number,
        verdict=verdict if has_kept else ReplayVerdict.NOT_COMPARABLE,
        findings=findings.found,
        steps=list_rungs(replay.changes, tolerances.passing_s),
        latency=latency,
        num_requests=num[1],
    )


def _compare_faults(base: Course, replay: Course, tolerances: Tolerances, findings: _Findings) -> None:
    moments = [(base.fault_s, replay.fault_s), (base.undone_s, replay.undone_s)]
    spans = [(one or 0.0, other) for one, other in moments]
    shown = " - ".join("none" if other is None else f"{other:.1f} s" for _, other in spans)
    bound = " - ".join(f"{one:.1f} s" for one, _ in spans) + f" ± {tolerances.fault_s:g} s"
    is_met = all(other is not None and abs(other - one) <= tolerances.fault_s for one, other in spans)
    findings.add("fault_window", shown, bound, is_met=is_met)


def _compare_steps(base: Course, replay: Course, tolerances: Tolerances, findings: _Findings) -> None:
    before, after = (join_passed(one.changes, tolerances.passing_s) for one in (base, replay))
    rungs = [list_rungs(one.changes, tolerances.passing_s) for one in (base, replay)]
    is_same = rungs[0] == rungs[1]
    findings.add("steps", _name_rungs(rungs[1]), _name_rungs(rungs[0]), is_met=is_same)
    if is_same and before:
        off_s = max(
            abs(_count_from_fault(one, base) - _count_from_fault(other, replay))
            for one, other in zip(before, after, strict=True)
        )
        findings.add("step_times", f"{off_s:.1f} s", f"<= {tolerances.step_s:g} s", is_met=off_s <= tolerances.step_s)


def _count_from_fault(change: RungChange, course: Course) -> float:
    """Return when a step was: down, from the fault; up, from its end."""
    is_down = change.after.depth > change.before.depth
    return change.at_s - ((course.fault_s if is_down else course.undone_s) or 0.0)


def _name_rungs(rungs: Sequence[str]) -> str:
    return " > ".join(rungs) if rungs else "none"


def _compare_events(base: Course, replay: Course, tolerances: Tolerances, findings: _Findings) -> None:
    """Compare breakers, then alerts: which left their usual state, when first, and whether they came back."""
    breakers = [[one for one in course.events if one.what == "breaker"] for course in (base, replay)]
    alerts = [list_alerts(course.requests) for course in (base, replay)]
    for name, (first, second) in (("breakers", breakers), ("alerts", alerts)):
        before, after = _sum_up(first, base), _sum_up(second, replay)
        if not before and not after:
            continue
        is_met = before.keys() == after.keys() and all(
            _is_like(before[key], after[key], tolerances.step_s) for key in before
        )
        findings.add(name, _name_events(after), f"{_name_events(before)} ± {tolerances.step_s:g} s", is_met=is_met)


@dataclass(frozen=True)
class _Episode:
    """From the first change of a breaker or an alert to its last; ``left_s`` is how long the run went on then."""

    first_s: float
    is_over: bool
    left_s: float


def _is_like(one: _Episode, other: _Episode, allowed_s: float) -> bool:
    """Whether two began at the same time, and both ended, or one at the very end of its run."""
    if abs(one.first_s - other.first_s) > allowed_s:
        return False
    return one.is_over == other.is_over or (one if one.is_over else other).left_s <= allowed_s


def _sum_up(events: Sequence[TraceEvent], course: Course) -> dict[str, _Episode]:
    end_s = max((one.at_s + one.total_s for one in course.requests), default=0.0)
    changes: dict[str, list[TraceEvent]] = {}
    for one in sorted(events, key=lambda one: one.at_s):
        changes.setdefault(one.subject, []).append(one)
    return {
        subject: _Episode(found[0].at_s, found[-1].after == found[0].before, end_s - found[-1].at_s)
        for subject, found in changes.items()
    }


def _name_events(events: dict[str, _Episode]) -> str:
    names = [
        f"{name} at {one.first_s:.1f} s{'' if one.is_over else ' (not over)'}" for name, one in sorted(events.items())
    ]
    return ", ".join(names) or "none"


def _compare_outcomes(base: Course, replay: Course, tolerances: Tolerances, findings: _Findings) -> None:
    before, after = (Counter(request.outcome for request in one.requests) for one in (base, replay))
    nums = [max(len(one.requests), 1) for one in (base, replay)]
    off = max(abs(before[kind] / nums[0] - after[kind] / nums[1]) for kind in _OUTCOMES)
    shown, bound = (", ".join(f"{one[kind]} {kind}" for kind in _OUTCOMES if one[kind]) for one in (after, before))
    findings.add(
        "outcomes",
        shown or "none",
        f"{bound or 'none'} ± {100 * tolerances.outcome_share:g}%",
        is_met=off <= tolerances.outcome_share,
    )
    findings.add("lost", str(replay.num_lost), str(base.num_lost), is_met=replay.num_lost == base.num_lost)


def _compare_latency(
    base: Course, replay: Course, tolerances: Tolerances, bootstrap: Bootstrap, findings: _Findings
) -> Estimate | None:
    is_paired = len(base.requests) == len(replay.requests)
    if is_paired:
        pairs = [
            (one.total_s, other.total_s)
            for one, other in zip(base.requests, replay.requests, strict=True)
            if one.outcome == other.outcome == "full"
        ]
        before, after = [one for one, _ in pairs], [other for _, other in pairs]
    else:
        before, after = (
            [request.total_s for request in one.requests if request.outcome == "full"] for one in (base, replay)
        )
    if min(len(before), len(after)) < _MIN_PAIRS:
        return None
    found = compare_percentile(before, after, _MEDIAN, bootstrap, is_paired=is_paired)
    interval = found.interval
    allowed_s = max(tolerances.latency_ratio * found.base.value, tolerances.latency_s)
    findings.add(
        "latency",
        f"{interval.value:+.2f} s ({interval.low:+.2f} to {interval.high:+.2f})",
        f"± {allowed_s:.2f} s",
        is_met=interval.low <= allowed_s and interval.high >= -allowed_s,
    )
    return Estimate(value=interval.value, low=interval.low, high=interval.high)
