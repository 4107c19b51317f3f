"""Readiness follows what a client would get, a real answer, and no port and no list of models."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest

from fake_engine import Settings
from gateway_stand import HELLO, build_stand
from practicum_gateway import answering


async def ask_ready(stand, path="/readyz"):
    async with aiohttp.ClientSession() as session, session.get(stand.url + path) as answer:
        return answer.status, await answer.json()


def count_own(stand):
    """Count the requests that the gateway made for itself."""
    named = [{name.lower(): value for name, value in headers.items()} for headers in stand.engine.headers]
    return sum(headers.get("x-request-id") == "practicum-probe" for headers in named)


def run_with(tmp_path, check, **options):
    async def run():
        async with build_stand(tmp_path, **options) as stand:
            await check(stand)

    asyncio.run(run())


@pytest.mark.parametrize("fault", ["silent", "broken", "html-502", "moved", "reset"])
def test_an_engine_that_tells_its_models_and_does_not_answer_makes_the_gateway_unready(tmp_path, monkeypatch, fault):
    monkeypatch.setattr(answering, "FRESH_S", 0.0)

    async def check(stand):
        assert (await ask_ready(stand))[0] == 200
        stand.engine.fault = fault
        for _ in range(20):
            status, told = await ask_ready(stand)
            if status == 503:
                break
            await asyncio.sleep(0.05)
        assert (status, told["error"]["code"]) == (503, "not_answering")
        assert stand.gateway.pool.is_known
        assert [(await ask_ready(stand, path))[0] for path in ("/healthz", "/startupz")] == [200, 200]
        stand.engine.fault = None
        while (await ask_ready(stand))[0] != 200:  # noqa: ASYNC110 - the gateway tells nobody
            await asyncio.sleep(0.05)

    run_with(tmp_path, check, probe_timeout_s=0.3, breaker_min_requests=1000)


def test_nothing_is_asked_while_clients_get_answers(tmp_path):
    async def check(stand):
        await stand.client().chat.completions.create(model="fake", messages=HELLO, max_tokens=2)
        assert [(await ask_ready(stand))[0] for _ in range(3)] == [200, 200, 200]
        assert count_own(stand) == 0

    run_with(tmp_path, check)


def test_one_question_is_enough_for_several_who_want_to_know(tmp_path):
    async def check(stand):
        assert {status for status, _ in await asyncio.gather(*(ask_ready(stand) for _ in range(8)))} == {200}
        assert count_own(stand) == 1

    run_with(tmp_path, check, settings=Settings(step_s=0.05))


def test_a_slow_engine_does_not_hold_a_probe_longer_than_it_waits(tmp_path, monkeypatch):
    monkeypatch.setattr(answering, "_FIRST_WAIT_S", 0.5)

    async def check(stand):
        loop = asyncio.get_running_loop()
        started_s = loop.time()
        assert (await ask_ready(stand))[0] == 503
        assert loop.time() - started_s < 3.5
        while (await ask_ready(stand))[0] != 200:  # noqa: ASYNC110 - the gateway tells nobody
            await asyncio.sleep(0.05)

    run_with(tmp_path, check, settings=Settings(step_s=4.0))


def test_a_gateway_with_a_ladder_that_was_ready_stays_so(tmp_path, monkeypatch):
    monkeypatch.setattr(answering, "FRESH_S", 0.0)

    async def check(stand):
        assert (await ask_ready(stand))[0] == 200
        stand.engine.fault = "broken"
        await asyncio.sleep(0.1)
        assert (await ask_ready(stand))[0] == 200

    run_with(tmp_path, check, ladder=True, knowledge="builtin:tickets")
