"""Metrics of an evaluation with a candidate, from scores that are known."""

from __future__ import annotations

from practicum_core.rows import Message, Row
from practicum_jobs.evaluate.measures import Scored, Statistics, build_control_metrics, build_metrics
from practicum_jobs.scoring.answers import Score
from practicum_jobs.scoring.intervals import Bootstrap

RIGHT, WRONG = Score(is_exact=True, is_mentioned=True), Score(is_exact=False, is_mentioned=False, failure="wrong_text")
STATISTICS = Statistics(0.95, Bootstrap(200, 0))


def build_scored():
    """Four templates of ten rows each: the candidate is right on all rows of three, and the base on none."""
    rows = [
        Row(id=f"r{n}", messages=[Message(role="user", content="?")], answer="yes", group=f"g{n % 4}")
        for n in range(40)
    ]
    return Scored(rows, [WRONG] * 40, [RIGHT if n % 4 else WRONG for n in range(40)])


def test_a_comparison_has_no_test_that_ignores_the_groups_of_rows():
    figures = {metric.name: metric for metric in build_metrics(build_scored(), STATISTICS)}
    assert (figures["wins"].value, figures["losses"].value) == (30, 0)
    delta = figures["exact_match_delta"]
    assert (delta.value, delta.high - delta.low > 0.4) == (0.75, True)
    assert [name for name in figures if name.endswith("_p")] == []


def test_neither_has_that_of_the_control_rows():
    names = [metric.name for metric in build_control_metrics(build_scored(), STATISTICS)]
    assert names[1:] == [
        "control_mentioned_base",
        "control_mentioned_tuned",
        "control_mentioned_delta",
        "control_wins",
        "control_losses",
    ]
