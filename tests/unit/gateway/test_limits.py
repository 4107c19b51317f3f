"""Limits of a key under racing clients in simulated time, and what a refusal says."""

from __future__ import annotations

import heapq
import random

import pytest

from manual_clock import ManualClock
from practicum_core.api_keys import KeyLimits
from practicum_gateway.limits import Denial, Grant, KeyMeter, SlidingWindow

LIMIT = 10_000
MINUTE_S = 60.0
START_S = 1000.0


def simulate(seed, num_clients=64, minutes=10, tokens_per_s=40.0):
    """Let clients race on one key; return when each generated token appeared, and the meter."""
    clock, rng = ManualClock(START_S), random.Random(seed)
    meter = KeyMeter(KeyLimits(tokens_per_minute=LIMIT), clock)
    start_s = clock.now_s
    events = [(start_s + rng.random(), number, None) for number in range(num_clients)]
    heapq.heapify(events)
    spent, num_refused = [], 0
    while events and events[0][0] < start_s + minutes * MINUTE_S:
        clock.now_s, client, ending = heapq.heappop(events)
        if ending is not None:
            grant, used, began_s = ending
            grant.settle(used)
            # The prompt counts when the request begins, each token of the answer when it was generated.
            prompt = used // 3
            spent.append((began_s, prompt))
            spent += [(began_s + n / tokens_per_s, 1) for n in range(1, used - prompt + 1)]
            heapq.heappush(events, (clock.now_s + rng.expovariate(5.0), client, None))
            continue
        reserved = rng.randrange(50, 800)
        grant = meter.admit(reserved)
        if isinstance(grant, Denial):
            num_refused += 1
            assert grant.retry_after_s > 0
            # As OpenAI's client: what Retry-After says, with some jitter.
            heapq.heappush(events, (clock.now_s + grant.retry_after_s * (1 + rng.random() / 4), client, None))
            continue
        used = rng.randrange(reserved // 4, reserved + 1)
        took_s = (used - used // 3) / tokens_per_s
        heapq.heappush(events, (clock.now_s + took_s, client, (grant, used, clock.now_s)))
    return sorted(spent), start_s, num_refused


def find_busiest_minute(spent):
    """Return the most tokens within any minute, wherever it begins."""
    most = amount = first = 0
    for when_s, tokens in spent:
        amount += tokens
        while spent[first][0] <= when_s - MINUTE_S:
            amount -= spent[first][1]
            first += 1
        most = max(most, amount)
    return most


@pytest.mark.parametrize("seed", range(5))
def test_64_racing_clients_never_pass_the_limit_and_use_it(seed):
    spent, start_s, num_refused = simulate(seed)
    assert num_refused > 100, "they did not race"
    assert find_busiest_minute(spent) <= LIMIT
    used = sum(tokens for when_s, tokens in spent if when_s < start_s + 10 * MINUTE_S)
    assert used >= 0.95 * 10 * LIMIT


def test_what_a_request_did_not_use_is_given_back():
    clock = ManualClock(START_S)
    meter = KeyMeter(KeyLimits(tokens_per_minute=100), clock)
    grant = meter.admit(90)
    assert isinstance(meter.admit(20), Denial)
    grant.settle(10)
    grant.settle(90)  # only the first word counts
    assert isinstance(meter.admit(90), Grant)


def test_of_a_request_that_nobody_counted_the_whole_reservation_is_charged():
    clock = ManualClock(START_S)
    meter = KeyMeter(KeyLimits(tokens_per_minute=100), clock)
    meter.admit(60).settle(None)
    assert isinstance(meter.admit(41), Denial)
    clock.now_s += MINUTE_S + 0.2
    assert isinstance(meter.admit(100), Grant)


def test_retry_after_is_when_the_request_fits():
    clock = ManualClock(START_S)
    meter = KeyMeter(KeyLimits(tokens_per_minute=100), clock)
    meter.admit(60).settle(60)
    clock.now_s += 10
    meter.admit(40).settle(40)
    denial = meter.admit(50)
    assert denial.retry_after_s == pytest.approx(50.1)
    clock.now_s += denial.retry_after_s - 0.2
    assert isinstance(meter.admit(50), Denial)
    clock.now_s += 0.3
    assert isinstance(meter.admit(50), Grant)


@pytest.mark.parametrize(
    ("limits", "code", "can_retry"),
    [
        ({"tokens_per_minute": 10}, "request_above_limit", False),
        ({"requests_per_minute": 1}, "rate_limit_exceeded", True),
        ({"concurrent_requests": 1}, "concurrency_limit_exceeded", True),
        ({"tokens_per_minute": 30}, "rate_limit_exceeded", True),
    ],
)
def test_each_limit_says_what_it_is(limits, code, can_retry):
    meter = KeyMeter(KeyLimits(**limits), ManualClock(START_S))
    first = meter.admit(20)
    denial = first if isinstance(first, Denial) else meter.admit(20)
    assert (denial.code, denial.retry_after_s is not None) == (code, can_retry)


def test_a_key_without_limits_is_never_refused():
    meter = KeyMeter(KeyLimits(), ManualClock(START_S))
    assert all(isinstance(meter.admit(10**9), Grant) for _ in range(100))
    assert meter.list_headers() == []


def test_changed_limits_count_what_was_used():
    meter = KeyMeter(KeyLimits(), ManualClock(START_S))
    meter.admit(80).settle(80)
    meter.update(KeyLimits(tokens_per_minute=100))
    assert isinstance(meter.admit(30), Denial)
    assert dict(meter.list_headers())[b"x-ratelimit-remaining-tokens"] == b"20"


def test_the_window_keeps_a_bounded_number_of_slots():
    clock = ManualClock(START_S)
    window = SlidingWindow(10**9, clock)
    for _ in range(10_000):
        clock.now_s += 0.05
        window.settle(0, 1)
    assert len(window._slots) <= 602
