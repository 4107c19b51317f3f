"""Kappa, prediction-powered means and length-controlled win rates against published values and simulation."""

from __future__ import annotations

import numpy as np
import pytest

from practicum_jobs.scoring.agreement import compute_fleiss_kappa, estimate_cohen_kappa
from practicum_jobs.scoring.debiasing import estimate_length_controlled, estimate_prediction_powered


def test_raters_who_know_one_label_have_no_kappa():
    with pytest.raises(ValueError, match="two different labels"):
        estimate_cohen_kappa(["a", "a"], ["a", "a"])


def test_fleiss_kappa_needs_the_same_raters_for_each_item():
    with pytest.raises(ValueError, match="same number"):
        compute_fleiss_kappa([[2, 0], [0, 3]])


def test_a_biased_judge_is_corrected_and_makes_the_interval_shorter():
    generator = np.random.default_rng(4)
    covered, biased, shorter, repeats = 0, 0, 0, 1000
    for _ in range(repeats):
        truth = generator.random(1200) < 0.5
        # The judge calls 95% of right answers right, and 25% of wrong ones.
        judged = np.where(truth, generator.random(1200) < 0.95, generator.random(1200) < 0.25).astype(float)
        gold = truth[:200].astype(float)
        ours = estimate_prediction_powered(gold, judged[:200], judged[200:])
        alone = estimate_prediction_powered(gold, judged[:200], judged[200:], weight=0)
        covered += ours.low <= 0.5 <= ours.high
        biased += abs(judged.mean() - 0.5) > 0.05
        shorter += ours.width < alone.width
    assert 0.93 <= covered / repeats <= 0.97
    assert biased == repeats
    assert shorter == repeats


def test_a_corrected_rate_of_clusters_covers_the_truth():
    """Items of one of 20 templates go together; gold scores and others share the templates."""
    generator = np.random.default_rng(6)
    covered, alone, repeats = 0, 0, 400
    clusters = [str(number % 20) for number in range(400)]
    for _ in range(repeats):
        shares = np.tile(generator.beta(0.5, 0.5, size=20), 20)
        truth = (generator.random(400) < shares).astype(float)
        judged = np.where(generator.random(400) < 0.9, truth, 1 - truth)
        parts = truth[:100], judged[:100], judged[100:]
        ours = estimate_prediction_powered(*parts, clusters=clusters)
        independent = estimate_prediction_powered(*parts)
        covered += ours.low <= 0.5 <= ours.high
        alone += independent.low <= 0.5 <= independent.high
    assert covered / repeats >= 0.92
    assert alone / repeats < 0.8
    with pytest.raises(ValueError, match="one cluster"):
        estimate_prediction_powered(*parts, clusters=["a"] * 400)


def test_length_control_takes_away_wins_that_length_explains():
    generator = np.random.default_rng(9)
    covered, shares, repeats = 0, [], 300
    for _ in range(repeats):
        gaps = generator.normal(80, 60, size=600)
        wins = (generator.random(600) < 1 / (1 + np.exp(-2 * np.tanh(gaps / gaps.std())))).astype(float)
        controlled = estimate_length_controlled(wins, gaps)
        covered += controlled.low <= 0.5 <= controlled.high
        shares.append(wins.mean())
    assert min(shares) > 0.6
    # 300 draws of a true 95% interval fall below 0.91 about twice in a thousand times.
    assert covered / repeats >= 0.91
    assert estimate_length_controlled([1, 0, 0.5, 1], [0, 0, 0, 0]).value == pytest.approx(0.625)
    with pytest.raises(ValueError, match="length alone"):
        estimate_length_controlled([1, 1, 0, 0], [5, 6, -1, -2])
