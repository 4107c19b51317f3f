"""Engines that come and go, weights that change: the gateway before real sockets loses no request."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import time
from pathlib import Path

import aiohttp
import openai
import pytest

import fake_engine
from fake_engine import MODEL, FakeEngine, Settings, serve_engine
from gateway_stand import HELLO, build_stand, find_port
from practicum_gateway.discovery import resolve_host

HOLD = {"hold_timeout_s": 20}


def chat(stand, **options):
    return stand.client().chat.completions.create(**{"model": MODEL, "messages": HELLO, "max_tokens": 5, **options})


async def read_demand(stand, name="engine-0"):
    async with aiohttp.ClientSession() as session, session.get(f"{stand.url}/scaling/{name}") as answer:
        assert answer.status == 200
        return await answer.json()


async def wait_for(claim, timeout_s=30.0):
    async with asyncio.timeout(timeout_s):
        while not claim():  # noqa: ASYNC110 - engines and gateway tell nobody
            await asyncio.sleep(0.02)


def write_table(path, *upstreams):
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps({"upstreams": upstreams}))
    partial.replace(path)


def test_requests_without_an_engine_are_held_until_one_is_there_and_counted(tmp_path):
    port = find_port()
    upstreams = [{"name": "engine-0", "url": f"http://127.0.0.1:{port}"}]

    async def run():
        async with build_stand(tmp_path, num_engines=0, upstreams=upstreams, hold_size=30, **HOLD) as stand:
            asked = [asyncio.create_task(chat(stand, stream=number % 2 == 0)) for number in range(30)]
            await wait_for(lambda: stand.gateway.hold.count("engine-0") == 30)
            demand = await read_demand(stand)
            assert (demand["load"], demand["held"], demand["ready"]) == (30, 30, 0)
            with pytest.raises(openai.InternalServerError) as full:
                await chat(stand)
            assert (full.value.body["code"], full.value.response.headers["retry-after"]) == ("hold_full", "5")
            async with serve_engine(FakeEngine(), port):
                answers = await asyncio.gather(*asked)
                for answer in answers[::2]:
                    assert len([chunk async for chunk in answer]) == 6
                demand = await read_demand(stand)
                assert (demand["load"], demand["ready"]) == (0, 1)
            # It was stopped: the next request waits again, however its connections end.
            waiting = asyncio.create_task(chat(stand))
            await wait_for(lambda: stand.gateway.hold.count("engine-0") == 1)
            async with serve_engine(FakeEngine(), port):
                assert (await waiting).usage.completion_tokens == 5

    asyncio.run(run())


def test_a_held_request_has_a_deadline_and_its_client_may_leave(tmp_path):
    async def run():
        upstreams = [{"name": "engine-0", "url": f"http://127.0.0.1:{find_port()}"}]
        options = {"upstreams": upstreams, "hold_timeout_s": 0.3, "limits": {"tokens_per_minute": 5000}}
        async with build_stand(tmp_path, num_engines=0, **options) as stand:
            with pytest.raises(openai.InternalServerError) as late:
                await chat(stand)
            assert (late.value.status_code, late.value.body["code"]) == (503, "hold_timeout")
            gone = asyncio.create_task(chat(stand))
            await wait_for(lambda: stand.gateway.hold.count("engine-0"))
            gone.cancel()
            await wait_for(lambda: not stand.gateway.hold.count("engine-0"), 0.2)
            meter = stand.gateway._keys.authenticate(f"Bearer {stand.secret}".encode()).meter
            await wait_for(lambda: not meter.num_open)
            assert (meter._tokens.remaining, meter.reserved_tokens) == (5000, 0)

    asyncio.run(run())


@contextlib.asynccontextmanager
async def ask_all_the_time(stand, answers, **options):
    """Ask with eight clients, each again at once; the length of each answer is kept."""
    is_over = False

    client = stand.client()

    async def ask():
        while not is_over:
            stream = await client.chat.completions.create(
                **{"model": MODEL, "messages": HELLO, "max_tokens": 3, "stream": True, **options}
            )
            answers.append(len([chunk async for chunk in stream]))

    clients = [asyncio.create_task(ask()) for _ in range(8)]
    try:
        yield
    finally:
        is_over = True
        await asyncio.gather(*clients)


def build_version(name):
    engine = FakeEngine(Settings(step_s=0.002))
    engine.models = [name]
    return engine


def test_replicas_of_a_headless_service_come_and_go_under_load(tmp_path):
    """Engines on several addresses of loopback, as pods are behind one name."""
    addresses, port, answers = [], find_port(), []

    async def resolve(host):
        assert host == "engines.student-01.svc"
        return list(addresses)

    async def run():
        upstreams = [{"name": "engine-0", "url": f"http://engines.student-01.svc:{port}/v1", "discover": True}]
        options = {"num_engines": 0, "upstreams": upstreams, "resolve": resolve, **HOLD}
        async with contextlib.AsyncExitStack() as stack:
            stand = await stack.enter_async_context(build_stand(tmp_path, **options))
            engines = {host: FakeEngine(Settings(step_s=0.005)) for host in ("127.0.0.2", "127.0.0.3")}
            for host, engine in engines.items():
                await stack.enter_async_context(serve_engine(engine, port, host))
            await stack.enter_async_context(ask_all_the_time(stand, answers))
            await wait_for(lambda: stand.gateway.hold.count("engine-0") == 8)
            addresses.extend(engines)
            await wait_for(lambda: all(engine.bodies for engine in engines.values()))
            addresses.remove("127.0.0.2")
            await wait_for(lambda: len(stand.gateway.pool.upstreams) == 1)
            num = len(answers)
            await wait_for(lambda: len(answers) > num + 20)
            addresses.clear()
            await wait_for(lambda: stand.gateway.hold.count("engine-0") == 8)
            assert (await read_demand(stand))["load"] == 8
            addresses.append("127.0.0.3")
            await wait_for(lambda: not stand.gateway.hold.count("engine-0"))
        assert set(answers) == {4}

    asyncio.run(run())


def test_a_new_version_takes_over_under_load_without_a_failed_request(tmp_path):
    """First a tenth of the requests, then all; the old engine goes when it is idle."""
    path, answers = tmp_path / "upstreams.json", []
    old, new = build_version("v1"), build_version("v2")

    async def change(*upstreams):
        write_table(path, *upstreams)
        await asyncio.sleep(0.7)

    async def run():
        async with serve_engine(new) as new_url, contextlib.AsyncExitStack() as old_engine:
            old_url = await old_engine.enter_async_context(serve_engine(old))
            first = {"name": "v1", "url": old_url, "aliases": {"ticket-model": "v1"}}
            second = {"name": "v2", "url": new_url, "aliases": {"ticket-model": "v2"}}
            write_table(path, first)
            async with (
                build_stand(tmp_path, num_engines=0, upstreams_file=str(path)) as stand,
                ask_all_the_time(stand, answers, model="ticket-model"),
            ):
                await wait_for(lambda: len(old.bodies) > 50)
                await change(first, {**second, "canary_share": 0.1})
                num_old, num_new = len(old.bodies), len(new.bodies)
                await wait_for(lambda: len(old.bodies) > num_old + 100)
                share = (len(new.bodies) - num_new) / (len(new.bodies) - num_new + len(old.bodies) - num_old)
                assert share == pytest.approx(0.1, abs=0.03)
                path.write_text("{")
                await change({**first, "weight": 0}, second)
                num_old = len(old.bodies)
                await wait_for(lambda: not stand.gateway.pool.services["v1"].replicas[0].num_open)
                await old_engine.aclose()
                await change(second)
                assert len(old.bodies) == num_old
                assert [model.id async for model in stand.client().models.list()] == ["v2", "ticket-model"]

    asyncio.run(run())
    assert {body["model"] for body in new.bodies} == {"v2"}
    assert set(answers) == {4}


def test_an_engine_that_is_killed_costs_no_more_than_the_answers_that_it_had_begun(tmp_path):
    outcomes, num_before, num_lost = [], 0, 0

    def start(port):
        command = [sys.executable, Path(fake_engine.__file__), str(port), "0.01"]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL)

    async def ask(client, number, ends_s):
        while time.monotonic() < ends_s:
            messages = [{"role": "user", "content": f"{number} {len(outcomes)} hello"}]
            try:
                stream = await client.chat.completions.create(
                    model=MODEL, messages=messages, max_tokens=20, stream=True
                )
                outcomes.append(len([chunk async for chunk in stream]))
            except openai.APIError as error:
                outcomes.append(error.code)

    async def run():
        nonlocal num_before, num_lost
        ports = [find_port(), find_port()]
        engines = [start(port) for port in ports]
        try:
            upstreams = [{"name": f"e{port}", "url": f"http://127.0.0.1:{port}"} for port in ports]
            async with build_stand(tmp_path, num_engines=0, upstreams=upstreams) as stand:
                pool, client = stand.gateway.pool, stand.client()
                await wait_for(lambda: all(one.is_known for one in pool.upstreams), 20)
                clients = [asyncio.create_task(ask(client, number, time.monotonic() + 3)) for number in range(16)]
                await wait_for(lambda: len(outcomes) > 40)
                num_before, num_lost = len(outcomes), pool.upstreams[0].num_open
                engines[0].kill()
                await asyncio.gather(*clients)
                assert not pool.upstreams[0].num_open
        finally:
            for engine in engines:
                engine.kill()
                engine.wait()

    asyncio.run(run())
    failed = [outcome for outcome in outcomes if outcome != 21]
    # The others were answered by the other engine.
    assert set(failed) <= {"upstream_broke_off"}
    assert len(failed) <= num_lost
    assert len(outcomes) > num_before + 16


def test_a_host_is_looked_up_by_the_system():
    assert "127.0.0.1" in asyncio.run(resolve_host("localhost"))
    assert asyncio.run(resolve_host("10.1.2.3")) == ["10.1.2.3"]


def test_an_unknown_service_has_no_demand(tmp_path):
    async def run():
        async with (
            build_stand(tmp_path) as stand,
            aiohttp.ClientSession() as session,
            session.get(f"{stand.url}/scaling/none") as answer,
        ):
            assert answer.status == 404
            asked = asyncio.create_task(chat(stand, max_tokens=300))
            await wait_for(lambda: stand.engine.running)
            demand = await read_demand(stand)
            assert (demand["load"], demand["open"], demand["engine_running"], demand["ready"]) == (1, 1, 1, 1)
            await asked

    asyncio.run(run())
