"""Every statistic against a published or independently computed value, to 1e-6; docs/benchmarks.md has the list."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import optimize, special, stats
from statsmodels.stats.weightstats import ttost_paired

from practicum_jobs.scoring.agreement import compute_fleiss_kappa, estimate_cohen_kappa
from practicum_jobs.scoring.debiasing import estimate_length_controlled, estimate_prediction_powered
from practicum_jobs.scoring.equivalence import compare_to_margin
from practicum_jobs.scoring.intervals import compute_mcnemar_p, compute_newcombe, compute_wilson
from practicum_jobs.scoring.multiplicity import Correction, adjust
from practicum_jobs.scoring.paired import (
    PairedOutcomes,
    estimate_difference_of_means,
    estimate_mean,
    permute_signs,
    run_mcnemar,
)
from practicum_jobs.scoring.power import (
    Design,
    Power,
    compute_smallest_detectable,
    estimate_correlation,
    plan_smallest_detectable,
)

LIST = Path(__file__).parents[3] / "docs" / "benchmarks.md"
# Student's sleep data (Biometrika 6 (1908), 1-25).
SLEEP = PairedOutcomes(
    [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0], [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]
)
# Darwin's maize: heights crossed minus selfed, in eighths of an inch (Fisher, The Design of Experiments, section 17).
DARWIN = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]
# The table of the article "Fleiss' kappa" in Wikipedia: ten subjects by fourteen raters.
SUBJECTS = [
    [0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
    [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7],
]  # fmt: skip
# JRSS B 57 (1995), section 4: the fifteen p-values of Neuhaus et al.
NEUHAUS = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.324, 0.4262, 0.5719, 0.6528]
NEUHAUS += [0.759, 1.0]


def pair(wins, losses, ties=0):
    return PairedOutcomes([0] * wins + [1] * losses + [1] * ties, [1] * wins + [0] * losses + [1] * ties)


def get_ends(interval):
    return interval.low, interval.high


def wilson():
    """Newcombe, Statistics in Medicine 17 (1998), 857-872, table I: 0.2553 to 0.3662 and 0.0624 to 0.1605."""
    ours = (*get_ends(compute_wilson(81, 263)), *get_ends(compute_wilson(15, 148)))
    return ours, (0.255288519878, 0.366209576983, 0.0623863995307, 0.160487241723)


def newcombe():
    """Newcombe, Statistics in Medicine 17 (1998), 2635-2650, table II, method 10: 0.0569 to 0.3404."""
    first = [True] * 48 + [False] * 2
    second = [True] * 36 + [False] * 12 + [True] * 2
    return get_ends(compute_newcombe(second, first)), (0.0569295840032, 0.340427602975)


def mcnemar_of_a_poll():
    """Agresti, Categorical Data Analysis, table 10.1: 86 and 150 changed their mind; by fractions."""
    return compute_mcnemar_p(150, 86), 2 * sum(Fraction(math.comb(236, k), 2**236) for k in range(87))


def mcnemar_by_counting():
    ours = [run_mcnemar(pair(*one)).p for one in ((5, 0, 7), (8, 2, 7), (10, 1, 7), (3, 3, 7))]
    return ours, [2 / 32, 112 / 1024, 24 / 2048, 1]


def sign_flips_of_darwins_pairs():
    """Fisher counts 1,726 of the 32,768 assignments, ties with the total of 314 included (section 21)."""
    signs = np.array(list(itertools.product((-1, 1), repeat=15)))
    assert int((np.abs(signs @ np.abs(DARWIN)) >= 314).sum()) == 1726
    return permute_signs(PairedOutcomes([0] * 15, DARWIN)).p, 1726 / 32768


def sign_flips_of_clusters():
    sums = np.random.default_rng(3).normal(0.4, 1, size=9)
    clusters = [f"c{place % 9}" for place in range(27)]
    outcomes = PairedOutcomes([0] * 27, [sums[place % 9] / 3 for place in range(27)], clusters)
    theirs = stats.permutation_test((sums,), np.sum, permutation_type="samples", n_resamples=np.inf)
    return permute_signs(outcomes).p, theirs.pvalue


def t_of_the_sleep_data():
    """R, t.test(extra ~ group, paired = TRUE): p = 0.002833, 0.7001142 to 2.4598858."""
    estimate = estimate_difference_of_means(SLEEP)
    return (estimate.p, *get_ends(estimate.interval)), (0.00283289, 0.7001142, 2.4598858)


def t_of_darwins_pairs():
    """Fisher, section 18: t = 2.148."""
    estimate = estimate_mean(DARWIN)
    theirs = stats.ttest_1samp(DARWIN, 0)
    assert round(theirs.statistic, 3) == 2.148
    return (estimate.interval.value / estimate.standard_error, estimate.p), (theirs.statistic, theirs.pvalue)


def clustered_error():
    values, codes = np.random.default_rng(5).normal(size=60), np.arange(60) % 12
    fit = sm.OLS(values, np.ones(60)).fit(cov_type="cluster", cov_kwds={"groups": codes}, use_t=True)
    ours = estimate_mean(values, [str(code) for code in codes])
    return (ours.standard_error, *get_ends(ours.interval)), (fit.bse[0], *fit.conf_int()[0])


def clustered_error_of_unequal_clusters():
    """Bell and McCaffrey, Survey Methodology 28 (2002), 169-181, by its matrices: (I - H_gg)^(-1/2)."""
    values, sizes = np.random.default_rng(6).normal(size=20), [1, 2, 3, 5, 9]
    middle, rows = np.eye(20) - 1 / 20, []
    for place in np.split(np.arange(20), np.cumsum(sizes)[:-1]):
        root, vectors = np.linalg.eigh(middle[np.ix_(place, place)])
        rows.append(np.ones(len(place)) / 20 @ (vectors @ np.diag(root**-0.5) @ vectors.T) @ middle[place])
    form = np.array(rows) @ np.array(rows).T
    ours = estimate_mean(values, [str(code) for code, size in enumerate(sizes) for _ in range(size)])
    error = math.sqrt(sum(float(row @ values) ** 2 for row in rows))
    return (ours.standard_error, ours.degrees), (error, np.trace(form) ** 2 / np.trace(form @ form))


def equivalence():
    theirs = ttost_paired(np.array(SLEEP.candidate), np.array(SLEEP.base), -2.5, 2.5)[0]
    return compare_to_margin(SLEEP, 2.5).p, theirs


def holm_and_benjamini_hochberg():
    """JRSS B 57 (1995), section 4: at 0.05 Benjamini and Hochberg reject four of fifteen, Bonferroni three."""
    ours = adjust(NEUHAUS, Correction.BENJAMINI_HOCHBERG)
    assert (sum(p <= 0.05 for p in ours), sum(p <= 0.05 for p in adjust(NEUHAUS))) == (4, 3)
    return (ours[3], *adjust(NEUHAUS)[:3]), (0.0095 * 15 / 4, 0.0015, 0.0056, 0.0247)


def cohens_kappa():
    """Fleiss, Cohen and Everitt, Psychological Bulletin 72 (1969), 323-327, formula 13, of counts 20, 5, 10, 15."""
    first = ["yes"] * 25 + ["no"] * 25
    second = ["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15
    ours = estimate_cohen_kappa(first, second)
    return (ours.value, *get_ends(ours)), (0.4, 0.151092290477, 0.648907709523)


def fleiss_kappa():
    """Wikipedia: 0.210; by fractions."""
    agreement = sum(Fraction(sum(count**2 for count in row) - 14, 14 * 13) for row in SUBJECTS) / 10
    chance = sum(Fraction(sum(row[label] for row in SUBJECTS), 140) ** 2 for label in range(5))
    return compute_fleiss_kappa(SUBJECTS), (agreement - chance) / (1 - chance)


def prediction_powered_means():
    """Angelopoulos et al., Science 382 (2023), 669-674: without the judge, with it, and with the best weight.

    By hand: 2/3 + mean(0, -1, 0, 1), variances 2/3 and 4/15. The best weight of the third is 85/288, by fractions.
    """
    gold, same, rest = [1, 0, 1, 1], [1, 1, 1, 0], [1, 0, 1, 1, 1, 0]
    plain, full = (estimate_prediction_powered(gold, same, rest, weight=weight) for weight in (0, 1))
    best = estimate_prediction_powered(
        [1, 0, 1, 1, 0, 1, 1, 0], [1, 0, 1, 0, 0, 1, 1, 1], [1, 0, 1, 1, 1, 0, 0, 1, 1, 1]
    )
    z = 1.959963984540054
    ours = (plain.value, plain.high, full.value, full.high, best.value, best.low, best.high)
    theirs = (0.75, 0.75 + z * 0.25, 2 / 3, 2 / 3 + z * math.sqrt(2 / 12 + 4 / 90))
    return ours, (*theirs, 0.647135416667, 0.31217031107, 0.982100522263)


def length_controlled_win_rate():
    """Dubois et al., arXiv:2404.04475: the likelihood of the logistic regression, maximised by scipy."""
    gaps, wins = np.array([5, -3, 9, 2, -8, 4, -1, 6, 7, -6, 3, 1]), np.array([1, 0, 1, 0, 0, 1, 1, 0.5, 1, 0.5, 0, 1])
    shape = np.column_stack([np.ones(12), np.tanh(gaps / gaps.std())])

    def count_loss(coefficients):
        share = special.expit(shape @ coefficients)
        return -(wins * np.log(share) + (1 - wins) * np.log(1 - share)).sum()

    best = optimize.minimize(count_loss, np.zeros(2), tol=1e-12).x
    return estimate_length_controlled(wins, gaps).value, special.expit(best[0])


def correlation_within_clusters():
    """Clusters (1, 1), (1, 0), (0, 0): mean squares 1/2 between and 1/6 within, (1/2 - 1/6) / (1/2 + 1/6)."""
    return estimate_correlation(np.array([1.0, 1, 1, 0, 0, 0]), ["a", "a", "b", "b", "c", "c"]), 0.5


def planned_detectable_difference():
    """Bloom, Evaluation Review 19 (1995), 547-556, with Kish's effect of the design: 1 + 5 * 0.3."""
    ours = plan_smallest_detectable(Design(120, 20, 0.3, discordance=0.3), Power(0.05, 0.9))
    return ours, (stats.t.ppf(0.975, 19) + stats.t.ppf(0.9, 19)) * math.sqrt(0.3 * 2.5 / 120)


def detectable_difference_of_equal_answers():
    """Hanley and Lippman-Hand, JAMA 249 (1983), 1743-1745: none of 60 leaves 1 - 0.05 ** (1 / 60) possible."""
    ours = compute_smallest_detectable(PairedOutcomes([1, 0] * 30, [1, 0] * 30))
    return ours, (stats.t.ppf(0.975, 59) + stats.t.ppf(0.8, 59)) * math.sqrt((1 - 0.05 ** (1 / 60)) / 60)


CASES = [
    wilson,
    newcombe,
    mcnemar_of_a_poll,
    mcnemar_by_counting,
    sign_flips_of_darwins_pairs,
    sign_flips_of_clusters,
    t_of_the_sleep_data,
    t_of_darwins_pairs,
    clustered_error,
    clustered_error_of_unequal_clusters,
    equivalence,
    holm_and_benjamini_hochberg,
    cohens_kappa,
    fleiss_kappa,
    prediction_powered_means,
    length_controlled_win_rate,
    correlation_within_clusters,
    planned_detectable_difference,
    detectable_difference_of_equal_answers,
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_ours_is_theirs_to_a_millionth(case):
    ours, theirs = case()
    assert np.asarray(ours, dtype=float) == pytest.approx(np.asarray(theirs, dtype=float), abs=1e-6, rel=0)


def test_the_list_of_cases_is_whole():
    text = LIST.read_text(encoding="utf-8")
    assert [case.__name__ for case in CASES if f"`{case.__name__}`" not in text] == []
