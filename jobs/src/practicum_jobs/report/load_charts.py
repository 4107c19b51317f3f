"""Charts of a load test: throughput and goodput, latency against load, its distribution, and the time line."""

from __future__ import annotations

import math
from collections.abc import Sequence

from practicum_core.stages.load_results import LoadLevel, LoadSample, TimelinePoint
from practicum_core.stages.loadtest import LoadtestRecord
from practicum_core.stages.samples import Sample
from practicum_core.texts import Bilingual
from practicum_jobs.render.charts import Chart, Mark, Series, histogram, line_chart
from practicum_jobs.report.load_messages import CHARTS

Drawn = tuple[Chart, Bilingual | None]
_NUM_BARS = 24


def build_load_charts(record: LoadtestRecord, samples: Sequence[Sample]) -> list[Drawn]:
    """Build the charts for which there is something to draw."""
    requests = [one for one in samples if isinstance(one, LoadSample) and one.phase == "measured" and one.is_ok]
    levels = sorted((level for level in record.levels if not level.refused), key=lambda level: level.rate)
    charts: list[Drawn | None] = [
        _draw_throughput(record, levels),
        _draw_latency(record, levels),
        *_draw_distributions(record, levels, requests),
        _draw_timeline(record),
        _draw_engines(record),
    ]
    return [chart for chart in charts if chart is not None]


def _draw_throughput(record: LoadtestRecord, levels: Sequence[LoadLevel]) -> Drawn | None:
    if not levels:
        return None
    answered = Series(CHARTS["answered"], [(one.rate, one.reached_rate) for one in levels], has_dots=True)
    good = [(one.rate, one.goodput.value) for one in levels if one.goodput is not None]
    chart = line_chart(
        f"throughput-{record.step}",
        CHARTS["throughput"],
        [answered, Series(CHARTS["good"], good, has_dots=True)],
        x_label=CHARTS["x_rate"],
        y_label=CHARTS["y_rate"],
        marks=_mark_knee(record),
    )
    return chart, CHARTS["throughput_reading"]


def _draw_latency(record: LoadtestRecord, levels: Sequence[LoadLevel]) -> Drawn | None:
    measured = [(level.rate, level.ttft) for level in levels if level.ttft is not None]
    if not measured:
        return None
    series = [
        Series(name, [(rate, getattr(ttft, name).value) for rate, ttft in measured], has_dots=True)
        for name in ("p50", "p95", "p99")
    ]
    chart = line_chart(
        f"latency-{record.step}",
        CHARTS["latency"],
        series,
        x_label=CHARTS["x_rate"],
        y_label=CHARTS["y_seconds"],
        marks=_mark_knee(record),
    )
    return chart, CHARTS["latency_reading"]


def _mark_knee(record: LoadtestRecord) -> list[Mark]:
    return [Mark(record.knee_rate.value, CHARTS["knee"], "good")] if record.knee_rate else []


def _draw_distributions(
    record: LoadtestRecord, levels: Sequence[LoadLevel], requests: Sequence[LoadSample]
) -> list[Drawn | None]:
    knee = record.knee_rate.value if record.knee_rate else None
    at_knee = next((level for level in levels if level.rate == knee), None)
    above = next((level for level in levels if not level.meets_slo), None)
    named = [("at_knee", at_knee), ("above_knee", above)]
    return [_draw_distribution(record, level, requests, name) for name, level in named if level is not None]


def _draw_distribution(
    record: LoadtestRecord, level: LoadLevel, requests: Sequence[LoadSample], name: str
) -> Drawn | None:
    values = sorted(one.ttft_s for one in requests if one.load == level.load and one.ttft_s is not None)
    if not values:
        return None
    limit = record.objective.ttft_s
    # One request that took ten times as long would leave a single bar for all others.
    end = max(values[math.ceil(0.99 * len(values)) - 1], values[0] * 1.001, 1e-6)
    width = end / _NUM_BARS
    counts = [0] * _NUM_BARS
    for value in values:
        counts[min(int(value / width), _NUM_BARS - 1)] += 1
    chart = histogram(
        f"{name.replace('_', '-')}-{record.step}",
        CHARTS["distribution"].format(rate=f"{level.rate:g}"),
        [number * width for number in range(_NUM_BARS + 1)],
        counts,
        x_label=CHARTS["x_ttft"],
        y_label=CHARTS["y_count"],
        marks=[] if limit is None else [Mark(limit, CHARTS["slo"], "warn")],
    )
    return chart, CHARTS["distribution_reading"].format(name=CHARTS[name])


def _draw_timeline(record: LoadtestRecord) -> Drawn | None:
    names = ("running", "waiting", "gateway_waiting")
    series = [Series(CHARTS[name], points) for name in names if (points := _list_points(record.timeline, name))]
    if not series:
        return None
    chart = line_chart(
        f"timeline-{record.step}",
        CHARTS["timeline"],
        series,
        x_label=CHARTS["x_time"],
        y_label=CHARTS["y_count"],
        marks=_mark_rates(record.timeline),
    )
    return chart, CHARTS["timeline_reading"]


def _draw_engines(record: LoadtestRecord) -> Drawn | None:
    """Draw the replicas, where their number changed."""
    points = [(one.at_s, float(one.num_engines)) for one in record.timeline]
    if len({number for _, number in points}) < 2:  # noqa: PLR2004 - a line that never moves says nothing
        return None
    chart = line_chart(
        f"engines-{record.step}",
        CHARTS["engines"],
        [Series(CHARTS["replicas"], points)],
        x_label=CHARTS["x_time"],
        y_label=CHARTS["replicas"],
        marks=_mark_rates(record.timeline),
    )
    return chart, CHARTS["engines_reading"]


def _list_points(timeline: Sequence[TimelinePoint], name: str) -> list[tuple[float, float]]:
    return [(one.at_s, value) for one in timeline if (value := getattr(one, name)) is not None]


def _mark_rates(timeline: Sequence[TimelinePoint]) -> list[Mark]:
    """Mark where each rate begins."""
    marks: list[Mark] = []
    before: float | None = None
    for one in timeline:
        if one.rate is not None and one.rate != before:
            marks.append(Mark(one.at_s, f"{one.rate:g}/s"))
        before = one.rate if one.rate is not None else before
    return marks
