"""The work queue under a clock of the test's own."""

from __future__ import annotations

import asyncio

import pytest

from practicum_controller.queue import MAX_BACKOFF_S, WorkQueue


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def run(body):
    asyncio.run(asyncio.wait_for(body(), 30))


def test_a_key_is_handed_out_once_however_often_it_is_woken(clock):
    async def body():
        queue = WorkQueue(clock)
        for _ in range(3):
            queue.add("a")
        assert await queue.take() == "a"
        assert len(queue) == 1
        queue.done("a")
        assert len(queue) == 0

    run(body)


def test_a_key_woken_during_work_comes_again_after_it_and_not_before(clock):
    async def body():
        queue = WorkQueue(clock)
        queue.add("a")
        await queue.take()
        queue.add("a")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(queue.take(), 0.01)
        queue.done("a")
        assert await queue.take() == "a"

    run(body)


def test_faults_come_again_later_each_time(clock):
    async def body():
        queue = WorkQueue(clock)
        queue.add("a")
        delays = []
        for _ in range(10):
            await queue.take()
            queue.done("a", is_fault=True)
            before = clock.now
            while not queue._ready:
                queue._promote()
                clock.now += 0.25
            delays.append(clock.now - before)
        assert delays == sorted(delays)
        assert delays[0] < 1
        assert delays[-1] <= MAX_BACKOFF_S + 0.5

    run(body)


def test_the_earlier_of_two_times_counts(clock):
    async def body():
        queue = WorkQueue(clock)
        queue.add_later("a", 60)
        queue.add_later("a", 5)
        queue.add_later("a", 30)
        clock.now = 5
        assert await queue.take() == "a"
        queue.done("a")
        clock.now = 100
        assert queue._promote() is None
        assert not queue._ready

    run(body)
