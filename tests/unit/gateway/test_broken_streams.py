"""Streams that an engine breaks off or garbles: the client gets an error, and no part of an answer as a whole one."""

from __future__ import annotations

import asyncio

import openai
import pytest
from aiohttp import web

from gateway_stand import HELLO, build_stand

GOOD = b'data: {"choices":[{"index":0,"delta":{"content":"a"}}]}\n\n'
ENDINGS = {
    "half an event": b'data: {"choices":[{"index":0,"del\n\n',
    "no last event": b"",
    "an event that does not end": b'data: {"choices":[',
}


async def serve_stream(ending):
    """Serve an engine whose streams all end like this; return its runner."""

    async def answer(request):
        return web.Response(body=GOOD + ending, content_type="text/event-stream")

    async def list_models(request):
        return web.json_response({"data": [{"id": "fake"}]})

    app = web.Application()
    app.router.add_post("/v1/chat/completions", answer)
    app.router.add_get("/v1/models", list_models)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_broken_stream_ends_with_an_error(tmp_path, ending):
    async def run():
        runner = await serve_stream(ENDINGS[ending])
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        async with build_stand(tmp_path, num_engines=0, upstreams=[{"name": "broken", "url": url}]) as stand:
            stream = await stand.client().chat.completions.create(model="fake", messages=HELLO, stream=True)
            with pytest.raises(openai.APIError, match="broke off"):
                [chunk async for chunk in stream]
        await runner.cleanup()

    asyncio.run(run())
