"""Clients that go away at each stage of a request, streamed and not: the engine is idle within a second.

The same on vLLM itself is in ``test_serve_command.py``.
"""

from __future__ import annotations

import asyncio
import json

import pytest

from fake_engine import MODEL, Settings
from gateway_stand import HELLO, build_stand

ONE_AT_A_TIME = {"initial_concurrency": 1, "min_concurrency": 1, "max_concurrency": 1}
LIMITS = {"tokens_per_minute": 10**6}
STAGES = {
    "in the body": ({}, {}),
    "in the gateway's queue": ({}, ONE_AT_A_TIME),
    "in the engine's queue": ({"max_running": 1}, {}),
    "before the first token": ({"prefill_s_per_token": 0.2}, {}),
    "in the answer": ({}, {}),
}


async def open_request(stand, *, is_streamed, is_whole=True):
    """Send a request, or its beginning; return the connection."""
    body = json.dumps({"model": MODEL, "messages": HELLO, "max_tokens": 400, "stream": is_streamed}).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {stand.secret}\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", stand.port)
    writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + (body if is_whole else body[:20]))
    await writer.drain()
    return reader, writer


async def wait_until(condition, timeout_s=20.0):
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110 - nothing tells it
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("leaves", ["closes", "resets"])
@pytest.mark.parametrize("is_streamed", [True, False], ids=["streamed", "whole"])
@pytest.mark.parametrize("stage", STAGES)
def test_the_engine_is_free_when_its_client_is_gone(tmp_path, stage, is_streamed, leaves):
    settings, options = STAGES[stage]
    has_other = stage.endswith("queue")

    async def run():
        async with build_stand(tmp_path, Settings(step_s=0.02, **settings), limits=LIMITS, **options) as stand:
            engine, turnstile = stand.engine, stand.gateway.turnstile
            if has_other:
                _, other = await open_request(stand, is_streamed=is_streamed)
                await wait_until(lambda: engine.running)
            reader, writer = await open_request(stand, is_streamed=is_streamed, is_whole=stage != "in the body")
            reached = {
                "in the body": lambda: stand.server.server_state.connections,
                "in the gateway's queue": lambda: turnstile.num_waiting == 1,
                "in the engine's queue": lambda: len(engine.waiting) == 1,
                "before the first token": lambda: engine.running and not engine.num_generated,
                "in the answer": lambda: engine.num_generated > 3,
            }
            await wait_until(reached[stage])
            if stage == "in the answer" and is_streamed:
                await reader.readuntil(b"t2 ")
            if leaves == "resets":
                writer.transport.abort()
            else:
                writer.close()
            await wait_until(lambda: (len(engine.running), len(engine.waiting)) == (has_other, 0))
            await wait_until(lambda: turnstile.num_open == has_other and not turnstile.num_waiting)
            assert engine.num_aborted == (stage not in {"in the body", "in the gateway's queue"})
            if has_other:
                other.close()
                await stand.wait_until_idle()
            await wait_until(lambda: not any(stand.count_left().values()))
            await wait_until(lambda: not stand.server.server_state.connections)
            assert stand.gateway.counters.totals.num_clients_gone == 1 + has_other
            # It is no failure of the engine.
            assert not stand.gateway.pool.upstreams[0].breaker._outcomes

    asyncio.run(run())
