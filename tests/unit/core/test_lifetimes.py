"""Servers in the plan, beside their users, restarted, stopped and kept, by a unit that no file of the product knows."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest

from made_up.register import register
from practicum_core.errors import ConfigError, Reason
from practicum_core.lifetimes import list_coexisting
from practicum_core.metrics import Metric
from practicum_core.observed import LAST_WORDS, Hold, Observed, ObservedStep
from practicum_core.phases import ConditionType, Phase
from practicum_core.plan import plan
from practicum_core.resolve import resolve_steps
from practicum_core.weekjob import Metadata, Serving, WeekJob, WeekJobSpec

NOW = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
URL = "http://127.0.0.1:8123"
STARTING = ObservedStep(Phase.RUNNING, child="7")
READY = ObservedStep(Phase.SERVING, child="7", endpoint=URL)
RUNNING = ObservedStep(Phase.RUNNING, child="8")
GREETED = ObservedStep(Phase.SUCCEEDED, metrics=[Metric(name="num_greetings", value=3)])
DONE = ObservedStep(Phase.SUCCEEDED)
STOPPED = ObservedStep(Phase.SUSPENDED)
DIED = ObservedStep(Phase.FAILED, reason=Reason.STAGE_CRASHED, message="killed by signal 9")


@pytest.fixture(autouse=True)
def _made_up_stages(monkeypatch):
    register(monkeypatch)


def build_weekjob(**spec):
    return WeekJob(metadata=Metadata(name="greetings"), spec=WeekJobSpec(**{"unit": "greetings", **spec}))


def look(steps, previous=None, now=NOW, *, holds=None, is_stop_requested=False, **spec):
    observed = Observed(
        steps=steps, previous=previous, holds=holds or {}, is_stop_requested=is_stop_requested, started_at=NOW
    )
    return plan(build_weekjob(**spec), observed, now)


def list_wanted(made):
    return [(item.step.name, item.attempt) for item in made.objects]


TABLE = {
    "the server comes first": ({}, [("greeter", 1)], Phase.RUNNING, "greeter starts"),
    "its user waits until it is ready": (
        {"greeter": STARTING},
        [("greeter", 1)],
        Phase.RUNNING,
        "greeter: runs and is not ready yet",
    ),
    "then both exist": ({"greeter": READY}, [("greeter", 1), ("caller", 1)], Phase.RUNNING, "caller starts"),
    "while the user runs": (
        {"greeter": READY, "caller": RUNNING},
        [("greeter", 1), ("caller", 1)],
        Phase.RUNNING,
        "caller runs",
    ),
    "a server that died is started again, and its user goes on": (
        {"greeter": DIED, "caller": RUNNING},
        [("greeter", 2), ("caller", 1)],
        Phase.RUNNING,
        "caller runs",
    ),
    "one that ended by itself has died too": (
        {"greeter": DONE, "caller": RUNNING},
        [("greeter", 2), ("caller", 1)],
        Phase.RUNNING,
        "caller runs",
    ),
    "no more often than allowed": (
        {"greeter": replace(DIED, attempt=4), "caller": RUNNING},
        [],
        Phase.RUNNING,
        "caller runs",
    ),
    "which fails the week when nothing runs any more": (
        {"greeter": replace(DIED, attempt=4), "caller": STOPPED},
        [],
        Phase.FAILED,
        "greeter: killed by signal 9",
    ),
    "the last user is done: it is stopped before the evidence is drawn": (
        {"greeter": READY, "caller": GREETED},
        [],
        Phase.RUNNING,
        "greeter is being stopped",
    ),
    "then the evidence is drawn": ({"greeter": STOPPED, "caller": GREETED}, [("report", 1)], Phase.RUNNING, None),
    "also where nothing is left of it": ({"caller": GREETED}, [("report", 1)], Phase.RUNNING, None),
    "and the week ends": (
        {"greeter": STOPPED, "caller": GREETED, "report": DONE},
        [],
        Phase.SUCCEEDED,
        "every gate passed",
    ),
    "that it failed once its work was done harms nothing": (
        {"greeter": replace(DIED, attempt=9), "caller": GREETED, "report": DONE},
        [],
        Phase.SUCCEEDED,
        "every gate passed",
    ),
}


@pytest.mark.parametrize(("steps", "wanted", "phase", "message"), TABLE.values(), ids=TABLE)
def test_a_server_lives_as_long_as_it_is_used(steps, wanted, phase, message):
    made = look(steps)
    assert list_wanted(made) == wanted
    assert made.status.phase is phase
    assert message is None or made.status.message == message


def test_the_status_shows_the_server_and_where_it_answers():
    status = look({"greeter": READY, "caller": RUNNING}).status
    assert (status.stages[0].phase, status.stages[0].endpoint) == (Phase.SERVING, URL)
    assert [one.status for one in status.conditions if one.type is ConditionType.SERVING] == ["True"]
    later = look({"caller": GREETED}, previous=status).status
    assert (later.stages[0].phase, later.stages[0].endpoint) == (Phase.SUCCEEDED, None)
    assert [one.status for one in later.conditions if one.type is ConditionType.SERVING] == ["False"]


def test_a_stop_ends_server_and_user_and_the_run_goes_on_with_both():
    both = {"greeter": READY, "caller": RUNNING}
    stopping = look(both, is_stop_requested=True)
    assert (list_wanted(stopping), stopping.status.phase) == ([], Phase.RUNNING)
    stopped = look({"greeter": STOPPED, "caller": STOPPED}, previous=stopping.status, is_stop_requested=True)
    assert stopped.status.phase is Phase.SUSPENDED
    again = look({"greeter": STOPPED, "caller": STOPPED}, previous=stopped.status)
    assert list_wanted(again) == [("greeter", 2)]
    ready = look({"greeter": replace(READY, attempt=2), "caller": STOPPED}, previous=again.status)
    assert list_wanted(ready) == [("greeter", 2), ("caller", 2)]


def test_a_held_user_waits_while_its_server_runs():
    made = look({"greeter": READY}, holds={"caller": Hold(Reason.COURSE_SUSPENDED, "paused")})
    assert list_wanted(made) == [("greeter", 1)]
    assert (made.status.phase, made.status.reason) == (Phase.RUNNING, Reason.COURSE_SUSPENDED)


def test_a_step_that_is_held_says_why_itself_and_one_that_waits_for_others_does_not():
    hold = Hold(Reason.UPSTREAM_UNAVAILABLE, "this cluster has no KServe")
    stages = look({}, holds={"greeter": hold, "caller": hold}).status.stages
    told = {one.name: (one.phase, one.reason, one.message) for one in stages}
    assert told["greeter"] == (Phase.PENDING, Reason.UPSTREAM_UNAVAILABLE, "this cluster has no KServe")
    assert told["caller"] == (Phase.PENDING, None, "")


KEEP = {"serving": Serving(keep=True)}


def test_a_kept_server_stays_until_it_is_stopped():
    drawn = look({"greeter": READY, "caller": GREETED}, **KEEP)
    assert list_wanted(drawn) == [("greeter", 1), ("report", 1)]
    over = {"greeter": READY, "caller": GREETED, "report": DONE}
    kept = look(over, previous=drawn.status, **KEEP)
    assert list_wanted(kept) == [("greeter", 1)]
    assert (kept.status.phase, kept.status.reason) == (Phase.SERVING, Reason.SERVING)
    assert kept.status.message == f"every gate passed; serves greeter at {URL}"
    assert kept.status.gates_passed == "1/1"
    assert kept.status.completion_time == NOW.isoformat()
    later = NOW + dt.timedelta(days=9)
    restarted = look(over | {"greeter": DIED}, previous=kept.status, now=later, **KEEP)
    assert (list_wanted(restarted), restarted.status.phase) == ([("greeter", 2)], Phase.RUNNING)
    stopping = look(over, previous=kept.status, now=later, is_stop_requested=True, **KEEP)
    assert (list_wanted(stopping), stopping.status.phase) == ([], Phase.RUNNING)
    stopped = look(over | {"greeter": STOPPED}, stopping.status, later, is_stop_requested=True, **KEEP)
    assert (stopped.status.phase, stopped.status.completion_time) == (Phase.SUCCEEDED, NOW.isoformat())


def test_a_kept_server_that_fails_for_good_takes_nothing_from_what_was_proved():
    over = {"greeter": replace(DIED, attempt=4), "caller": GREETED, "report": DONE}
    assert look(over, **KEEP).status.phase is Phase.SUCCEEDED


SERVICE = {"unit": "service", **KEEP}
SERVICE_TABLE = {
    "the engine comes first": ({}, [("serve", 1)], Phase.RUNNING),
    "the gateway waits until it is ready": ({"serve": STARTING}, [("serve", 1)], Phase.RUNNING),
    "then both run": ({"serve": READY}, [("serve", 1), ("gateway", 1)], Phase.RUNNING),
    "the gateway is not ready yet": (
        {"serve": READY, "gateway": STARTING},
        [("serve", 1), ("gateway", 1)],
        Phase.RUNNING,
    ),
    "both serve": ({"serve": READY, "gateway": READY}, [("serve", 1), ("gateway", 1)], Phase.SERVING),
    "an engine that died is started again": ({"serve": DIED}, [("serve", 2)], Phase.RUNNING),
    "one that died too often fails the service": ({"serve": replace(DIED, attempt=4)}, [], Phase.FAILED),
    "as does one that cannot start": ({"serve": replace(DIED, reason=Reason.CONFIG_INVALID)}, [], Phase.FAILED),
}


@pytest.mark.parametrize(("steps", "wanted", "phase"), SERVICE_TABLE.values(), ids=SERVICE_TABLE)
def test_a_unit_of_servers_alone_waits_until_they_are_ready(steps, wanted, phase):
    made = look(steps, **SERVICE)
    assert (list_wanted(made), made.status.phase) == (wanted, phase)


def test_a_service_that_was_ready_once_has_done_its_work():
    serving = look({"serve": READY, "gateway": READY}, **SERVICE).status
    assert serving.completion_time is not None
    restarted = look({"serve": DIED, "gateway": READY}, previous=serving, **SERVICE)
    assert list_wanted(restarted) == [("serve", 2), ("gateway", 1)]
    stopped = look({"serve": STOPPED, "gateway": STOPPED}, previous=serving, is_stop_requested=True, **SERVICE)
    assert (list_wanted(stopped), stopped.status.phase) == ([], Phase.SUCCEEDED)


def test_a_server_that_died_too_often_and_was_taken_down_says_why():
    dying = replace(STARTING, restarts=4, message=f"runs and is not ready yet; {LAST_WORDS}no memory")
    shown = look({"greeter": dying}).status
    for _ in range(2):
        # It is taken down, and nothing is seen of it any more.
        shown = look({}, shown).status
        assert (shown.phase, shown.reason) == (Phase.FAILED, Reason.STAGE_CRASHED)
        assert shown.message == f"greeter: the server died 5 times; {LAST_WORDS}no memory"


def test_the_time_to_live_of_a_kept_server_counts_from_the_last_task():
    over = {"greeter": READY, "caller": GREETED, "report": DONE}
    spec = KEEP | {"ttl_seconds_after_finished": 60}
    first = look(over, **spec)
    within = look(over, first.status, NOW + dt.timedelta(seconds=59), **spec)
    after = look(over, first.status, NOW + dt.timedelta(seconds=60), **spec)
    assert [list_wanted(made) for made in (first, within, after)] == [[("greeter", 1)], [("greeter", 1)], []]


def test_what_exists_together_is_known_before_it_starts():
    steps = resolve_steps(build_weekjob())
    names = [[step.name for step in group] for group in list_coexisting(steps, keeps_servers=False)]
    assert names == [["greeter"], ["caller", "greeter"], ["report"]]
    names = [[step.name for step in group] for group in list_coexisting(steps, keeps_servers=True)]
    assert names == [["greeter"], ["caller", "greeter"], ["report", "greeter"]]


@pytest.mark.parametrize(
    ("unit", "serving", "said"),
    [
        ("data", {}, "unit data runs no server"),
        ("greetings", {"engine": "kserve"}, "serves no model that kserve could"),
        ("service", {"engine": "kserve", "minReplicas": 3, "maxReplicas": 2}, "3 is more than maxReplicas 2"),
        ("greetings", {"maxReplicas": 3}, "one replica"),
        ("greetings", {"minReplicas": 0}, "one replica"),
    ],
)
def test_serving_is_acted_on_or_refused(unit, serving, said):
    weekjob = WeekJob(metadata=Metadata(name="x"), spec=WeekJobSpec(unit=unit, serving=serving))
    with pytest.raises(ConfigError, match=said):
        resolve_steps(weekjob)


def test_an_option_names_only_a_server_that_its_step_needs():
    with pytest.raises(ConfigError, match="'step:report' names no server"):
        resolve_steps(build_weekjob(set={"caller.endpoint": "step:report"}))
