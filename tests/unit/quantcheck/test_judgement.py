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
    assert "150 MiB" in chosen.reason_en
    assert "150 MiB" in chosen.reason_zh


def test_the_original_is_kept_where_nothing_was_shown_to_be_equal():
    worse = judge([True] * 60, [False] * 60)
    chosen = recommend("extract", [build_row(ORIGINAL, 500), build_row("awq", 100, [worse])])
    assert chosen.name == ORIGINAL
    assert "1 are worse" in chosen.reason_en
