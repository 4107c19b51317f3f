"""Levers against their baseline: intervals of ratios, verdicts, and what counts as a failure."""

from __future__ import annotations

import random

import pytest

from practicum_core.stages.levers import BASELINE, CONTROL, LeverRow
from practicum_jobs.levers.comparison import build_rows, estimate_ratio, plan_order
from practicum_jobs.levers.results import build_lever_failures, build_lever_metrics


def make_rounds(factors, num_rounds=6, noise=0.02, seed=3):
    """Make rounds in which the machine's pace drifts twofold, which every measurement of a round shares."""
    generator = random.Random(seed)
    rounds = []
    for number in range(num_rounds):
        pace = 100 * (1 + number / num_rounds)
        rounds.append({name: {"rate": pace * one * generator.gauss(1, noise)} for name, one in factors.items()})
    return rounds


def test_an_effect_is_told_from_noise_although_the_machine_drifts():
    factors = {BASELINE: 1.0, CONTROL: 1.0, "fast": 1.3, "slow": 0.6, "none": 1.0}
    rows = {row.name: row for row in build_rows(list(factors), make_rounds(factors), "rate")}
    assert {name: row.verdict for name, row in rows.items()} == {
        BASELINE: "not_measured",
        CONTROL: "undecided",
        "fast": "better",
        "slow": "worse",
        "none": "undecided",
    }
    assert rows["fast"].ratios["rate"].low < 1.3 < rows["fast"].ratios["rate"].high


def test_the_interval_covers_the_true_ratio_as_often_as_it_says():
    covered = 0
    for seed in range(300):
        generator = random.Random(seed)
        before = [generator.gauss(100, 5) for _ in range(4)]
        after = [120 * generator.gauss(1, 0.05) for _ in range(4)]
        ratio, _ = estimate_ratio(before, after)
        covered += ratio.low <= 1.2 <= ratio.high
    assert 270 <= covered <= 297


def test_many_levers_without_an_effect_rarely_get_a_verdict():
    factors = {BASELINE: 1.0, CONTROL: 1.0, **{f"l{number}": 1.0 for number in range(8)}}
    false = 0
    for seed in range(40):
        rows = build_rows(list(factors), make_rounds(factors, num_rounds=4, seed=seed), "rate")
        false += any(row.verdict in ("better", "worse") for row in rows if row.name not in (BASELINE, CONTROL))
    assert false <= 6


def test_a_lever_that_failed_is_not_measured_and_the_others_are():
    rounds = make_rounds({BASELINE: 1.0, CONTROL: 1.0, "fast": 1.5})
    rows = build_rows([BASELINE, CONTROL, "fast", "broken"], rounds, "rate")
    assert (rows[2].verdict, rows[3].verdict) == ("better", "not_measured")
    noted = [*rows[:3], rows[3].model_copy(update={"note": "its process ended with 1"})]
    assert [one.where for one in build_lever_failures(noted, set())] == ["broken"]
    metrics = {one.name: one.value for one in build_lever_metrics(noted, "rate", set())}
    assert (metrics["num_levers"], metrics["num_unmeasured"], metrics["num_better"]) == (2, 1, 1)
    assert metrics["control_deviation"] < 0.05


def test_without_a_baseline_no_lever_is_measured():
    rounds = [{"fast": {"rate": 2.0}}, {"fast": {"rate": 2.0}}]
    rows = build_rows([BASELINE, CONTROL, "fast"], rounds, "rate")
    assert [row.verdict for row in rows] == ["not_measured"] * 3
    names = {one.name for one in build_lever_metrics(rows, "rate", set())}
    assert not names & {"control_deviation", "best_ratio"}


@pytest.mark.parametrize(("name", "count"), [("packing=true", 1), ("dtype=bfloat16", 0)])
def test_only_a_lever_that_must_keep_the_result_is_reproached_for_a_change(name, count):
    rows = [LeverRow(name=BASELINE), LeverRow(name=CONTROL), LeverRow(name=name, effect="changed", effect_size=0.1)]
    metrics = {one.name: one.value for one in build_lever_metrics(rows, "rate", {"packing=true"})}
    assert metrics["num_unexpected_changes"] == count
    assert len(build_lever_failures(rows, {"packing=true"})) == count


def test_each_round_has_an_order_of_its_own():
    orders = plan_order(["a", "b", "c", "d"], 20, seed=1)
    assert len({tuple(order) for order in orders}) > 10
    assert plan_order(["a", "b", "c", "d"], 20, seed=1) == orders
