"""What the ledger is charged: the cluster's times where it tells them, and no more than was held."""

from __future__ import annotations

import asyncio
import datetime as dt

import pytest

from practicum_controller.database import Database
from practicum_controller.eta import Wait
from practicum_controller.history import History
from practicum_controller.memory import ControllerMemory
from practicum_controller.reconcile import Held, StepNote
from practicum_controller.rosters import Roster
from practicum_core import labels
from practicum_core.course import Course, CourseSpec
from practicum_core.phases import Phase
from practicum_core.plan import ObservedStep
from practicum_core.weekjob import Metadata

NOW = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
ROSTER = Roster(Course(metadata=Metadata(name="llm", namespace=""), spec=CourseSpec()), {})
CHILD = {"metadata": {"uid": "c1", "namespace": "student-01", "labels": {labels.SLICES: "1"}}}


@pytest.fixture
def history(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/history.sqlite")
    yield History(database)
    database.close()


@pytest.fixture
def memory(history):
    return ControllerMemory(history)


def note(memory, phase, now, **facts):
    step = ObservedStep(phase)
    asyncio.run(memory.note_step(StepNote({"metadata": {"uid": "w1"}}, ROSTER, CHILD, step, "sft", now, **facts)))


def list_times(history):
    return [(usage.started_at, usage.ended_at) for usage in history.list_usage("student-01", NOW - 24 * HOUR)]


def test_the_clusters_times_are_charged_and_not_those_of_seeing(memory, history):
    note(memory, Phase.RUNNING, NOW, started_at=NOW - HOUR)
    note(memory, Phase.SUCCEEDED, NOW + 3 * HOUR, ended_at=NOW + HOUR)
    assert list_times(history) == [(NOW - HOUR, NOW + HOUR)]
    assert memory.count_gpu_hours(ROSTER.course, "student-01", NOW + 4 * HOUR) == 2


def test_without_them_the_present_counts(memory, history):
    note(memory, Phase.RUNNING, NOW)
    note(memory, Phase.QUEUED, NOW + HOUR)
    assert list_times(history) == [(NOW, NOW + HOUR)]


def test_times_of_an_earlier_run_of_a_preempted_child_charge_nothing_twice(memory, history):
    note(memory, Phase.RUNNING, NOW, started_at=NOW)
    note(memory, Phase.QUEUED, NOW + HOUR)
    note(memory, Phase.RUNNING, NOW + 2 * HOUR, started_at=NOW)
    note(memory, Phase.QUEUED, NOW + 3 * HOUR, ended_at=NOW + HOUR)
    assert list_times(history) == [(NOW, NOW + HOUR), (NOW + 2 * HOUR, NOW + 3 * HOUR)]


def test_a_pod_that_runs_on_after_its_report_is_charged(memory, history):
    note(memory, Phase.RUNNING, NOW)
    note(memory, Phase.SUCCEEDED, NOW + HOUR, has_running_pods=True)
    assert list_times(history) == [(NOW, None)]
    # Its week job ended meanwhile: nothing is noted any more, and what holds nothing is settled at its own end.
    held = Held(set(), set(), {"c1": NOW + 2 * HOUR})
    asyncio.run(memory.settle("student-01", "w1", NOW + 3 * HOUR, held))
    assert list_times(history) == [(NOW, NOW + 2 * HOUR)]


def test_a_child_that_nobody_saw_run_is_charged_once(memory, history):
    for _ in range(2):
        note(memory, Phase.FAILED, NOW + 3 * HOUR, started_at=NOW, ended_at=NOW + HOUR)
    assert list_times(history) == [(NOW, NOW + HOUR)]


def test_a_child_that_was_not_seen_to_run_and_lives_on_is_charged_until_it_ends(memory, history):
    note(memory, Phase.FAILED, NOW + HOUR, started_at=NOW, has_running_pods=True)
    assert list_times(history) == [(NOW, None)]
    asyncio.run(memory.settle("student-01", "w1", NOW + 3 * HOUR, Held(set(), set(), {"c1": NOW + 2 * HOUR})))
    assert list_times(history) == [(NOW, NOW + 2 * HOUR)]


def test_a_child_that_never_ran_is_not_charged(memory, history):
    note(memory, Phase.FAILED, NOW, ended_at=NOW)
    assert list_times(history) == []


def test_an_estimate_is_of_those_who_waited_for_the_same(memory, history):
    for number in range(3):
        history.record_wait(Wait(f"gpu-{number}", "llm", 0, 600.0, NOW, 1))
        history.record_wait(Wait(f"cpu-{number}", "llm", 0, 60.0, NOW))
    changed = asyncio.run(memory.set_places("llm", {"trains": 1, "reports": 1}, {"trains"}))
    assert changed == {"trains", "reports"}
    assert {uid: place.eta_s for uid, place in memory.get_places().items()} == {"trains": 1200.0, "reports": 120.0}


@pytest.mark.parametrize(
    ("held", "ended_at"),
    [
        (Held({"c1"}, set()), None),
        (Held(set(), {"sft"}), None),
        (Held({"c2"}, {"model"}), NOW + HOUR),
        (None, NOW + HOUR),
    ],
)
def test_an_account_is_settled_when_nothing_holds_it(memory, history, held, ended_at):
    note(memory, Phase.RUNNING, NOW)
    asyncio.run(memory.settle("student-01", "w1", NOW + HOUR, held))
    assert list_times(history) == [(NOW, ended_at)]
