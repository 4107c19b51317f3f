"""The circuit breaker by its clock: when it opens, how it is tried again, and what does not count."""

from __future__ import annotations

import pytest

from manual_clock import ManualClock
from practicum_gateway.breaker import BreakerSettings, BreakerState, CircuitBreaker, Outcome
from practicum_gateway.errors import ApiError
from upstream_pools import build_pool


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def breaker(clock):
    return CircuitBreaker(BreakerSettings(min_requests=4, open_s=2, max_probes=1, good_probes=2), clock)


def fail(breaker, count=4, outcome=Outcome.FAILED):
    for _ in range(count):
        breaker.record(outcome)


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.SLOW])
def test_it_opens_at_the_share_of_bad_outcomes(breaker, outcome):
    fail(breaker, 2, Outcome.GOOD)
    fail(breaker, 1, outcome)
    assert breaker.state is BreakerState.CLOSED
    fail(breaker, 1, outcome)
    assert breaker.state is BreakerState.OPEN
    assert not breaker.may_pass


def test_clients_that_go_away_and_busy_engines_do_not_open_it(breaker):
    fail(breaker, 100, Outcome.UNCOUNTED)
    assert breaker.state is BreakerState.CLOSED


def test_old_outcomes_do_not_count(breaker, clock):
    fail(breaker, 3)
    clock.now_s = 11
    fail(breaker, 1)
    assert breaker.state is BreakerState.CLOSED


def test_it_is_tried_again_by_few_and_closed_by_good_ones(breaker, clock):
    fail(breaker)
    clock.now_s = 2.0
    assert breaker.state is BreakerState.HALF_OPEN
    assert breaker.may_pass
    assert breaker.acquire()
    assert not breaker.may_pass
    breaker.record(Outcome.GOOD, is_probe=True)
    assert breaker.acquire()
    breaker.record(Outcome.GOOD, is_probe=True)
    assert breaker.state is BreakerState.CLOSED
    assert not breaker.acquire()


def test_each_failed_trial_doubles_the_wait_up_to_a_bound(breaker, clock):
    fail(breaker)
    for wait_s in (2, 4, 8, 10, 10):
        assert breaker.wait_s == wait_s
        clock.now_s += wait_s
        assert breaker.acquire()
        breaker.record(Outcome.FAILED, is_probe=True)
    assert breaker.state is BreakerState.OPEN


def test_a_trial_whose_client_goes_away_frees_its_place(breaker, clock):
    fail(breaker)
    clock.now_s = 2
    breaker.acquire()
    breaker.record(Outcome.UNCOUNTED, is_probe=True)
    assert breaker.may_pass
    assert breaker.state is BreakerState.HALF_OPEN


def test_what_was_under_way_when_it_opened_says_nothing_new(breaker, clock):
    fail(breaker, 8)
    clock.now_s = 2
    assert breaker.wait_s == 0


def test_at_most_so_many_engines_are_left_out(clock):
    pool = build_pool(clock, "a", "b", "c", settings=BreakerSettings(min_requests=1), max_ejected_share=0.4)
    first, second, third = pool.upstreams
    first.breaker.record(Outcome.FAILED)
    assert {pool.call(None).upstream.url for _ in range(10)} == {"http://b", "http://c"}
    second.breaker.record(Outcome.FAILED)
    # Two of three would be more than 0.4 of them: all are used again.
    assert {pool.call(None).upstream.url for _ in range(20)} == {"http://a", "http://b", "http://c"}
    assert third.num_open > 0


def test_the_only_engine_may_be_left_out(clock):
    pool = build_pool(clock, "a", settings=BreakerSettings(min_requests=1, open_s=3))
    pool.call(None).end(Outcome.FAILED)
    with pytest.raises(ApiError, match="left out") as refused:
        pool.call(None)
    assert (refused.value.status, refused.value.retry_after_s) == (503, 3)
    assert pool.upstreams[0].num_open == 0


def test_a_wait_longer_than_the_bound_of_doubling_is_kept(clock):
    breaker = CircuitBreaker(BreakerSettings(min_requests=1, open_s=60), clock)
    fail(breaker, 1)
    clock.now_s = 60
    breaker.acquire()
    breaker.record(Outcome.FAILED, is_probe=True)
    assert breaker.wait_s == 60
