"""Limits of a key under racing clients in simulated time, and what a refusal says."""

from __future__ import annotations

import asyncio

import pytest

from limit_race import LIMIT, MINUTE_S, START_S, assert_exact, build_caller, race
from manual_clock import ManualClock
from practicum_core.api_keys import KeyLimits
from practicum_gateway.admission import LocalAdmission
from practicum_gateway.limits import Denial, Grant, KeyMeter, SlidingWindow


@pytest.mark.parametrize("seed", range(5))
def test_64_racing_clients_never_pass_the_limit_and_use_it(seed):
    async def run():
        clock = ManualClock(START_S)
        caller = build_caller(KeyLimits(tokens_per_minute=LIMIT), clock)
        return await race([(LocalAdmission(), caller)], clock, seed)

    assert_exact(asyncio.run(run()))


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
