"""False positives and coverage under no difference, in clustered data, beside tests that ignore clusters."""

from __future__ import annotations

import numpy as np
import pytest

from practicum_jobs.scoring.intervals import Bootstrap
from practicum_jobs.scoring.paired import (
    PairedOutcomes,
    estimate_difference_of_means,
    permute_signs,
    run_mcnemar,
)
from practicum_jobs.scoring.verdicts import VerdictKind, decide

NUM_DRAWS = 2000


def draw_null(generator: np.random.Generator, num_clusters: int, *, is_equal: bool) -> PairedOutcomes:
    """Return answers of two models that are equally good; each has its own luck with a template."""
    large = num_clusters // 4
    sizes = [6] * num_clusters if is_equal else [3] * (num_clusters - large) + [15] * large
    codes = np.repeat(np.arange(num_clusters), sizes)
    shared = 0.3 * generator.normal(size=num_clusters)[codes]
    luck = generator.normal(size=(2, num_clusters))[:, codes]
    right = (shared + luck + generator.normal(size=luck.shape) > 0).astype(float)
    return PairedOutcomes(right[0], right[1], [str(code) for code in codes])


def measure_null(num_clusters: int, *, is_equal: bool, num_draws: int = NUM_DRAWS) -> dict[str, float]:
    """Return rates: a verdict other than none, rejections by the sign flip and plain McNemar, and coverage of 0."""
    generator = np.random.default_rng(num_clusters)
    rates = dict.fromkeys(("flip", "verdict", "covered", "naive", "naive_covered"), 0.0)
    for place in range(num_draws):
        outcomes = draw_null(generator, num_clusters, is_equal=is_equal)
        alone = PairedOutcomes(outcomes.base, outcomes.candidate)
        verdict, naive = decide(outcomes), estimate_difference_of_means(alone)
        rates["flip"] += permute_signs(outcomes, Bootstrap(999, place)).p <= 0.05
        rates["verdict"] += verdict.kind in {VerdictKind.IMPROVED, VerdictKind.REGRESSED}
        rates["covered"] += verdict.interval.low <= 0 <= verdict.interval.high
        rates["naive"] += run_mcnemar(alone).p <= 0.05
        rates["naive_covered"] += naive.interval.low <= 0 <= naive.interval.high
    return {name: count / num_draws for name, count in rates.items()}


@pytest.mark.parametrize("is_equal", [True, False], ids=["equal", "unequal"])
@pytest.mark.parametrize("num_clusters", [8, 20, 60])
def test_clustered_tests_hold_their_rate_where_the_naive_one_does_not(num_clusters, is_equal):
    rates = measure_null(num_clusters, is_equal=is_equal)
    assert 0.035 <= rates["verdict"] <= 0.065, rates
    assert 0.93 <= rates["covered"] <= 0.97, rates
    # The sums of a few clusters take few values, so that an exact test of them rejects less often than it may.
    assert rates["flip"] <= 0.065, rates
    if num_clusters == 60:
        assert rates["flip"] >= 0.035, rates
    assert rates["naive"] > 0.15, rates
    assert rates["naive_covered"] < 0.85, rates


@pytest.mark.parametrize(("num_items", "discordance"), [(60, 0.05), (100, 0.05), (100, 0.3), (500, 0.1)])
def test_few_items_on_which_two_equal_models_differ_make_no_false_verdicts(num_items, discordance):
    """Independent items, of which both models get most right or wrong: the t test of three values is no normal one."""
    generator, wrong = np.random.default_rng(num_items), 0
    for _ in range(NUM_DRAWS):
        differ = generator.random(num_items) < discordance
        base = generator.random(num_items) < 0.5
        kind = decide(PairedOutcomes(base.astype(float), (base ^ differ).astype(float))).kind
        wrong += kind in {VerdictKind.IMPROVED, VerdictKind.REGRESSED}
    assert wrong / NUM_DRAWS <= 0.065
