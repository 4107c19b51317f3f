"""The limiter on engines with a knee: it grows while tokens are fast, and falls when they become slow."""

from __future__ import annotations

import math

from practicum_gateway.gradient import GradientLimiter, GradientSettings, count_units


def drive(limiter, get_seconds, steps):
    for _ in range(steps * 16):
        limiter.observe(get_seconds(limiter.limit), limiter.limit)
    return limiter.limit


def test_it_grows_to_its_maximum_where_load_makes_nothing_slower():
    assert drive(GradientLimiter(GradientSettings(maximum=100)), lambda _: 0.01, 400) == 100


def test_it_falls_when_tokens_become_many_times_slower():
    limiter = GradientLimiter(GradientSettings(initial=100))
    drive(limiter, lambda _: 0.01, 50)
    before = limiter.limit
    assert drive(limiter, lambda _: 0.1, 10) < before / 2


def test_it_stays_within_its_bounds():
    limiter = GradientLimiter(GradientSettings(initial=8, minimum=4, maximum=10))
    drive(limiter, lambda _: 0.01, 20)
    for slower in range(1, 60):
        drive(limiter, lambda _, slower=slower: 0.01 * slower**3, 1)
        assert 4 <= limiter.limit <= 10


def test_it_grows_back_after_an_overload():
    limiter = GradientLimiter(GradientSettings(initial=50, memory=20))
    drive(limiter, lambda _: 0.01, 30)
    drive(limiter, lambda _: 1.0, 30)
    low = limiter.limit
    assert drive(limiter, lambda _: 0.01, 300) > 2 * low


def test_few_requests_do_not_move_it():
    limiter = GradientLimiter(GradientSettings(initial=50))
    for _ in range(1000):
        limiter.observe(0.01, 3)
    assert limiter.limit == 50


def test_long_answers_are_no_congestion():
    limiter = GradientLimiter(GradientSettings(initial=50))
    drive(limiter, lambda _: 1.0 / count_units(100, 50), 30)
    before = limiter.limit
    drive(limiter, lambda _: 20.0 / count_units(100, 1000), 30)
    assert limiter.limit >= before


def test_senseless_times_are_not_taken_in():
    limiter = GradientLimiter(GradientSettings(samples=1))
    for seconds in (0.0, -1.0, math.nan, math.inf):
        limiter.observe(seconds, 32)
    assert limiter.limit == 32
