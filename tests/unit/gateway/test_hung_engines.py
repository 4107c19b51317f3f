"""Engines that accept requests and do not answer them, or tell their failure inside a stream, are left out."""

from __future__ import annotations

import asyncio
import json

import openai
import pytest

from fake_engine import MODEL, Settings
from gateway_stand import HELLO, build_stand
from practicum_gateway.event_stream import EventStream

OPTIONS = {"slow_first_token_s": 0.4, "slow_token_s": 0.01, "breaker_min_requests": 2, "breaker_open_s": 60}


async def give_up(stand, how, timeout_ms, *, is_streamed):
    """Ask an engine that never answers, until the deadline or the client ends it."""
    headers = {"x-request-timeout-ms": str(timeout_ms if how == "deadline" else 10_000)}
    ask = stand.client().chat.completions.create(
        model=MODEL, messages=HELLO, max_tokens=5, stream=is_streamed, extra_headers=headers
    )
    if how == "deadline":
        with pytest.raises(openai.InternalServerError, match="not complete within"):
            await ask
    else:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(ask, timeout_ms / 1000)
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("how", ["deadline", "client gone"])
@pytest.mark.parametrize("is_streamed", [True, False], ids=["streamed", "in one piece"])
@pytest.mark.parametrize(("timeout_ms", "may_pass"), [(600, False), (50, True)])
def test_an_engine_that_never_answers_is_left_out(tmp_path, how, is_streamed, timeout_ms, may_pass):
    async def run():
        async with build_stand(tmp_path, **OPTIONS) as stand:
            stand.engine.fault = "silent"
            for _ in range(2):
                await give_up(stand, how, timeout_ms, is_streamed=is_streamed)
            # A client that leaves early says nothing about the engine.
            assert stand.gateway.pool.upstreams[0].breaker.may_pass is may_pass

    asyncio.run(run())


def test_a_long_answer_in_one_piece_has_time_for_each_of_its_tokens(tmp_path):
    async def run():
        settings = Settings(step_s=0.02)
        async with build_stand(tmp_path, settings, **{**OPTIONS, "slow_token_s": 0.04}) as stand:
            for _ in range(2):
                answer = await stand.client().chat.completions.create(model=MODEL, messages=HELLO, max_tokens=40)
                assert answer.usage.completion_tokens == 40
            assert stand.gateway.pool.upstreams[0].breaker.may_pass

    asyncio.run(run())


@pytest.mark.parametrize(("code", "has_failed"), [(500, True), (None, True), (400, False)])
def test_an_error_inside_a_stream_is_the_engines_unless_the_request_was_wrong(code, has_failed):
    stream = EventStream(hides_usage=False)
    event = b"data: " + json.dumps({"error": {"message": "no", "code": code}}).encode() + b"\n\n"
    assert stream.feed(event) == event
    assert stream.has_failed is has_failed
