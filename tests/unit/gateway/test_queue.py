"""The queue: priorities, turns of owners, deadlines, and who gives way when it is full."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manual_clock import ManualClock
from practicum_gateway.queue import FairQueue


@pytest.fixture
def clock():
    return ManualClock()


def drain(queue):
    items = []
    while (item := queue.pop()) is not None:
        items.append(item)
    return items


def test_important_ones_come_first_and_others_in_order(clock):
    queue = FairQueue(10, clock)
    for number, priority in enumerate((5, 1, 5, 0)):
        queue.push(number, "a", priority, 10)
    assert drain(queue) == [3, 1, 0, 2]


def test_owners_take_turns(clock):
    queue = FairQueue(20, clock)
    for number in range(6):
        queue.push(f"a{number}", "a", 5, 10)
    assert [queue.pop(), queue.pop()] == ["a0", "a1"]
    queue.push("b0", "b", 5, 10)
    queue.push("b1", "b", 5, 10)
    assert drain(queue) == ["a2", "b0", "a3", "b1", "a4", "a5"]


def test_what_is_past_its_deadline_is_passed_over(clock):
    queue = FairQueue(10, clock)
    queue.push("late", "a", 0, 1.0)
    queue.push("in time", "a", 5, 3.0)
    clock.now_s = 2.0
    assert drain(queue) == ["in time"]


def test_a_full_queue_refuses_and_gives_way_to_what_is_more_important(clock):
    queue = FairQueue(2, clock)
    queue.push("first", "a", 5, 10)
    queue.push("second", "a", 5, 10)
    assert queue.push("third", "a", 5, 10) == (None, None)
    # One owner cannot fill the queue: what would come next of another takes the place of its last.
    assert queue.push("other", "b", 5, 10)[1] == "second"
    assert queue.push("another", "c", 5, 10) == (None, None)
    entry, displaced = queue.push("urgent", "b", 1, 10)
    assert entry is not None
    assert displaced == "other"
    assert drain(queue) == ["urgent", "first"]


def test_a_queue_of_no_places_refuses_everything(clock):
    assert FairQueue(0, clock).push("x", "a", 0, 10) == (None, None)


@given(st.integers(0, 2**32))
def test_nothing_is_lost_or_given_twice(seed):
    rng = random.Random(seed)
    clock = ManualClock()
    queue = FairQueue(8, clock)
    waiting, entries = set(), {}
    for number in range(200):
        action = rng.randrange(4)
        if action < 2:
            entry, displaced = queue.push(number, rng.choice("abc"), rng.randrange(3), 1e9)
            if displaced is not None:
                waiting.remove(displaced)
            if entry is not None:
                waiting.add(number)
                entries[number] = entry
        elif action == 2 and waiting:
            gone = rng.choice(sorted(waiting))
            waiting.remove(gone)
            queue.remove(entries[gone])
            queue.remove(entries[gone])
        elif (popped := queue.pop()) is not None:
            waiting.remove(popped)
        assert len(queue) == len(waiting) <= 8
        assert len(queue._heap) <= 16
    assert set(drain(queue)) == waiting
