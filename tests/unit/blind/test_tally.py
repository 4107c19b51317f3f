"""Counting of blind ratings: who counts, who wins, agreement."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from answer_pairs import build_pairs
from practicum_core.blind_files import CheckKind, Choice, Ratings
from practicum_jobs.blind.sheet import Options, build_sheet
from practicum_jobs.reveal.tally import (
    Pair,
    compute_joint_kappa,
    compute_kappa,
    compute_longer_rate,
    compute_sign_test,
    count_sides,
    estimate_preference,
    judge_rater,
    list_pairs,
)

KEY = build_sheet(build_pairs(), Options(20, 2, 2, [], 7), "salt").key
OTHER = {Choice.FIRST: Choice.SECOND, Choice.SECOND: Choice.FIRST}
PAIRS = [item for item in KEY.items if item.check is None]


def rate(rater, choose, check=None):
    """Rate every item: pairs by ``choose(place, item)``, checks rightly or by ``check(item)``."""
    answers = {}
    for item in KEY.items:
        if item.check is None:
            answers[item.id] = choose(PAIRS.index(item), item)
        elif check is not None:
            answers[item.id] = check(item)
        else:
            answers[item.id] = Choice.TIE if item.check is CheckKind.IDENTICAL else item.candidate_side
    return Ratings(
        kind="practicum-blind-ratings", key_sha256="k", items_sha256=KEY.items_sha256, rater=rater, answers=answers
    )


def prefer_first_n(num_wins):
    return lambda place, item: item.candidate_side if place < num_wins else OTHER[item.candidate_side]


def test_a_careful_rater_counts():
    result = judge_rater(KEY, rate("rater-1", prefer_first_n(15)))
    assert (result.is_kept, result.failed_checks, result.wins, result.losses) == (True, [], 15, 5)


@pytest.mark.parametrize(
    ("name", "check"),
    [
        ("always the first", lambda item: Choice.FIRST),
        ("always the second", lambda item: Choice.SECOND),
        ("always a tie", lambda item: Choice.TIE),
        ("prefers what is plainly wrong", lambda item: OTHER[item.candidate_side]),
    ],
)
def test_a_rater_who_does_not_read_is_left_out(name, check):
    assert not judge_rater(KEY, rate(name, prefer_first_n(10), check)).is_kept


def test_one_missed_check_of_four_is_forgiven():
    missed = next(item for item in KEY.items if item.check is CheckKind.IDENTICAL)
    right = rate("rater-1", prefer_first_n(10))
    result = judge_rater(KEY, right.model_copy(update={"answers": {**right.answers, missed.id: Choice.FIRST}}))
    assert (result.is_kept, result.failed_checks) == (True, [missed.id])


def test_a_clear_preference_is_significant_and_an_even_split_is_not():
    clear = list_pairs(KEY, [rate("rater-1", prefer_first_n(18)), rate("rater-2", prefer_first_n(18))])
    even = list_pairs(KEY, [rate("rater-1", prefer_first_n(10)), rate("rater-2", prefer_first_n(10))])
    interval = estimate_preference(clear, 0.95)
    assert interval.value == 0.9
    assert interval.low > 0.5
    # Binomial, 18 of 20, two-sided: 2 * (190 + 20 + 1) / 2**20.
    assert compute_sign_test(clear) == pytest.approx(2 * 211 / 2**20, rel=1e-9)
    assert compute_sign_test(even) == 1.0
    assert estimate_preference(even, 0.95).low < 0.5 < estimate_preference(even, 0.95).high


@pytest.mark.parametrize(("num_groups", "per_group"), [(20, 1), (10, 2), (5, 4), (20, 5)])
def test_the_interval_covers_with_few_groups_that_stick_together(num_groups, per_group):
    generator = np.random.default_rng(7)
    covered, num_trials = 0, 400
    for _ in range(num_trials):
        # A pair is won with the probability of its group, which is nearly 0 or nearly 1; on average half are won.
        shares = 1 / (1 + np.exp(-3 * generator.standard_normal(num_groups)))
        pairs = [
            Pair(PAIRS[0].model_copy(update={"group": f"g{group}"}), {"rater-1": choice})
            for group, share in enumerate(shares)
            for choice in np.where(generator.random(per_group) < share, "candidate", "base").tolist()
        ]
        interval = estimate_preference(pairs, 0.95)
        covered += interval.low <= 0.5 <= interval.high
    assert covered / num_trials >= 0.93


def test_ties_count_half_and_not_in_the_sign_test():
    ties = list_pairs(KEY, [rate("rater-1", lambda place, item: Choice.TIE)])
    assert estimate_preference(ties, 0.95).value == 0.5
    assert compute_sign_test(ties) == 1.0


def test_agreement_beyond_chance():
    same = [rate("rater-1", prefer_first_n(10)), rate("rater-2", prefer_first_n(10))]
    # Raters 1 and 3 agree on 15 of 20; each says "candidate" 10 and 15 times: (0.75 - 0.5) / (1 - 0.5).
    apart = [rate("rater-1", prefer_first_n(10)), rate("rater-3", prefer_first_n(15))]
    assert compute_kappa(list_pairs(KEY, same)) == 1.0
    assert compute_kappa(list_pairs(KEY, apart)) == pytest.approx(0.5)
    assert compute_kappa(list_pairs(KEY, same[:1])) is None
    assert compute_joint_kappa(list_pairs(KEY, same)) is None
    # Agreement (10 + 5 / 3 + 5) / 20, by chance (35 / 60) ** 2 + (25 / 60) ** 2.
    three = list_pairs(KEY, [*same, rate("rater-3", prefer_first_n(15))])
    assert compute_joint_kappa(three) == pytest.approx(0.657142857, abs=1e-9)
    assert compute_joint_kappa(list_pairs(KEY, [rate(f"rater-{n}", prefer_first_n(20)) for n in range(3)])) == 1.0


def test_the_side_and_the_length_that_raters_prefer_are_seen():
    always_first = rate("rater-1", lambda place, item: Choice.FIRST)
    assert count_sides(KEY, [always_first]) == (20, 0)
    longer = rate(
        "rater-2",
        lambda place, item: item.candidate_side if len(item.candidate) > len(item.base) else OTHER[item.candidate_side],
    )
    assert compute_longer_rate(list_pairs(KEY, [longer])) == 1.0


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(list(Choice)), min_size=20, max_size=20))
def test_swapping_the_models_mirrors_the_result(choices):
    swapped = [OTHER.get(choice, choice) for choice in choices]
    one = list_pairs(KEY, [rate("rater-1", lambda place, item: choices[place])])
    other = list_pairs(KEY, [rate("rater-1", lambda place, item: swapped[place])])
    first, second = (estimate_preference(pairs, 0.95).value for pairs in (one, other))
    assert first + second == pytest.approx(1)
    assert compute_sign_test(one) == compute_sign_test(other)
