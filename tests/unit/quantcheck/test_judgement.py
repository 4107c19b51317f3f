"""Verdicts, recommendation and lines of the sheet, from outcomes that are known."""

from __future__ import annotations

import pytest

from practicum_core.stages.quantcheck import ORIGINAL, SheetRow
from practicum_jobs.quantcheck.judgement import TaskScores, judge_task, recommend


def judge(original, artifact, margin=0.1, clusters=None):
    names = clusters or [f"item:{number}" for number in range(len(original))]
    scores = TaskScores({ORIGINAL: original, "int8": artifact}, names)
    return judge_task("extract", scores, "int8", margin)


@pytest.mark.parametrize(
    ("original", "artifact", "verdict"),
    [
        ([True] * 60, [True] * 60, "equivalent"),
        ([True] * 60, [True] * 59 + [False], "equivalent"),
        ([True] * 60, [False] * 30 + [True] * 30, "worse"),
        ([False] * 60, [False] * 30 + [True] * 30, "better"),
        ([True] * 6, [True] * 6, "unclear"),
    ],
)
def test_a_task_gets_its_verdict(original, artifact, verdict):
    assert judge(original, artifact).verdict == verdict


def test_answers_that_changed_are_counted_even_where_the_mean_did_not():
    one = judge([True, True, False, False, True] * 12, [False, True, True, False, True] * 12)
    assert (one.difference, one.num_lost, one.num_gained) == (0, 12, 12)


def test_few_clusters_show_no_equivalence():
    clusters = [f"group:{number % 4}" for number in range(60)]
    one = judge([True] * 60, [True] * 60, clusters=clusters)
    assert (one.verdict, one.num_items, one.num_clusters) == ("unclear", 60, 4)


def build_row(name, size, tasks=()):
    return SheetRow(name=name, engine="vllm", disk_bytes=size, tokens_per_s={"32": 100.0}, tasks=list(tasks))


def test_the_smallest_of_the_equal_ones_is_recommended():
    equal = judge([True] * 60, [True] * 60)
    worse = judge([True] * 60, [False] * 60)
    rows = [
        build_row(ORIGINAL, 500 * 2**20),
        build_row("gguf-q8_0", 150 * 2**20, [equal]),
        build_row("int8", 170 * 2**20, [equal]),
        build_row("awq", 100 * 2**20, [worse]),
    ]
    chosen = recommend("extract", rows)
    assert chosen.name == "gguf-q8_0"
    assert "(difference +0.0 to +0.0 points)" in chosen.reason_en
    assert "150 MiB" in chosen.reason_en
    assert "150 MiB" in chosen.reason_zh


def test_the_original_is_kept_where_nothing_was_shown_to_be_equal():
    worse = judge([True] * 60, [False] * 60)
    chosen = recommend("extract", [build_row(ORIGINAL, 500), build_row("awq", 100, [worse])])
    assert chosen.name == ORIGINAL
    assert "1 are worse" in chosen.reason_en


@pytest.mark.parametrize("right", [0, 30])
def test_the_original_is_kept_where_it_answers_nothing_itself(right):
    nothing = judge([False] * 60, [True] * right + [False] * (60 - right))
    assert nothing.verdict in ("equivalent", "better")
    chosen = recommend("extract", [build_row(ORIGINAL, 500), build_row("awq", 100, [nothing])])
    assert chosen.name == ORIGINAL
    assert "the original answers none of 60 items" in chosen.reason_en
    assert "60 个样本一个也没有答对" in chosen.reason_zh


def test_the_reason_gives_the_highest_throughput_at_whatever_concurrency():
    row = build_row("int8", 100, [judge([True] * 60, [True] * 60)])
    row = row.model_copy(update={"tokens_per_s": {"8": 90.0, "32": 70.0}})
    reason = recommend("extract", [build_row(ORIGINAL, 500), row])
    assert reason.reason_en.endswith("highest throughput 90 instead of 100 tokens/s")
    assert "最高吞吐 90 词元/秒（原模型 100）" in reason.reason_zh
