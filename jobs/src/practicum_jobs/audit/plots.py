"""The charts of an audit report."""

from __future__ import annotations

import numpy as np

from practicum_core.texts import Bilingual
from practicum_jobs.audit.catalogue import CATALOGUE, Level
from practicum_jobs.audit.record import Result
from practicum_jobs.render.charts import Bar, Chart, Mark, Tone, bar_chart, histogram

TONES: dict[Level, Tone] = {"pass": "good", "warn": "warn", "fail": "bad"}
NUM_BINS = 32
SCRIPT_TITLES = {
    "none": Bilingual("No letters", "无文字"),
    "latin": Bilingual("Latin script", "拉丁字母"),
    "zh": Bilingual("Chinese", "中文"),
    "ja": Bilingual("Japanese", "日文"),
    "ko": Bilingual("Korean", "韩文"),
    "cyrillic": Bilingual("Cyrillic", "西里尔字母"),
    "arabic": Bilingual("Arabic", "阿拉伯字母"),
    "other": Bilingual("Other scripts", "其他文字"),
    "mixed": Bilingual("Chinese and Latin mixed", "中文与拉丁字母混排"),
}


def build_charts(result: Result) -> list[Chart]:
    """Return the charts, in the order of the page."""
    charts = [] if not result.lengths else [build_length_chart(result)]
    return [*charts, build_script_chart(result), build_finding_chart(result)]


def build_length_chart(result: Result) -> Chart:
    """Draw how many rows have how many tokens, up to a little over ``max_length``; longer rows are in the last bar."""
    counts_by_length = result.scan.length_counts
    limit = result.config.max_length
    top = max(int(min(len(counts_by_length) - 1, 1.25 * limit)), 1)
    lengths = np.minimum(np.arange(len(counts_by_length)), top)
    counts, edges = np.histogram(lengths, bins=NUM_BINS, range=(0, top), weights=counts_by_length)
    marks = [Mark(float(limit), Bilingual("max_length", "max_length"), "bad")] if limit <= top else []
    return histogram(
        "lengths",
        Bilingual("Tokens per row", "每行词元数"),
        edges.tolist(),
        counts.tolist(),
        x_label=Bilingual("tokens", "词元"),
        y_label=Bilingual("rows", "行"),
        marks=marks,
    )


def build_script_chart(result: Result) -> Chart:
    """Draw how many rows are in which script."""
    counts = sorted(result.scan.scripts.items(), key=lambda item: -item[1])
    bars = [Bar(SCRIPT_TITLES[name], count, f"{count:,}") for name, count in counts]
    return bar_chart("scripts", Bilingual("Rows by script", "各书写系统的行数"), bars)


def build_finding_chart(result: Result) -> Chart:
    """Draw how many rows have each finding, the most frequent first."""
    counts = {name: result.scan.count(name) for name in CATALOGUE}
    found = sorted((name for name in CATALOGUE if counts[name]), key=lambda name: -counts[name])
    bars = [Bar(CATALOGUE[name].title, counts[name], f"{counts[name]:,}", TONES[result.levels[name]]) for name in found]
    nothing = [Bar(Bilingual("No findings", "未发现问题"), 0, "0")]
    return bar_chart("findings", Bilingual("Rows by finding", "各类问题的行数"), bars or nothing)
