"""Intervals of percentiles on simulated queues, the knee, and the comparison of two deployments."""

import numpy as np
import pytest

from practicum_core.stages.load_results import LoadSample
from practicum_core.stages.loadtest import Objective
from practicum_jobs.load.difference import compare_percentile
from practicum_jobs.load.goodput import estimate_good_share
from practicum_jobs.load.knee import Level, find_knee, propose_rate
from practicum_jobs.load.levels import build_level
from practicum_jobs.load.percentiles import draw_weights, estimate_percentiles, find_block_length
from practicum_jobs.scoring.intervals import Bootstrap, Interval

HELD, FAILED, UNSURE = Interval(0.99, 0.96, 1.0), Interval(0.5, 0.4, 0.6), Interval(0.96, 0.9, 0.98)
NUM_RUNS = 60


def wait_in_queue(num: int, load: float, seed: int) -> list[float]:
    """Sojourn times of a queue with one server, by Lindley's recursion; neighbours wait for the same jobs."""
    generator = np.random.default_rng(seed)
    gaps, services = generator.exponential(1 / load, num + 500), generator.exponential(1.0, num + 500)
    times, left = [], 0.0
    for gap, service in zip(gaps, services, strict=True):
        left = max(left - gap, 0.0) + service
        times.append(left)
    return times[500:]


def measure_coverage(num: int, load: float, truth: list[float]) -> np.ndarray:
    hits = np.zeros(len(truth))
    for seed in range(NUM_RUNS):
        found = estimate_percentiles(wait_in_queue(num, load, seed), Bootstrap(300, seed))
        pairs = zip(found, truth, strict=True)
        hits += [one.low <= true and (one.high is None or true <= one.high) for one, true in pairs]
    return hits / NUM_RUNS


@pytest.mark.parametrize(("load", "num", "at_least"), [(0.5, 400, 0.88), (0.8, 1500, 0.8)])
def test_intervals_cover_the_percentiles_of_a_queue(load: float, num: int, at_least: float) -> None:
    # The sojourn time of such a queue is exponential with rate 1 - load (Kleinrock 1975).
    truth = [-np.log(1 - quantile) / (1 - load) for quantile in (0.5, 0.95, 0.99)]
    coverage = measure_coverage(num, load, truth)
    assert (coverage >= at_least).all(), coverage


def test_an_interval_for_independent_values_would_miss_most_percentiles_of_a_queue() -> None:
    truth, hits = -np.log(0.05) / 0.2, 0
    for seed in range(NUM_RUNS):
        times = wait_in_queue(1500, 0.8, seed)
        drawn = np.random.default_rng(seed).choice(times, (200, len(times)))
        low, high = np.quantile(np.quantile(drawn, 0.95, axis=1), [0.025, 0.975])
        hits += low <= truth <= high
    assert hits / NUM_RUNS < 0.4


def test_the_99th_percentile_of_few_requests_has_no_upper_end() -> None:
    few = np.random.default_rng(1).exponential(size=300).tolist()
    many = np.random.default_rng(1).exponential(size=2000).tolist()
    assert estimate_percentiles(few, Bootstrap(300))[2].high is None
    high = estimate_percentiles(many, Bootstrap(300))[2].high
    assert high is not None
    assert high < max(many)


def test_percentiles_are_values_that_were_measured_and_inside_their_intervals() -> None:
    values = np.random.default_rng(2).exponential(size=999).tolist()
    for one in estimate_percentiles(values, Bootstrap(300)):
        assert one.value == pytest.approx(np.quantile(values, one.quantile, method="inverted_cdf"))
        assert one.low <= one.value
        assert one.high is None or one.value <= one.high
    assert estimate_percentiles([], Bootstrap(10)) == []
    assert estimate_percentiles([0.5], Bootstrap(10))[0].high is None
    assert {one.high for one in estimate_percentiles([0.5] * 500, Bootstrap(50))} == {0.5}


def test_every_resample_has_as_many_requests_and_blocks_of_neighbours() -> None:
    parts = list(draw_weights(5000, 70, Bootstrap(900)))
    assert len(parts) > 1
    weights = np.concatenate(parts)
    assert weights.shape == (900, 5000)
    assert (weights.sum(axis=1) == 5000).all()
    # Counts change only at the edges of 72 blocks.
    assert (np.count_nonzero(np.diff(weights, axis=1), axis=1) <= 144).all()


def test_blocks_are_long_where_neighbours_are_alike() -> None:
    assert find_block_length(np.random.default_rng(3).normal(size=1000).tolist()) <= 5
    assert find_block_length(wait_in_queue(1500, 0.9, 3)) > 20
    assert find_block_length([1.0] * 50) == 1


def test_bursts_of_bad_requests_widen_the_interval_of_the_good_share() -> None:
    scattered = [number % 5 != 0 for number in range(400)]
    together = [number % 100 >= 20 for number in range(400)]
    one, other = (estimate_good_share(good, Bootstrap(500)) for good in (scattered, together))
    assert one.value == other.value == 0.8
    assert other.width > 1.5 * one.width


@pytest.mark.parametrize(
    ("levels", "rate", "basis", "sure"),
    [
        ([], None, None, (None, None)),
        ([(1, HELD), (2, HELD), (4, FAILED)], 2, "bracketed", (2, 4)),
        ([(1, HELD), (2, HELD)], 2, "none_failed", (2, None)),
        ([(1, FAILED), (2, FAILED)], None, "none_held", (None, 1)),
        ([(1, HELD), (2, FAILED), (4, HELD)], 1, "bracketed", (1, 2)),
        ([(1, HELD), (2, UNSURE), (4, FAILED)], 2, "bracketed", (1, 4)),
        ([(4, FAILED), (2, HELD), (1, HELD), (2, FAILED)], 1, "bracketed", (1, 2)),
    ],
)
def test_the_knee_is_the_highest_rate_that_holds_below_every_failing_one(levels, rate, basis, sure) -> None:
    knee = find_knee([Level(at, good) for at, good in levels], 0.95)
    assert (knee.rate, knee.basis, (knee.sure_low, knee.sure_high)) == (rate, basis, sure)


@pytest.mark.parametrize("capacity", [0.3, 1.0, 5.7, 40.0])
def test_the_search_ends_at_the_rate_where_a_server_begins_to_fail(capacity: float) -> None:
    levels = [Level(rate, HELD if rate <= capacity else FAILED) for rate in (1.0, 2.0)]
    while (rate := propose_rate(levels, 0.95)) is not None:
        levels.append(Level(rate, HELD if rate <= capacity else FAILED))
        assert len(levels) < 16
    knee = find_knee(levels, 0.95)
    assert knee.rate is not None
    assert capacity / 1.11 <= knee.rate <= capacity


def measure_verdicts(shift: float, *, is_paired: bool) -> list[str]:
    verdicts = []
    for seed in range(30):
        base = np.random.default_rng(seed).exponential(size=1200) + 1
        own = base if is_paired else np.random.default_rng(1000 + seed).exponential(size=1200) + 1
        noise = np.random.default_rng(seed + 50).normal(0, 0.02, 1200)
        candidate = (own * (1 + shift) + noise).tolist()
        result = compare_percentile(base.tolist(), candidate, 0.99, Bootstrap(300, seed), is_paired=is_paired)
        verdicts.append(result.verdict)
    return verdicts


@pytest.mark.parametrize("is_paired", [True, False])
def test_equal_deployments_are_rarely_told_apart(is_paired: bool) -> None:
    assert measure_verdicts(0.0, is_paired=is_paired).count("unclear") >= 26


def test_the_same_schedule_shows_a_slower_deployment_that_another_schedule_hides() -> None:
    assert measure_verdicts(0.05, is_paired=True).count("slower") == 30
    assert measure_verdicts(0.05, is_paired=False).count("slower") < 15


def test_a_comparison_says_that_it_has_too_few_requests_and_refuses_other_pairs() -> None:
    short = np.random.default_rng(5).exponential(size=200).tolist()
    assert compare_percentile(short, short, 0.99, Bootstrap(100), is_paired=False).verdict == "too_few"
    with pytest.raises(ValueError, match="cannot be compared"):
        compare_percentile(short, short[:-1], 0.99, Bootstrap(100), is_paired=True)


def make_sample(number: int, error: str = "", ttft_s: float = 0.2, phase: str = "measured") -> LoadSample:
    at_s = number / 10
    return LoadSample(
        id=f"0-{number}",
        load=0,
        rate=10.0,
        phase=phase,
        scheduled_s=at_s,
        sent_s=at_s + 0.001,
        first_token_s=None if error else at_s + ttft_s,
        last_token_s=None if error else at_s + ttft_s + 1.0,
        ended_s=at_s + (0.01 if error else ttft_s + 1.0),
        status=429 if error else 200,
        error=error,
        completion_tokens=0 if error else 11,
    )


def test_failed_requests_count_against_goodput_and_in_no_latency() -> None:
    samples = [make_sample(number, "http_429" if number % 4 == 0 else "") for number in range(200)]
    samples += [make_sample(200 + number, ttft_s=9.0, phase="warmup") for number in range(50)]
    level = build_level(samples, (0.0, 20.0), Objective(ttft_s=1.0), Bootstrap(200))
    assert (level.num_requests, level.num_ok, level.failures) == (200, 150, {"http_429": 50})
    assert level.e2e is not None
    assert level.e2e.p50.value == pytest.approx(1.2)
    assert level.tpot is not None
    assert level.tpot.p99.value == pytest.approx(0.1)
    assert level.good_share is not None
    assert level.good_share.value == 0.75
    assert level.goodput is not None
    assert level.goodput.value == pytest.approx(7.5)
    assert not level.meets_slo


def test_what_was_reached_is_what_ended_in_the_window() -> None:
    # Ten a second were sent for 20 s, and each took 6 s: the first of them end late, and the last after the window.
    samples = [make_sample(number, ttft_s=5.0) for number in range(200)]
    level = build_level(samples, (0.0, 20.0), Objective(ttft_s=1.0), Bootstrap(50))
    assert level.reached_rate == pytest.approx(7.0)
    assert level.completion_tokens_per_s == pytest.approx(7.0 * 11)
    warm = [make_sample(number, ttft_s=5.0, phase="warmup") for number in range(-60, 0)]
    assert build_level([*warm, *samples], (0.0, 20.0), Objective(), Bootstrap(50)).reached_rate == pytest.approx(10.0)


def test_a_level_without_a_good_answer_has_no_latencies() -> None:
    level = build_level([make_sample(n, "connect") for n in range(5)], (0.0, 1.0), Objective(ttft_s=1), Bootstrap(50))
    assert (level.ttft, level.e2e, level.num_ok) == (None, None, 0)
    with pytest.raises(ValueError, match="no measured request"):
        build_level([], (0.0, 1.0), Objective(), Bootstrap(50))
