"""What a request is charged that does not end well: all that it reserved once an engine has it, and nothing before."""

from __future__ import annotations

import asyncio
import contextlib
import json

import openai
import pytest
from aiohttp import web

from fake_engine import MODEL, Settings
from gateway_stand import HELLO, build_stand, find_port

SLOW = Settings(step_s=0.05, prefill_s_per_token=0.05)
LIMIT = 5000


def get_meter(stand):
    return stand.gateway._keys.authenticate(f"Bearer {stand.secret}".encode()).meter


def chat(stand, **options):
    options = {"model": MODEL, "messages": HELLO, "max_tokens": 200, **options}
    return stand.client().chat.completions.create(**options)


async def count_charged(stand):
    """Return the tokens that the key was charged."""
    await stand.wait_until_idle()
    async with asyncio.timeout(20):
        while get_meter(stand).num_open:  # noqa: ASYNC110 - the meter tells nobody
            await asyncio.sleep(0.01)
    return LIMIT - get_meter(stand)._tokens.remaining


def run_on_stand(folder, test, **options):
    async def run():
        async with build_stand(folder, limits={"tokens_per_minute": LIMIT}, **options) as stand:
            return await test(stand)

    return asyncio.run(run())


@pytest.mark.parametrize("is_streamed", [False, True], ids=["in one piece", "before the first token"])
def test_a_client_that_leaves_an_engine_at_work_is_charged_its_reservation(tmp_path, is_streamed):
    async def test(stand):
        asked = asyncio.create_task(chat(stand, stream=is_streamed))
        async with asyncio.timeout(20):
            while not stand.engine.running:  # noqa: ASYNC110 - the engine tells nobody
                await asyncio.sleep(0.01)
        reserved = get_meter(stand).reserved_tokens
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)
        assert await count_charged(stand) == reserved > 200

    run_on_stand(tmp_path, test, settings=SLOW)


def test_a_deadline_at_the_engine_is_charged_its_reservation(tmp_path):
    async def test(stand):
        with pytest.raises(openai.InternalServerError, match="not complete within"):
            await chat(stand, extra_headers={"x-request-timeout-ms": "200"})
        assert await count_charged(stand) > 200

    run_on_stand(tmp_path, test, settings=SLOW)


@pytest.mark.parametrize("fault", ["unreachable", "busy"])
def test_what_no_engine_worked_on_is_free(tmp_path, fault):
    async def test(stand):
        if fault == "unreachable":
            stand.gateway.pool.upstreams[0].url = f"http://127.0.0.1:{find_port()}"
        with pytest.raises(openai.InternalServerError):
            await chat(stand, extra_body={"fault": fault})
        assert await count_charged(stand) == 0

    run_on_stand(tmp_path, test)


def build_event(num_tokens):
    usage = {"prompt_tokens": 3, "completion_tokens": num_tokens, "total_tokens": 3 + num_tokens}
    event = {"choices": [{"index": 0, "delta": {"content": "t"}}], "usage": usage}
    return b"data: " + json.dumps(event).encode() + b"\n\n"


@contextlib.asynccontextmanager
async def serve_stream(*events):
    """Serve an engine that streams these events and then, where the last is not [DONE], says nothing more."""

    async def answer(request):
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for event in events:
            await response.write(event)
        if events[-1] != b"data: [DONE]\n\n":
            await asyncio.sleep(3600)
        return response

    app = web.Application()
    app.router.add_post("/v1/chat/completions", answer)
    runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def test_a_stream_that_was_left_is_not_charged_by_its_last_partial_count(tmp_path):
    async def test(stand):
        async with serve_stream(build_event(1), build_event(2)) as url:
            stand.gateway.pool.upstreams[0].url = url
            stream = await chat(stand, stream=True)
            await anext(aiter(stream))
            reserved = get_meter(stand).reserved_tokens
            await stream.close()
            assert await count_charged(stand) == reserved > 200
        async with serve_stream(build_event(1), build_event(2), b"data: [DONE]\n\n") as url:
            stand.gateway.pool.upstreams[0].url = url
            assert len([chunk async for chunk in await chat(stand, stream=True)]) == 2
            assert await count_charged(stand) == reserved + 5

    run_on_stand(tmp_path, test)


def test_a_text_completion_without_max_tokens_reserves_and_gets_the_usual_ones(tmp_path):
    async def test(stand):
        extra = {"max_completion_tokens": 1}
        answer = await stand.client().completions.create(model=MODEL, prompt="hello", extra_body=extra)
        assert stand.engine.bodies[-1]["max_tokens"] == 7
        assert await count_charged(stand) == answer.usage.total_tokens

    run_on_stand(tmp_path, test, default_max_tokens=7)
