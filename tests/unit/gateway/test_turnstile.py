"""The way to the engines: no place is lost or given twice, whatever happens to those who wait."""

from __future__ import annotations

import asyncio
import random
import time

import pytest

from practicum_gateway.errors import ApiError
from practicum_gateway.gradient import GradientLimiter, GradientSettings
from practicum_gateway.queue import FairQueue
from practicum_gateway.turnstile import Turnstile


def build_turnstile(limit=1, queue_size=4, timeout_s=5.0):
    limiter = GradientLimiter(GradientSettings(initial=limit, minimum=limit, maximum=limit))
    return Turnstile(limiter, FairQueue(queue_size, time.monotonic), timeout_s, time.monotonic)


async def settle():
    for _ in range(5):
        await asyncio.sleep(0)


def test_the_next_one_enters_when_one_leaves():
    async def run():
        turnstile = build_turnstile()
        await turnstile.enter("a", 5, 5)
        second = asyncio.create_task(turnstile.enter("b", 5, 5))
        await settle()
        assert (turnstile.num_open, turnstile.num_waiting, second.done()) == (1, 1, False)
        turnstile.leave()
        await second
        assert (turnstile.num_open, turnstile.num_waiting) == (1, 0)

    asyncio.run(run())


def test_one_that_goes_away_in_the_moment_of_its_turn_passes_it_on():
    async def run():
        turnstile = build_turnstile()
        await turnstile.enter("a", 5, 5)
        second, third = (asyncio.create_task(turnstile.enter(owner, 5, 5)) for owner in "bc")
        await settle()
        turnstile.leave()
        second.cancel()
        await third
        assert second.cancelled()
        assert (turnstile.num_open, turnstile.num_waiting) == (1, 0)

    asyncio.run(run())


def test_one_that_gives_way_is_told_that_the_queue_is_full():
    async def run():
        turnstile = build_turnstile(queue_size=1)
        await turnstile.enter("a", 5, 5)
        usual = asyncio.create_task(turnstile.enter("b", 5, 5))
        await settle()
        urgent = asyncio.create_task(turnstile.enter("c", 0, 5))
        with pytest.raises(ApiError) as refused:
            await usual
        assert (refused.value.status, refused.value.code) == (503, "queue_full")
        turnstile.leave()
        await urgent

    asyncio.run(run())


@pytest.mark.parametrize("seed", range(3))
def test_places_are_neither_lost_nor_given_twice(seed):
    rng = random.Random(seed)
    inside = most = entered = 0

    async def visit(turnstile):
        nonlocal inside, most, entered
        try:
            await turnstile.enter(rng.choice("abc"), rng.randrange(3), rng.choice((0.001, 0.01, 5)))
        except ApiError:
            return
        entered += 1
        inside += 1
        most = max(most, inside)
        try:
            await asyncio.sleep(rng.random() / 500)
        finally:
            inside -= 1
            turnstile.leave()

    async def run():
        turnstile = build_turnstile(limit=3, queue_size=20)
        visits = []
        for _ in range(400):
            visits.append(asyncio.create_task(visit(turnstile)))
            if rng.random() < 0.3:
                rng.choice(visits).cancel()
            if rng.random() < 0.2:
                await asyncio.sleep(0.001)
        await asyncio.gather(*visits, return_exceptions=True)
        assert (turnstile.num_open, turnstile.num_waiting) == (0, 0)

    asyncio.run(run())
    assert most == 3
    assert entered > 50
