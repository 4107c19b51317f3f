"""Requests that no client should send, many at a time: the gateway neither fails nor leaks, and lets nobody in.

``PRACTICUM_FUZZ_REQUESTS=24000`` sends that many instead of 2,400.
"""

from __future__ import annotations

import asyncio
import collections
import gc
import os
import random

import psutil

from bad_requests import build_request, send
from fake_engine import MODEL, Settings
from gateway_stand import HELLO, build_stand

NUM_REQUESTS = int(os.environ.get("PRACTICUM_FUZZ_REQUESTS", "2400"))
NUM_AT_ONCE = 48
NUM_ROUNDS = 3
MAX_GROWTH_BYTES = 24 << 20
BOUNDS = {"max_header_bytes": 8192, "max_body_bytes": 16384, "header_timeout_s": 0.5, "body_timeout_s": 0.5}
LIMITS = {"tokens_per_minute": 10**9}


async def send_some(stand, seed, count, statuses):
    rng = random.Random(seed)
    for _ in range(count):
        request = build_request(rng, stand.secret)
        status = await send(stand.port, request)
        statuses[status] += 1
        assert status < 500 or status == 504, request


async def settle(stand):
    """Wait until nothing is open, and return what a leak would make grow: memory (bytes), files and tasks."""
    await stand.wait_until_idle(5.0)
    async with asyncio.timeout(5.0):
        while stand.server.server_state.connections:  # noqa: ASYNC110 - nothing tells it
            await asyncio.sleep(0.05)
    await asyncio.sleep(0.2)
    assert not any(stand.count_left().values()), stand.count_left()
    stand.engine.bodies.clear()
    stand.engine.headers.clear()
    gc.collect()
    process = psutil.Process()
    return process.memory_info().rss, process.num_fds(), len(asyncio.all_tasks())


def test_no_request_makes_the_gateway_fail_or_leak(tmp_path):
    statuses = collections.Counter()

    async def run():
        async with build_stand(tmp_path, Settings(step_s=0.001), limits=LIMITS, **BOUNDS) as stand:
            seen = []
            for number in range(NUM_ROUNDS):
                count = NUM_REQUESTS // NUM_AT_ONCE // NUM_ROUNDS
                seeds = range(number * NUM_AT_ONCE, (number + 1) * NUM_AT_ONCE)
                await asyncio.gather(*(send_some(stand, seed, count, statuses) for seed in seeds))
                seen.append(await settle(stand))
            memory, files, tasks = zip(*seen, strict=True)
            assert memory[-1] - memory[0] < MAX_GROWTH_BYTES
            # Connections to the engine are kept for a while, as many as were open at once.
            assert files[-1] <= files[0] + NUM_AT_ONCE
            assert tasks[-1] <= tasks[0] + NUM_AT_ONCE
            answer = await stand.client().chat.completions.create(model=MODEL, messages=HELLO, max_tokens=2)
            assert answer.usage.completion_tokens == 2

    asyncio.run(run())
    # Every kind of refusal was met, and requests that were right were answered.
    assert statuses[200] > NUM_REQUESTS / 20
    assert {0, 400, 401, 404, 405, 408, 413, 431} <= set(statuses), statuses


def test_no_request_without_a_key_reaches_an_engine(tmp_path):
    async def run():
        statuses = collections.Counter()
        async with build_stand(tmp_path, Settings(step_s=0.001), **BOUNDS) as stand:
            rng = random.Random(0)
            while statuses.total() < NUM_REQUESTS / 4:
                requests = [build_request(rng, stand.secret) for _ in range(2 * NUM_AT_ONCE)]
                keyless = [request for request in requests if not request.has_key and request.manner != "drip"]
                statuses.update(await asyncio.gather(*(send(stand.port, request) for request in keyless)))
            assert not stand.engine.bodies
            assert statuses[401] > statuses.total() / 8

    asyncio.run(run())
