"""What the ledger is charged: the cluster's times where it tells them, and no more than was held."""

from __future__ import annotations

import asyncio
import datetime as dt

import pytest

from practicum_controller.accounts import Accounts
from practicum_controller.database import Database
from practicum_controller.eta import Wait
from practicum_controller.history import History
from practicum_controller.ledger import AccountKey
from practicum_controller.places import Places
from practicum_controller.rosters import Roster
from practicum_controller.scene import Child, Membership, Scene
from practicum_core import labels
from practicum_core.course import Course, CourseSpec
from practicum_core.errors import PlatformError, Reason
from practicum_core.observed import ObservedStep
from practicum_core.phases import Phase
from practicum_core.weekjob import Metadata

NOW = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
ROSTER = Roster(Course(metadata=Metadata(name="llm", namespace=""), spec=CourseSpec()), {})
MARKS = {labels.SLICES: "1", labels.STEP: "sft", labels.ATTEMPT: "1"}
CHILD = {"kind": "Job", "metadata": {"uid": "c1", "namespace": "student-01", "labels": MARKS}}
WEEK_JOB = {"metadata": {"uid": "w1", "namespace": "student-01"}}


@pytest.fixture
def history(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/history.sqlite")
    yield History(database)
    database.close()


@pytest.fixture
def places(history):
    return Places(history)


@pytest.fixture
def accounts(history):
    return Accounts(history)


def build_pod(started_at=None, ended_at=None, *, is_running=False):
    times = {"startedAt": started_at, "finishedAt": ended_at}
    times = {name: time.isoformat() for name, time in times.items() if time is not None}
    state = {"running" if is_running else "terminated": times}
    return {"metadata": {"uid": "p1"}, "status": {"containerStatuses": [{"state": state}]}}


def look(accounts, phase, now, *pods, left_pods=()):
    """Charge what one look shows: a child in a phase; without one, a week job that ended and what is left of it."""
    children = [Child((CHILD,), pods)] if phase or pods else []
    steps = {"sft": ObservedStep(phase)} if phase else {}
    scene = Scene(WEEK_JOB, now, Membership(ROSTER), children, dict.fromkeys(left_pods, "p"), steps=steps)
    asyncio.run(accounts.charge(scene))


def list_times(history):
    return [(usage.started_at, usage.ended_at) for usage in history.list_usage("student-01", NOW - 24 * HOUR)]


def test_the_clusters_times_are_charged_and_not_those_of_seeing(accounts, history):
    look(accounts, Phase.RUNNING, NOW, build_pod(NOW - HOUR, is_running=True))
    look(accounts, Phase.SUCCEEDED, NOW + 3 * HOUR, build_pod(NOW - HOUR, NOW + HOUR))
    assert list_times(history) == [(NOW - HOUR, NOW + HOUR)]
    assert accounts.count_gpu_hours(ROSTER.course, "student-01", NOW + 4 * HOUR) == 2


def test_without_them_the_present_counts(accounts, history):
    look(accounts, Phase.RUNNING, NOW)
    look(accounts, Phase.QUEUED, NOW + HOUR)
    assert list_times(history) == [(NOW, NOW + HOUR)]


def test_times_of_an_earlier_run_of_a_preempted_child_charge_nothing_twice(accounts, history):
    look(accounts, Phase.RUNNING, NOW, build_pod(NOW, is_running=True))
    look(accounts, Phase.QUEUED, NOW + HOUR)
    look(accounts, Phase.RUNNING, NOW + 2 * HOUR, build_pod(NOW, is_running=True))
    look(accounts, Phase.QUEUED, NOW + 3 * HOUR, build_pod(NOW, NOW + HOUR))
    assert list_times(history) == [(NOW, NOW + HOUR), (NOW + 2 * HOUR, NOW + 3 * HOUR)]
    assert [usage.key for usage in history.list_usage("student-01", NOW - HOUR)] == [
        AccountKey("c1", 0),
        AccountKey("c1", 1),
    ]


def test_a_pod_that_runs_on_after_its_report_is_charged(accounts, history):
    look(accounts, Phase.RUNNING, NOW)
    look(accounts, Phase.SUCCEEDED, NOW + HOUR, build_pod(NOW, is_running=True))
    assert list_times(history) == [(NOW, None)]
    # Its week job ended meanwhile: no step is observed any more, and what holds nothing is settled at its own end.
    look(accounts, None, NOW + 3 * HOUR, build_pod(NOW, NOW + 2 * HOUR))
    assert list_times(history) == [(NOW, NOW + 2 * HOUR)]


def test_a_child_that_nobody_saw_run_is_charged_once(accounts, history):
    for _ in range(2):
        look(accounts, Phase.FAILED, NOW + 3 * HOUR, build_pod(NOW, NOW + HOUR))
    assert list_times(history) == [(NOW, NOW + HOUR)]


def test_a_child_that_was_not_seen_to_run_and_lives_on_is_charged_until_it_ends(accounts, history):
    look(accounts, Phase.FAILED, NOW + HOUR, build_pod(NOW, is_running=True))
    assert list_times(history) == [(NOW, None)]
    look(accounts, None, NOW + 3 * HOUR, build_pod(NOW, NOW + 2 * HOUR))
    assert list_times(history) == [(NOW, NOW + 2 * HOUR)]


def test_a_child_that_never_ran_is_not_charged(accounts, history):
    look(accounts, Phase.FAILED, NOW, build_pod(ended_at=NOW))
    assert list_times(history) == []


def test_replicas_are_charged_while_they_run_and_none_while_there_are_none(accounts, history):
    served = CHILD | {"kind": "InferenceService"}

    def look_at(num_pods, now):
        pods = [build_pod(NOW, is_running=True) for _ in range(num_pods)]
        steps = {"sft": ObservedStep(Phase.SERVING)}
        scene = Scene(WEEK_JOB, now, Membership(ROSTER), [Child((served,), pods)], steps=steps)
        asyncio.run(accounts.charge(scene))

    for num_pods, hour in ((1, 0), (2, 1), (2, 2), (0, 3), (1, 5), (0, 6)):
        look_at(num_pods, NOW + hour * HOUR)
    assert all(end is not None for _, end in list_times(history))
    assert accounts.count_gpu_hours(ROSTER.course, "student-01", NOW + 8 * HOUR) == 1 + 2 * 2 + 1


def test_an_estimate_is_of_those_who_waited_for_the_same(places, history):
    for number in range(3):
        history.record_wait(Wait(f"gpu-{number}", "llm", 0, 600.0, NOW, 1))
        history.record_wait(Wait(f"cpu-{number}", "llm", 0, 60.0, NOW))
    changed = asyncio.run(places.set_places("llm", {"trains": 1, "reports": 1}, {"trains"}))
    assert changed == {"trains", "reports"}
    assert {uid: place.eta_s for uid, place in places.get().items()} == {"trains": 1200.0, "reports": 120.0}


@pytest.mark.parametrize(
    ("phase", "pods", "left_pods", "is_held"),
    [
        pytest.param(Phase.RUNNING, [], (), True, id="it is the current attempt"),
        pytest.param(None, [build_pod(NOW, is_running=True)], (), True, id="its pod runs on"),
        pytest.param(None, [], ("sft",), True, id="a pod outlives it"),
        pytest.param(None, [], ("model",), False, id="a pod of another step"),
        pytest.param(None, [], (), False, id="nothing is left"),
    ],
)
def test_an_account_is_settled_when_nothing_holds_it(accounts, history, phase, pods, left_pods, is_held):
    look(accounts, Phase.RUNNING, NOW)
    look(accounts, phase, NOW + HOUR, *pods, left_pods=left_pods)
    assert list_times(history) == [(NOW, None if is_held else NOW + HOUR)]


DELETED = {"metadata": {**WEEK_JOB["metadata"], "deletionTimestamp": NOW.isoformat()}}


def test_a_week_job_that_is_deleted_settles_everything(accounts, history):
    look(accounts, Phase.RUNNING, NOW)
    asyncio.run(accounts.charge(Scene(DELETED, NOW + HOUR, Membership(ROSTER))))
    assert list_times(history) == [(NOW, NOW + HOUR)]


def test_a_week_job_that_is_deleted_does_not_wait_for_the_history(accounts, history, monkeypatch):
    look(accounts, Phase.RUNNING, NOW)

    def fail(key, ended_at):
        raise PlatformError(Reason.UPSTREAM_UNAVAILABLE, "the database is away")

    monkeypatch.setattr(history, "close_usage", fail)
    asyncio.run(accounts.charge(Scene(DELETED, NOW + HOUR, Membership(ROSTER))))
    assert list_times(history) == [(NOW, None)]


def test_a_wait_is_kept_once_where_the_place_was_known(places, history):
    asyncio.run(places.set_places("llm", {"c1": 2}, {"c1"}))
    meta = CHILD["metadata"] | {"creationTimestamp": NOW.isoformat()}
    children = [Child((CHILD | {"metadata": meta},))]
    for phase in (Phase.QUEUED, Phase.RUNNING, Phase.RUNNING):
        steps = {"sft": ObservedStep(phase, admitted_at=NOW + HOUR)}
        asyncio.run(places.record_admissions(Scene(WEEK_JOB, NOW + HOUR, Membership(ROSTER), children, steps=steps)))
    assert history.list_waits("llm", with_gpu=True) == [Wait("c1", "llm", 2, 3600.0, NOW + HOUR, 1)]
