"""Two runs of the same traffic: the same is found the same, and each way to differ is named."""

from __future__ import annotations

from dataclasses import replace

import pytest

from practicum_core.rungs import Rung, RungChange
from practicum_core.stages.replays import ReplayVerdict, Tolerances
from practicum_core.traffic import TraceEvent, TraceRequest
from practicum_jobs.load.sameness import Course, compare_courses, join_passed

STEPS = (
    (7.0, Rung.FULL, Rung.EXTRACT),
    (18.0, Rung.EXTRACT, Rung.SHORT),
    (21.0, Rung.SHORT, Rung.FULL),
)


def build_changes(steps):
    return [RungChange(at_s=at_s, before=before, after=after, reason="") for at_s, before, after in steps]


def build_requests(total_s=0.4):
    """Build 60 requests, one each half second; those from 5 to 7 fail, and until 21 a lower rung answers."""
    found = []
    for number in range(60):
        at_s = number / 2
        fields = {"status": 502 if 5 <= at_s < 7 else 200, "rung": "extract" if 7 <= at_s < 21 else ""}
        jitter_s = (number * 7 % 13) / 100
        found.append(TraceRequest(at_s=at_s, path="/v1/chat/completions", total_s=total_s + jitter_s, **fields))
    return found


def build_breaker(at_s, after="open"):
    states = {"open": ("closed", "open"), "closed": ("open", "closed")}[after]
    return TraceEvent(at_s=at_s, what="breaker", subject="engine", before=states[0], after=states[1])


BASE = Course(
    build_requests(), build_changes(STEPS), [build_breaker(6.0), build_breaker(16.0, "closed")], 5.0, 13.0, 0, 0.01
)


def find_missed(comparison):
    return [one.name for one in comparison.findings if not one.is_met]


def test_a_run_is_the_same_as_itself_and_says_what_was_compared():
    found = compare_courses(BASE, BASE, Tolerances())
    assert found.verdict is ReplayVerdict.SAME
    assert found.steps == ["full", "extract", "short", "full"]
    names = {one.name for one in found.findings}
    assert names >= {"schedule", "fault_window", "steps", "step_times", "breakers", "alerts", "outcomes", "latency"}
    assert found.latency.low <= 0 <= found.latency.high


def shift(steps, seconds):
    return [(at_s + seconds, before, after) for at_s, before, after in steps]


WAYS = {
    "other_rung": (
        {"changes": build_changes([(7.0, Rung.FULL, Rung.SHORT), (28.0, Rung.SHORT, Rung.FULL)])},
        ["steps"],
    ),
    "no_steps": ({"changes": []}, ["steps"]),
    "flapping": (
        {"changes": build_changes([*STEPS, *shift(STEPS, 30.0)])},
        ["steps"],
    ),
    "late_steps": ({"changes": build_changes(shift(STEPS, 8.0))}, ["step_times"]),
    "breaker_stays_open": ({"events": [build_breaker(6.0)]}, ["breakers"]),
    "no_breaker": ({"events": []}, ["breakers"]),
    "lost": ({"num_lost": 1}, ["lost"]),
    "slow": ({"requests": build_requests(total_s=2.0)}, ["latency"]),
    "later_fault": ({"fault_s": 8.0}, ["fault_window"]),
    "no_fault": ({"fault_s": None}, ["fault_window"]),
}


@pytest.mark.parametrize("way", WAYS)
def test_each_way_to_differ_is_named(way):
    changed, missed = WAYS[way]
    found = compare_courses(BASE, replace(BASE, **changed), Tolerances())
    assert found.verdict is ReplayVerdict.DIFFERS
    assert find_missed(found) == missed


def test_failures_that_were_answers_differ_in_outcomes_and_alerts():
    healed = [one.model_copy(update={"status": 200, "rung": ""}) for one in BASE.requests]
    found = compare_courses(BASE, replace(BASE, requests=healed), Tolerances())
    assert find_missed(found) == ["alerts", "outcomes"]


def test_fewer_requests_are_not_the_same():
    found = compare_courses(BASE, replace(BASE, requests=BASE.requests[:-3]), Tolerances())
    assert find_missed(found) == ["arrivals"]


def test_a_slower_machine_does_not_pass_as_equal():
    found = compare_courses(BASE, replace(BASE, late_p99_s=0.4), Tolerances())
    assert found.verdict is ReplayVerdict.NOT_COMPARABLE
    assert find_missed(found) == ["schedule"]
    assert found.findings[0].shown == "0.400 s"


def test_within_the_tolerances_it_is_the_same():
    near = replace(BASE, changes=build_changes(shift(STEPS, 2.0)), fault_s=6.0, undone_s=14.0, late_p99_s=0.2)
    assert compare_courses(BASE, near, Tolerances()).verdict is ReplayVerdict.SAME


def test_a_rung_that_was_passed_is_no_step_of_its_own():
    passed = [(7.0, Rung.FULL, Rung.SHORT), (7.4, Rung.SHORT, Rung.EXTRACT), *STEPS[1:]]
    assert [one.after for one in join_passed(build_changes(passed), 1.0)] == [Rung.EXTRACT, Rung.SHORT, Rung.FULL]
    assert len(join_passed(build_changes(passed), 0.1)) == 4
    found = compare_courses(BASE, replace(BASE, changes=build_changes(passed)), Tolerances())
    assert found.verdict is ReplayVerdict.SAME


def test_a_rung_that_was_held_briefly_after_others_was_passed_too():
    steps = [
        (0.0, Rung.FULL, Rung.SHORT),
        (0.9, Rung.SHORT, Rung.EXTRACT),
        (1.5, Rung.EXTRACT, Rung.FAQ),
        (9.0, Rung.FAQ, Rung.FULL),
    ]
    joined = join_passed(build_changes(steps), 1.0)
    assert [(one.at_s, one.before, one.after) for one in joined] == [
        (0.0, Rung.FULL, Rung.FAQ),
        (9.0, Rung.FAQ, Rung.FULL),
    ]
