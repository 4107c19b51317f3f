"""An experiment from its steady state to its end: a real gateway, real client processes, a real process to stop."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import time

import aiohttp
import psutil
import pytest

from fake_engine import FakeEngine, serve_engine
from gateway_stand import build_stand
from practicum_core.errors import ConfigError, Stopped
from practicum_core.layout import RunLayout
from practicum_core.rungs import Rung
from practicum_core.stages.experiments import Experiment
from practicum_jobs.chaos.actions import act
from practicum_jobs.chaos.local_servers import LocalServers
from practicum_jobs.chaos.runner import Runner
from practicum_jobs.chaos.traffic import Traffic
from practicum_jobs.chaos.world import Addresses, World
from practicum_jobs.load.fleet import Target, start_fleet
from practicum_jobs.load.prompts import Prompt
from practicum_runtime.child_note import write_child_note

PROMPTS = [Prompt(({"role": "user", "content": "How long does a refund take?"},))]
LADDER = {
    "ladder": True,
    "knowledge": "builtin:tickets",
    "ladder_up_s": 0.3,
    "ladder_window_s": 0.5,
    "ladder_settle_s": 0.5,
    "probe_s": 0.1,
    "probe_timeout_s": 0.5,
}


@pytest.fixture
def run_layout(tmp_path):
    return RunLayout(tmp_path / "run")


@pytest.fixture
def sleeper(run_layout):
    """A process that stands for the server ``engine`` of the run."""
    layout = run_layout.stage("engine")
    layout.root.mkdir(parents=True)
    layout.port.write_text('{"port": 4000}')
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as process:
        write_child_note(layout, process.pid, 1)
        yield psutil.Process(process.pid)
        process.kill()


def build_experiment(seconds=1.0, func="hang", **settings):
    activity = {
        "name": "break it",
        "provider": {"func": func, "arguments": {"step": "engine"}},
        "pauses": {"after": seconds},
    }
    configuration = {"steady_s": 0.3, "recovery_s": 1.0, **settings}
    return Experiment.model_validate({"title": "an experiment", "configuration": configuration, "method": [activity]})


async def wait_until_stopped(process):
    async with asyncio.timeout(20):
        while process.status() != psutil.STATUS_STOPPED:  # noqa: ASYNC110 - a process wakes nobody
            await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def build_runner(tmp_path, run_layout, is_stop_requested=lambda: False, steady_timeout_s=30.0):
    engine = FakeEngine()
    async with contextlib.AsyncExitStack() as stack:
        url = await stack.enter_async_context(serve_engine(engine))
        upstreams = [{"name": "engine", "url": url}]
        stand = await stack.enter_async_context(build_stand(tmp_path, num_engines=0, upstreams=upstreams, **LADDER))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        world = World(LocalServers(run_layout, "chaos"), session, Addresses(stand.url, stand.secret, model="fake"))
        target = Target(
            f"{stand.url}/v1/chat/completions", stand.secret, "fake", is_chat=True, ignore_eos=True, timeout_s=5.0
        )
        zero_s = time.monotonic()
        fleet = await stack.enter_async_context(start_fleet(target, 1, zero_s))
        traffic = Traffic(fleet, PROMPTS, 20.0, 4, 5.0, 7)
        await traffic.start()
        yield Runner(world, traffic, steady_timeout_s, zero_s, is_stop_requested), stand


def test_a_fault_is_made_measured_and_taken_back(tmp_path, run_layout, sleeper):
    states = []

    async def run():
        async with build_runner(tmp_path, run_layout) as (runner, _):
            running = asyncio.create_task(runner.run(0, build_experiment()))
            while not running.done():
                states.append(sleeper.status())
                await asyncio.sleep(0.05)
            return running.result()

    course = asyncio.run(run())
    assert course.was_steady
    assert psutil.STATUS_STOPPED in states
    assert sleeper.status() != psutil.STATUS_STOPPED
    assert course.left_behind == []
    assert round(course.undone_s - course.fault_s, 3) >= 1.0  # both are rounded
    assert all(one.is_met for one in course.probed)
    assert len(course.samples) >= 20
    assert all(sample.is_ok and not sample.rung for sample in course.samples)


def test_what_is_not_steady_is_not_broken(tmp_path, run_layout, sleeper):
    async def run():
        (tmp_path / "gateway-rung.json").write_text(json.dumps({"rung": "short"}))
        async with build_runner(tmp_path, run_layout, steady_timeout_s=1.0) as (runner, _):
            return await runner.run(0, build_experiment())

    course = asyncio.run(run())
    assert not course.was_steady
    assert course.fault_s is None
    assert course.samples == []
    assert [one.shown for one in course.probed if not one.is_met] == ["short", "0.0"]
    assert sleeper.status() != psutil.STATUS_STOPPED


def test_a_stop_in_the_middle_takes_the_fault_back(tmp_path, run_layout, sleeper):
    asked = []

    async def run():
        async with build_runner(tmp_path, run_layout, lambda: bool(asked)) as (runner, _):
            running = asyncio.create_task(runner.run(0, build_experiment(30.0)))
            await wait_until_stopped(sleeper)
            asked.append(True)
            with pytest.raises(Stopped):
                await running

    asyncio.run(run())
    assert sleeper.status() != psutil.STATUS_STOPPED


def test_degraded_answers_are_told_from_full_ones_and_the_ladder_is_followed(tmp_path, run_layout, sleeper):
    async def run():
        async with build_runner(tmp_path, run_layout) as (runner, stand):
            running = asyncio.create_task(runner.run(0, build_experiment(recovery_s=3.0)))
            await wait_until_stopped(sleeper)
            stand.gateway.degradation.ladder.pin(Rung.EXTRACT)
            await asyncio.sleep(0.8)
            stand.gateway.degradation.ladder.pin(None)
            return await running

    course = asyncio.run(run())
    assert {sample.rung for sample in course.samples} >= {"", "extract"}
    assert course.changes[0].reason == "manual"
    assert course.last_rung is Rung.FULL


def test_only_servers_of_the_own_run_are_targets(tmp_path, run_layout, sleeper):
    async def run():
        async with aiohttp.ClientSession() as session:
            world = World(LocalServers(run_layout, "chaos"), session, Addresses("http://127.0.0.1:9"))
            with pytest.raises(ConfigError, match=r"'engin' is no server of this run.*did you mean 'engine'"):
                await act("kill", world, {"step": "engin"})
            with pytest.raises(ConfigError, match="argument"):
                await act("kill", world, {"stage": "engine"})
            with pytest.raises(ConfigError, match="no fault proxy"):
                await act("break_answers", world, {"kind": "errors"})
            with pytest.raises(ConfigError, match="kind"):
                await act("break_answers", world, {"kind": "earthquake"})

    asyncio.run(run())
    assert sleeper.is_running()


def test_a_kill_that_nobody_repairs_is_told_with_what_to_do(tmp_path, run_layout, sleeper, monkeypatch):
    monkeypatch.setattr("practicum_jobs.chaos.local_servers._RESTART_S", 0.5)

    async def run():
        async with build_runner(tmp_path, run_layout) as (runner, _):
            return await runner.run(0, build_experiment(0.2, func="kill"))

    course = asyncio.run(run())
    [left] = course.left_behind
    assert left.startswith("engine was killed (")
    assert "start the run again" in left
