from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from practicum_jobs.scoring.intervals import (
    Bootstrap,
    compute_group_bootstrap,
    compute_mcnemar_p,
    compute_newcombe,
    compute_wilson,
    estimate_difference,
    estimate_share,
)

PAIRS = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60)


def expand(both, only_base, only_tuned, neither):
    pairs = [(True, True)] * both + [(True, False)] * only_base + [(False, True)] * only_tuned
    return zip(*(pairs + [(False, False)] * neither), strict=True)


@given(st.integers(1, 500).flatmap(lambda total: st.tuples(st.integers(0, total), st.just(total))))
def test_wilson_agrees_with_scipy(case):
    right, total = case
    ours = compute_wilson(right, total)
    theirs = stats.binomtest(right, total).proportion_ci(0.95, method="wilson")
    assert ours.low == pytest.approx(theirs.low, abs=1e-12)
    assert ours.high == pytest.approx(theirs.high, abs=1e-12)


def test_where_both_models_are_always_wrong_the_interval_is_that_of_one_share():
    base, tuned = expand(0, 0, 0, 54)
    interval = compute_newcombe(base, tuned)
    assert interval.high == pytest.approx(compute_wilson(0, 54).high)
    assert interval.low == pytest.approx(-interval.high)


@given(PAIRS)
def test_the_paired_interval_holds_its_value_and_turns_with_the_sign(pairs):
    base, tuned = zip(*pairs, strict=True)
    forth, back = compute_newcombe(base, tuned), compute_newcombe(tuned, base)
    assert -1 <= forth.low <= forth.value <= forth.high <= 1
    assert forth.width > 0
    assert (back.low, back.high) == pytest.approx((-forth.high, -forth.low), abs=1e-12)


@given(PAIRS, st.integers(1, 6))
def test_the_hull_is_never_narrower_than_the_closed_form(pairs, num_groups):
    base, tuned = zip(*pairs, strict=True)
    groups = [f"g{place % num_groups}" for place in range(len(pairs))]
    plan = Bootstrap(100)
    paired, closed = estimate_difference(base, tuned, groups, plan), compute_newcombe(base, tuned)
    assert paired.low <= closed.low
    assert paired.high >= closed.high
    share, wilson = estimate_share(tuned, groups, plan), compute_wilson(sum(tuned), len(tuned))
    assert share.low <= wilson.low <= wilson.high <= share.high


def test_rows_that_go_together_widen_the_interval():
    outcomes = ([True] * 10 + [False] * 10) * 3
    groups = [f"g{place // 10}" for place in range(60)]
    alone = estimate_share(outcomes, [str(place) for place in range(60)], Bootstrap())
    together = estimate_share(outcomes, groups, Bootstrap())
    assert together.width > 1.5 * alone.width


def test_the_bootstrap_is_repeatable_and_does_not_ask_for_equal_groups():
    values, groups = [0.0, 1.0, 1.0, 1.0, 0.0], ["a", "b", "b", "b", "c"]
    first = compute_group_bootstrap(values, groups, Bootstrap(500, seed=3))
    assert first == compute_group_bootstrap(values, groups, Bootstrap(500, seed=3))
    assert first.value == pytest.approx(0.6)


@given(st.integers(0, 40), st.integers(0, 40))
def test_mcnemar_is_a_probability_and_blind_to_the_sign(wins, losses):
    p = compute_mcnemar_p(wins, losses)
    assert 0 < p <= 1
    assert p == pytest.approx(compute_mcnemar_p(losses, wins))


def test_mcnemar_of_a_clear_win():
    assert compute_mcnemar_p(41, 0) == pytest.approx(2 * 0.5**41)


def test_a_share_that_is_none_is_refused():
    with pytest.raises(ValueError, match="not a share"):
        compute_wilson(3, 0)


@pytest.mark.parametrize(("share_base", "gain", "num_rows"), [(0.05, 0.6, 60), (0.5, 0.1, 60), (0.0, 0.4, 30)])
def test_the_paired_interval_covers_the_truth_as_often_as_it_says(share_base, gain, num_rows):
    generator = np.random.default_rng(11)
    covered = 0
    repeats = 400
    for _ in range(repeats):
        base = generator.random(num_rows) < share_base
        # Rows that the base model gets right stay right nine times in ten, so that the pairs are correlated.
        kept = generator.random(num_rows) < 0.9
        rest = (share_base + gain - 0.9 * share_base) / (1 - share_base)
        tuned = np.where(base, kept, generator.random(num_rows) < rest)
        interval = compute_newcombe(base.tolist(), tuned.tolist())
        covered += interval.low <= gain <= interval.high
    # 400 repeats of a true 95% interval fall below 0.92 less than once in a hundred times.
    assert covered / repeats >= 0.92


def test_the_reported_interval_covers_clustered_truth_where_the_closed_form_does_not():
    generator = np.random.default_rng(12)
    closed, reported, repeats = 0, 0, 200
    for _ in range(repeats):
        # 20 templates of 6 rows; a template is learnt as a whole or not: 7 of 10 are.
        learnt = np.repeat(generator.random(20) < 0.7, 6)
        groups = [f"g{place // 6}" for place in range(120)]
        base, tuned = [False] * 120, learnt.tolist()
        plain = compute_newcombe(base, tuned)
        hull = estimate_difference(base, tuned, groups, Bootstrap(300))
        closed += plain.low <= 0.7 <= plain.high
        reported += hull.low <= 0.7 <= hull.high
    assert closed / repeats < 0.75
    assert reported / repeats >= 0.88
