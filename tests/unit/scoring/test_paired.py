"""Tests of two models on the same items against published values, libraries and enumeration."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from practicum_jobs.scoring.equivalence import compare_to_margin
from practicum_jobs.scoring.intervals import Bootstrap
from practicum_jobs.scoring.noise import measure_noise
from practicum_jobs.scoring.paired import (
    PairedOutcomes,
    bootstrap_bca,
    estimate_difference_of_means,
    permute_signs,
    run_mcnemar,
)
from practicum_jobs.scoring.power import (
    Design,
    Power,
    compute_smallest_detectable,
    plan_smallest_detectable,
)
from practicum_jobs.scoring.resamples import ClusterSums, draw_flipped_sums, draw_means
from practicum_jobs.scoring.verdicts import Rule, VerdictKind, VerdictReason, decide, decide_tasks

# Student's sleep data (Biometrika 6 (1908), 1-25); R's t.test(extra ~ group, paired = TRUE) gives the values below.
SLEEP = PairedOutcomes(
    [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0], [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]
)
# Darwin's maize: heights crossed minus selfed, in eighths of an inch (Fisher, The Design of Experiments, section 17).
DARWIN = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]


def pair(wins, losses, ties=0):
    return PairedOutcomes([0] * wins + [1] * losses + [1] * ties, [1] * wins + [0] * losses + [1] * ties)


@pytest.mark.parametrize(("wins", "losses", "p"), [(5, 0, 2 / 32), (8, 2, 112 / 1024), (10, 1, 24 / 2048), (3, 3, 1)])
def test_mcnemar_by_counting(wins, losses, p):
    assert run_mcnemar(pair(wins, losses, 7)).p == pytest.approx(p, abs=1e-12)
    assert permute_signs(pair(wins, losses, 7)).p == pytest.approx(p, abs=1e-12)


@pytest.mark.parametrize("num_clusters", [12, 60])
def test_bca_agrees_with_scipy(num_clusters):
    generator = np.random.default_rng(8)
    values, codes = generator.gamma(1, size=240), generator.integers(0, num_clusters, size=240)
    outcomes = PairedOutcomes(np.zeros(240), values, [str(code) for code in codes])
    sums, sizes = np.bincount(codes, weights=values), np.bincount(codes)
    theirs = stats.bootstrap(
        (sums, sizes),
        lambda sums, sizes, axis=-1: sums.sum(axis=axis) / sizes.sum(axis=axis),
        paired=True,
        n_resamples=40_000,
        rng=np.random.default_rng(1),
    ).confidence_interval
    ours = bootstrap_bca(outcomes, Bootstrap(40_000))
    assert (ours.low, ours.high) == pytest.approx(tuple(theirs), abs=0.04 * ours.width)


HEAVY = np.concatenate([np.random.default_rng(4).gamma(1, size=1200), [40.0, 55.0, -30.0]])


@pytest.mark.parametrize("values", [np.random.default_rng(2).gamma(0.5, size=1200), HEAVY], ids=["skewed", "outliers"])
def test_bca_of_many_different_values_agrees_with_scipy(values):
    theirs = stats.bootstrap((values,), np.mean, n_resamples=20_000, rng=np.random.default_rng(1)).confidence_interval
    ours = bootstrap_bca(PairedOutcomes(np.zeros(len(values)), values), Bootstrap(20_000))
    assert (ours.low, ours.high) == pytest.approx(tuple(theirs), abs=0.04 * ours.width)


def test_resamples_of_many_different_values_have_the_moments_of_single_draws():
    values = np.random.default_rng(2).gamma(0.5, size=2000)
    grouped = ClusterSums(values, np.ones(2000))
    means = draw_means(grouped, Bootstrap(40_000))
    assert means.mean() == pytest.approx(values.mean(), abs=5 * values.std() / math.sqrt(2000 * 40_000))
    assert means.var() == pytest.approx(values.var() / 2000, rel=0.02)
    # The skewness of a mean is that of the values over the root of their number.
    assert stats.skew(means) == pytest.approx(stats.skew(values) / math.sqrt(2000), abs=0.04)
    assert np.array_equal(means[:500], draw_means(grouped, Bootstrap(40_000))[:500])


def test_unequal_clusters_keep_their_sizes_in_the_resamples():
    generator = np.random.default_rng(2)
    sizes = generator.integers(1, 3, size=4000).astype(float)
    sums = sizes * generator.normal(0.3, 0.2, size=4000)
    means = draw_means(ClusterSums(sums, sizes), Bootstrap(50_000))
    mean = sums.sum() / sizes.sum()
    # The variance of a ratio of sums to the first order (Cochran, Sampling Techniques, section 6.4).
    assert means.var() == pytest.approx(((sums - mean * sizes) ** 2).sum() / sizes.sum() ** 2, rel=0.03)


def test_flips_of_different_sizes_have_the_variance_of_single_flips_and_both_ends():
    sizes = np.random.default_rng(3).random(1001)
    sums = draw_flipped_sums(sizes, Bootstrap(50_000))
    assert sums.var() == pytest.approx((sizes**2).sum(), rel=0.03)
    assert abs(sums.mean()) < 5 * sums.std() / math.sqrt(50_000)
    few = np.array([0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6])  # every total of these nine belongs to one choice
    assert len(np.unique(np.round(draw_flipped_sums(few, Bootstrap(50_000)), 9))) == 2**9


def test_a_wide_margin_shows_equivalence_and_a_narrow_one_does_not():
    assert compare_to_margin(SLEEP, 2.5).is_equivalent
    assert not compare_to_margin(SLEEP, 2.0).is_equivalent


def test_the_planned_detectable_difference_has_the_power_asked_for():
    smallest = plan_smallest_detectable(Design(4000, 4000, discordance=0.3), Power(0.05, 0.9))
    # Large samples: (1.959964 + 1.281552) * sqrt(0.3 / 4000).
    assert smallest == pytest.approx(3.241516 * math.sqrt(0.3 / 4000), rel=1e-3)
    assert plan_smallest_detectable(Design(120, 20, 0.3)) > plan_smallest_detectable(Design(120, 20))
    assert plan_smallest_detectable(Design(120, 1)) == math.inf


def test_verdicts():
    twelve = decide(pair(8, 0, 4))
    assert (twelve.kind, twelve.reason) == (VerdictKind.UNDERPOWERED, VerdictReason.TOO_FEW_ITEMS)
    assert decide(pair(0, 0, 54)).kind == VerdictKind.NOT_DISTINGUISHABLE
    assert decide(pair(30, 2, 60)).kind == VerdictKind.IMPROVED
    assert decide(pair(2, 30, 60)).kind == VerdictKind.REGRESSED
    small = decide(pair(6, 5, 20))
    assert (small.kind, small.reason) == (VerdictKind.UNDERPOWERED, VerdictReason.CANNOT_DETECT_MARGIN)
    assert small.smallest_detectable == compute_smallest_detectable(pair(6, 5, 20)) > 0.1


def test_one_of_many_tasks_needs_a_clearer_result():
    clear, weak = pair(30, 2, 60), pair(15, 5, 180)
    assert decide(weak).kind == VerdictKind.IMPROVED
    verdicts = decide_tasks({"weak": weak, **{f"same-{place}": pair(0, 0, 60) for place in range(9)}, "clear": clear})
    assert verdicts["weak"].kind == VerdictKind.NOT_DISTINGUISHABLE
    assert verdicts["clear"].kind == VerdictKind.IMPROVED


def test_equal_answers_in_few_templates_are_no_sign_that_a_difference_would_be_seen():
    """Items that are right or wrong together by template say what their templates say, and no more."""
    clusters = [str(number // 25) for number in range(200)]
    right = [float(number // 25 % 2) for number in range(200)]
    together = PairedOutcomes(right, right, clusters)
    assert compute_smallest_detectable(together) > 0.5
    assert decide(together).kind == VerdictKind.UNDERPOWERED
    apart = PairedOutcomes([float(number % 2) for number in range(200)], [float(number % 2) for number in range(200)])
    assert compute_smallest_detectable(apart) < 0.05
    # Where no score differs, nothing shows how much the items of a template go together.
    unknown = PairedOutcomes([0.0] * 200, [0.0] * 200, clusters)
    assert decide(unknown).kind == VerdictKind.UNDERPOWERED
    many = PairedOutcomes([0.0] * 100, [0.0] * 100, [str(number % 34) for number in range(100)])
    assert decide(many).kind == VerdictKind.NOT_DISTINGUISHABLE


def test_one_cluster_decides_nothing():
    outcomes = PairedOutcomes([0] * 40, [1] * 40, ["a"] * 40)
    assert decide(outcomes).kind == VerdictKind.UNDERPOWERED
    assert not compare_to_margin(outcomes, 0.1).is_equivalent


def test_the_noise_of_two_runs():
    noise = measure_noise(PairedOutcomes([1, 0, 1, 0] * 25, [1, 0, 0, 1] * 25))
    assert noise.share_changed == pytest.approx(0.5)
    assert 0.1 < noise.floor < 0.2
    better = pair(16, 2, 100)
    assert decide(better, Rule(noise_floor=0.1)).kind == VerdictKind.IMPROVED
    same = decide(better, Rule(noise_floor=0.13))
    assert (same.kind, same.reason) == (VerdictKind.NOT_DISTINGUISHABLE, VerdictReason.WITHIN_NOISE)
    assert decide(pair(2, 16, 100), Rule(noise_floor=0.13)).reason == VerdictReason.WITHIN_NOISE


@pytest.mark.parametrize(("base", "candidate"), [([], []), ([1], [1, 0]), ([math.nan], [0])])
def test_scores_that_are_not_pairs_are_refused(base, candidate):
    with pytest.raises(ValueError, match="not"):
        PairedOutcomes(base, candidate)


def test_few_clusters_that_all_agree_are_underpowered_and_not_equal():
    """Five clusters cannot reach p = 0.05 by sign flips; six can alone, but not as one of two tasks."""
    five = PairedOutcomes([0.0] * 200, [1.0] * 200, [str(number // 40) for number in range(200)])
    six = PairedOutcomes([0.0] * 240, [1.0] * 240, [str(number // 40) for number in range(240)])
    assert decide(five).kind == VerdictKind.UNDERPOWERED
    assert decide(six).kind == VerdictKind.IMPROVED
    assert {one.kind for one in decide_tasks({"a": six, "b": six}).values()} == {VerdictKind.UNDERPOWERED}


def test_two_equal_items_show_no_equivalence():
    assert not compare_to_margin(PairedOutcomes([1, 0], [1, 0]), 0.1).is_equivalent


def test_a_large_difference_that_the_correction_spoils_is_never_called_none():
    outcomes = pair(30, 2, 200)
    assert compute_smallest_detectable(outcomes) < 0.1 < estimate_difference_of_means(outcomes).interval.value
    assert decide(outcomes, p_adjusted=0.06).kind == VerdictKind.UNDERPOWERED
