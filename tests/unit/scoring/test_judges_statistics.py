"""Kappa, prediction-powered means and length-controlled win rates against published values and simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest

from practicum_jobs.scoring.agreement import compute_fleiss_kappa, estimate_cohen_kappa
from practicum_jobs.scoring.debiasing import estimate_length_controlled, estimate_prediction_powered


def test_cohens_kappa_of_a_table_by_hand():
    # 20, 5, 10, 15: observed agreement 0.7, expected 0.5, so 0.4.
    first = ["yes"] * 25 + ["no"] * 25
    second = ["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15
    kappa = estimate_cohen_kappa(first, second)
    assert kappa.value == pytest.approx(0.4, abs=1e-12)
    assert 0.13 < kappa.low < 0.2
    assert 0.6 < kappa.high < 0.67
    with pytest.raises(ValueError, match="two different labels"):
        estimate_cohen_kappa(["a", "a"], ["a", "a"])


def test_fleiss_kappa_of_ten_subjects_by_fourteen_raters():
    # The worked example of the article "Fleiss' kappa" in Wikipedia: 0.210.
    table = [
        [0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
        [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7],
    ]  # fmt: skip
    assert compute_fleiss_kappa(table) == pytest.approx(0.2099, abs=5e-5)
    with pytest.raises(ValueError, match="same number"):
        compute_fleiss_kappa([[2, 0], [0, 3]])


def test_prediction_powered_means_by_hand():
    gold, same, rest = [1, 0, 1, 1], [1, 1, 1, 0], [1, 0, 1, 1, 1, 0]
    plain = estimate_prediction_powered(gold, same, rest, weight=0)
    assert plain.value == pytest.approx(0.75)
    assert plain.high - plain.value == pytest.approx(1.959963985 * math.sqrt(0.25 / 4), abs=1e-6)
    # 2/3 + mean(0, -1, 0, 1); variances 2/3 of the differences and 4/15 of the rest.
    full = estimate_prediction_powered(gold, same, rest, weight=1)
    assert full.value == pytest.approx(2 / 3)
    assert full.high - full.value == pytest.approx(1.959963985 * math.sqrt(2 / 12 + 4 / 90), abs=1e-6)


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
