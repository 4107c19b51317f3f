"""The plan as a table: (week job, observed, now) -> objects and status; and what holds for every table."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from practicum_core.curriculum import UNITS, get_unit
from practicum_core.errors import Reason
from practicum_core.metrics import Metric
from practicum_core.observed import Hold, Observed, ObservedStep
from practicum_core.phases import TRANSITIONS, ConditionType, Phase
from practicum_core.plan import plan
from practicum_core.units.unit import Step, Unit
from practicum_core.weekjob import Metadata, WeekJob, WeekJobSpec, WeekJobStatus

NOW = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
STEPS = [step.name for step in get_unit("experiments").steps]
DONE = ObservedStep(Phase.SUCCEEDED)
RUNNING = ObservedStep(Phase.RUNNING, child="7")


def build_weekjob(**spec):
    return WeekJob(metadata=Metadata(name="week-01"), spec=WeekJobSpec(unit="experiments", profile="quick", **spec))


def fail(reason, attempt=1):
    return ObservedStep(Phase.FAILED, attempt=attempt, reason=reason, message="why")


TABLE = {
    "nothing started": ({}, {}, ("model", 1), Phase.RUNNING, Reason.STAGE_STARTING),
    "first runs": ({"model": RUNNING}, {}, ("model", 1), Phase.RUNNING, Reason.STAGE_RUNNING),
    "first is being prepared": (
        {"model": ObservedStep(Phase.INITIALIZING)},
        {},
        ("model", 1),
        Phase.INITIALIZING,
        Reason.STAGE_STARTING,
    ),
    "waits for quota": (
        {"model": ObservedStep(Phase.QUEUED, message="1 more GPU needed")},
        {},
        ("model", 1),
        Phase.QUEUED,
        Reason.QUEUED,
    ),
    "preempted, waits again": (
        {"model": ObservedStep(Phase.QUEUED, reason=Reason.PREEMPTED)},
        {},
        ("model", 1),
        Phase.QUEUED,
        Reason.PREEMPTED,
    ),
    "image cannot be pulled": (
        {"model": ObservedStep(Phase.INITIALIZING, reason=Reason.IMAGE_PULL_FAILED, admitted_at=NOW)},
        {},
        ("model", 1),
        Phase.INITIALIZING,
        Reason.IMAGE_PULL_FAILED,
    ),
    "initializing for too long": (
        {"model": ObservedStep(Phase.INITIALIZING, admitted_at=NOW - dt.timedelta(seconds=31), message="why")},
        {},
        None,
        Phase.FAILED,
        Reason.PRE_RUNNING_DEADLINE_EXCEEDED,
    ),
    "queued for long is no fault": (
        {"model": ObservedStep(Phase.QUEUED, admitted_at=NOW - dt.timedelta(seconds=31))},
        {},
        ("model", 1),
        Phase.QUEUED,
        Reason.QUEUED,
    ),
    "held before it starts": (
        {},
        {"holds": {"model": Hold(Reason.BUDGET_EXCEEDED, "used up")}},
        None,
        Phase.QUEUED,
        Reason.BUDGET_EXCEEDED,
    ),
    "a hold does not touch what runs": (
        {"model": RUNNING},
        {"holds": {"model": Hold(Reason.BUDGET_EXCEEDED, "used up")}},
        ("model", 1),
        Phase.RUNNING,
        Reason.STAGE_RUNNING,
    ),
    "a hold that stops what runs": (
        {"model": RUNNING},
        {"holds": {"model": Hold(Reason.BUDGET_EXCEEDED, "used up", stops_running=True)}},
        None,
        Phase.RUNNING,
        Reason.STAGE_RUNNING,
    ),
    "stopped by a hold": (
        {"model": ObservedStep(Phase.SUSPENDED)},
        {"holds": {"model": Hold(Reason.BUDGET_EXCEEDED, "used up", stops_running=True)}},
        None,
        Phase.QUEUED,
        Reason.BUDGET_EXCEEDED,
    ),
    "what waits is taken back when the budget is used up": (
        {"model": ObservedStep(Phase.QUEUED)},
        {"holds": {"model": Hold(Reason.BUDGET_EXCEEDED, "used up")}},
        None,
        Phase.QUEUED,
        Reason.QUEUED,
    ),
    "what waits keeps its place in a class that is paused": (
        {"model": ObservedStep(Phase.QUEUED)},
        {"holds": {"model": Hold(Reason.COURSE_SUSPENDED, "paused")}},
        ("model", 1),
        Phase.QUEUED,
        Reason.QUEUED,
    ),
    "a hold keeps the retry waiting": (
        {"model": fail(Reason.EVICTED)},
        {"holds": {"model": Hold(Reason.COURSE_SUSPENDED, "paused")}},
        None,
        Phase.QUEUED,
        Reason.COURSE_SUSPENDED,
    ),
    "a hold of a later step says nothing": (
        {},
        {"holds": {"evaluate": Hold(Reason.BUDGET_EXCEEDED, "used up")}},
        ("model", 1),
        Phase.RUNNING,
        Reason.STAGE_STARTING,
    ),
    "evicted is tried again": ({"model": fail(Reason.EVICTED)}, {}, ("model", 2), Phase.RUNNING, None),
    "next starts": ({"model": DONE}, {}, ("snapshot", 1), Phase.RUNNING, Reason.STAGE_STARTING),
    "another pod on the step is waited out": ({"model": fail(Reason.RUN_BUSY)}, {}, ("model", 2), Phase.RUNNING, None),
    "crash is tried again": ({"model": fail(Reason.STAGE_CRASHED)}, {}, ("model", 2), Phase.RUNNING, None),
    "second crash is final": (
        {"model": fail(Reason.STAGE_CRASHED, 2)},
        {},
        None,
        Phase.FAILED,
        Reason.STAGE_CRASHED,
    ),
    "bad data is final at once": ({"model": fail(Reason.DATA_INVALID)}, {}, None, Phase.FAILED, Reason.DATA_INVALID),
    "memory is final at once": ({"model": fail(Reason.OUT_OF_MEMORY)}, {}, None, Phase.FAILED, Reason.OUT_OF_MEMORY),
    "stop ends what runs": (
        {"model": RUNNING},
        {"is_stop_requested": True},
        None,
        Phase.RUNNING,
        Reason.STAGE_RUNNING,
    ),
    "stopped": (
        {"model": ObservedStep(Phase.SUSPENDED)},
        {"is_stop_requested": True},
        None,
        Phase.SUSPENDED,
        Reason.STOPPED,
    ),
    "stopped before anything": ({}, {"is_stop_requested": True}, None, Phase.SUSPENDED, Reason.STOPPED),
    "stop comes when all is done": (
        dict.fromkeys(STEPS, DONE),
        {"is_stop_requested": True},
        None,
        Phase.SUCCEEDED,
        Reason.GATE_FAILED,
    ),
    "stopped before a crash was tried again": (
        {"model": fail(Reason.STAGE_CRASHED)},
        {"is_stop_requested": True},
        None,
        Phase.SUSPENDED,
        Reason.STOPPED,
    ),
    "stopped when it had failed for good": (
        {"model": fail(Reason.DATA_INVALID)},
        {"is_stop_requested": True},
        None,
        Phase.FAILED,
        Reason.DATA_INVALID,
    ),
    "a hold hides no failure that is final": (
        {"model": fail(Reason.DATA_INVALID)},
        {"holds": {"model": Hold(Reason.BUDGET_EXCEEDED, "used up")}},
        None,
        Phase.FAILED,
        Reason.DATA_INVALID,
    ),
    "resumed": ({"model": ObservedStep(Phase.SUSPENDED, attempt=2)}, {}, ("model", 3), Phase.RUNNING, None),
    "late, still running": (
        {"model": RUNNING},
        {"started_at": NOW - dt.timedelta(seconds=61)},
        None,
        Phase.RUNNING,
        Reason.STAGE_RUNNING,
    ),
    "late": (
        {"model": ObservedStep(Phase.SUSPENDED)},
        {"started_at": NOW - dt.timedelta(seconds=61)},
        None,
        Phase.FAILED,
        Reason.DEADLINE_EXCEEDED,
    ),
    "in time": (
        {"model": RUNNING},
        {"started_at": NOW - dt.timedelta(seconds=60)},
        ("model", 1),
        Phase.RUNNING,
        Reason.STAGE_RUNNING,
    ),
}


ADMITTED = ObservedStep(Phase.INITIALIZING)
WAITING = ObservedStep(Phase.QUEUED)
STOPPED = ObservedStep(Phase.SUSPENDED)


def live(*looks):
    """Plan at each look, given as seconds and the state of the first step, and return the statuses."""
    weekjob = build_weekjob(active_deadline_seconds=60)
    statuses = []
    for at_s, step in looks:
        observed = Observed(steps={"model": step}, previous=statuses[-1] if statuses else None)
        statuses.append(plan(weekjob, observed, NOW + dt.timedelta(seconds=at_s)).status)
    return statuses


@pytest.mark.parametrize(
    ("looks", "phase", "active_s"),
    [
        pytest.param([(0, WAITING), (9000, WAITING), (9001, RUNNING), (9061, RUNNING)], Phase.RUNNING, 0, id="a queue"),
        pytest.param(
            [(0, RUNNING), (50, WAITING), (9000, RUNNING), (9010, RUNNING)], Phase.RUNNING, 50, id="preempted"
        ),
        pytest.param([(0, ADMITTED), (59, ADMITTED), (61, ADMITTED)], Phase.FAILED, 61, id="a start counts"),
        pytest.param(
            [(0, RUNNING), (50, WAITING), (9000, RUNNING), (9011, RUNNING), (9020, STOPPED)],
            Phase.FAILED,
            70,
            id="late",
        ),
        pytest.param([(0, RUNNING), (61, RUNNING), (65, STOPPED)], Phase.FAILED, 65, id="stopped for it"),
    ],
)
def test_a_deadline_counts_what_runs_and_not_what_waits(looks, phase, active_s):
    *_, last = live(*looks)
    assert (last.phase, last.active_seconds) == (phase, active_s)


def test_a_suspended_run_has_its_time_left():
    weekjob = build_weekjob(active_deadline_seconds=60)
    first = plan(weekjob, Observed(steps={"model": RUNNING}), NOW).status
    paused = build_weekjob(active_deadline_seconds=60, suspend=True)
    later = NOW + dt.timedelta(seconds=30)
    second = plan(paused, Observed(steps={"model": STOPPED}, previous=first), later).status
    tomorrow = plan(weekjob, Observed(steps={"model": STOPPED}, previous=second), NOW + dt.timedelta(days=1))
    assert (second.phase, second.active_seconds, second.active_since) == (Phase.SUSPENDED, 30, None)
    assert [(item.step.name, item.attempt) for item in tomorrow.objects] == [("model", 2)]


@pytest.mark.parametrize(("steps", "extra", "wanted", "phase", "reason"), TABLE.values(), ids=TABLE.keys())
def test_plan(steps, extra, wanted, phase, reason):
    made = plan(
        build_weekjob(active_deadline_seconds=60, pre_running_deadline_seconds=30), Observed(steps=steps, **extra), NOW
    )
    assert [(item.step.name, item.attempt) for item in made.objects] == ([wanted] if wanted else [])
    assert made.status.phase is phase
    assert reason is None or made.status.reason is reason
    assert (made.requeue_after_s is None) == (phase.is_terminal or phase is Phase.SUSPENDED)


def follow(weekjob, *observations):
    """Plan after each look, the status of the last one known, as both executors do."""
    previous, made = None, None
    for seen in observations:
        made = plan(weekjob, Observed(steps={"model": seen}, previous=previous), NOW)
        previous = made.status
    return made


STOPPED_AT_1 = ObservedStep(Phase.SUSPENDED)
COURSES = {
    "never stopped": ((RUNNING, fail(Reason.EVICTED)), 2),
    "failed once too often": (
        (RUNNING, fail(Reason.EVICTED), replace(RUNNING, attempt=2), fail(Reason.EVICTED, 2)),
        None,
    ),
    "stopped, then failed": ((RUNNING, STOPPED_AT_1, replace(RUNNING, attempt=2), fail(Reason.EVICTED, 2)), 3),
    "stopped, then failed before it was seen to run": ((STOPPED_AT_1, fail(Reason.EVICTED, 2)), 3),
    "stopped twice, then failed": (
        (STOPPED_AT_1, replace(STOPPED_AT_1, attempt=2), replace(RUNNING, attempt=3), fail(Reason.EVICTED, 3)),
        4,
    ),
    "failed, stopped, failed": (
        (fail(Reason.EVICTED), replace(STOPPED_AT_1, attempt=2), replace(RUNNING, attempt=3), fail(Reason.EVICTED, 3)),
        None,
    ),
    "stopped, failed, failed": (
        (STOPPED_AT_1, fail(Reason.EVICTED, 2), replace(RUNNING, attempt=3), fail(Reason.EVICTED, 3)),
        None,
    ),
    "stopped once more before it had told anything": (
        # What a start that left no report was is forgotten with its object: the next one takes its number.
        (STOPPED_AT_1, replace(RUNNING, attempt=2), STOPPED_AT_1, replace(RUNNING, attempt=2), fail(Reason.EVICTED, 2)),
        3,
    ),
    "stopped, then failed for good": ((STOPPED_AT_1, fail(Reason.DATA_INVALID, 2)), None),
}


@pytest.mark.parametrize(("seen", "attempt"), COURSES.values(), ids=COURSES)
def test_a_resume_is_no_retry(seen, attempt):
    made = follow(build_weekjob(backoff_limit=1), *seen)
    assert [item.attempt for item in made.objects] == ([] if attempt is None else [attempt])
    assert made.status.phase is (Phase.FAILED if attempt is None else Phase.RUNNING)


def test_the_status_counts_resumes_and_says_nothing_where_there_was_none():
    made = follow(build_weekjob(), RUNNING, fail(Reason.EVICTED), replace(RUNNING, attempt=2))
    assert "resumes" not in made.status.model_dump(exclude_none=True)["stages"][0]
    stopped = replace(STOPPED_AT_1, attempt=2)
    again = replace(RUNNING, attempt=3)
    made = follow(build_weekjob(), RUNNING, stopped, stopped, again, again)
    assert (made.status.stages[0].attempt, made.status.stages[0].resumes) == (3, 1)


def test_gates_are_held_against_metrics_of_their_step():
    metrics = {
        "snapshot": [Metric(name="unwaived_leaks", value=0)],
        "evaluate": [Metric(name="num_rows", value=60), Metric(name="exact_match_interval_width", value=0.1)],
    }
    steps = {name: replace(DONE, metrics=metrics.get(name, ())) for name in STEPS}
    status = plan(build_weekjob(), Observed(steps=steps), NOW).status
    assert (status.phase, status.reason) == (Phase.SUCCEEDED, Reason.GATES_PASSED)
    assert {gate.name: gate.passed for gate in status.gates} == dict.fromkeys(
        ("no_leakage", "baseline_rows", "baseline_interval"), True
    )
    status = plan(build_weekjob(), Observed(steps={**steps, "snapshot": DONE}), NOW).status
    assert status.reason is Reason.GATE_FAILED
    assert status.message == "gates not passed: no_leakage"


def test_invalid_option_fails_with_every_problem_named():
    weekjob = build_weekjob(set={"evaluate.limt": 3, "evaluat.limit": 3, "evaluate.batch_size": 0})
    made = plan(weekjob, Observed(), NOW)
    assert (made.objects, made.status.phase, made.status.reason) == ((), Phase.FAILED, Reason.CONFIG_INVALID)
    for part in ("did you mean 'limit'?", "did you mean 'evaluate'?", "evaluate.batch_size"):
        assert part in made.status.message


def test_a_stage_of_a_later_version_says_so(monkeypatch):
    later = Unit("later", "Later", "以后", "Later", "以后", (), (Step("unbuilt", "unbuilt"),))
    monkeypatch.setitem(UNITS, "later", later)
    weekjob = WeekJob(metadata=Metadata(name="x"), spec=WeekJobSpec(unit="later"))
    assert plan(weekjob, Observed(), NOW).status.reason is Reason.STAGE_NOT_IMPLEMENTED


def test_transition_time_moves_only_with_the_condition():
    first = plan(build_weekjob(), Observed(steps={"model": RUNNING}), NOW).status
    later = NOW + dt.timedelta(minutes=1)
    second = plan(build_weekjob(), Observed(steps={"model": RUNNING}, previous=first), later).status
    ended = plan(build_weekjob(), Observed(steps=dict.fromkeys(STEPS, DONE), previous=second), later).status
    times = [
        {condition.type: condition.last_transition_time for condition in status.conditions}
        for status in (first, second, ended)
    ]
    assert times[0] == times[1]
    assert times[2][ConditionType.RUNNING] != times[0][ConditionType.RUNNING]
    assert times[2][ConditionType.ACCEPTED] == times[0][ConditionType.ACCEPTED]


observed_steps = st.builds(
    ObservedStep,
    phase=st.sampled_from(
        [Phase.QUEUED, Phase.INITIALIZING, Phase.RUNNING, Phase.SUSPENDED, Phase.SUCCEEDED, Phase.FAILED]
    ),
    attempt=st.integers(1, 4),
    reason=st.sampled_from([None, Reason.STAGE_CRASHED, Reason.DATA_INVALID, Reason.OUT_OF_MEMORY]),
    progress=st.none() | st.floats(0, 1),
)
observations = st.builds(
    Observed,
    steps=st.dictionaries(st.sampled_from(STEPS), observed_steps),
    started_at=st.sampled_from([None, NOW, NOW - dt.timedelta(hours=1)]),
    is_stop_requested=st.booleans(),
)
weekjobs = st.builds(
    build_weekjob,
    suspend=st.booleans(),
    backoff_limit=st.integers(0, 3),
    active_deadline_seconds=st.none() | st.integers(1, 7200),
)


def test_a_stage_says_its_own_reason():
    seen = {"model": ObservedStep(Phase.QUEUED, reason=Reason.PREEMPTED, message="for a higher priority")}
    stages = plan(build_weekjob(), Observed(steps=seen), NOW).status.stages
    assert (stages[0].reason, stages[0].message) == (Reason.PREEMPTED, "for a higher priority")
    assert stages[1].reason is None


@given(weekjobs, observations)
def test_planning_again_with_what_was_planned_changes_nothing(weekjob, observed):
    first = plan(weekjob, observed, NOW)
    again = plan(weekjob, replace(observed, previous=first.status), NOW + dt.timedelta(seconds=1))
    assert again.status == first.status
    if not first.status.phase.is_terminal:
        assert again.objects == first.objects


@given(weekjobs, observations, observations)
def test_no_phase_leaves_a_terminal_state_and_each_follows_the_table(weekjob, before, after):
    first = plan(weekjob, before, NOW).status
    second = plan(weekjob, replace(after, previous=first), NOW).status
    if first.phase.is_terminal:
        assert second == first
    elif first.phase is not second.phase:
        assert (first.phase, second.phase) in TRANSITIONS


@given(weekjobs, observations)
def test_a_plan_wants_one_step_at_most_and_none_when_over(weekjob, observed):
    made = plan(weekjob, observed, NOW)
    assert len(made.objects) <= 1
    assert not (made.objects and made.status.phase.is_terminal)
    assert WeekJobStatus.model_validate(made.status.model_dump(by_alias=True)) == made.status
