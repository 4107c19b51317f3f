"""Decides which recorded figures stand out, and draws those that have an interval."""

from __future__ import annotations

import math

from practicum_core.metrics import StageMetric
from practicum_jobs.render.bilingual import Bilingual, Text
from practicum_jobs.render.blocks import Block, Charts, Column, Disclosure, Figure, Figures, Notice, Section, Table
from practicum_jobs.render.charts import Chart, Interval, Tone, interval_plot
from practicum_jobs.report.figures import format_interval, format_metric, get_title
from practicum_jobs.report.messages import NUMBERS, READING, SECTIONS
from practicum_jobs.report.titles import METRICS, Style
from practicum_jobs.report.verdict import Pack


def build_numbers_section(pack: Pack) -> Section:
    """Build the section with key figures, intervals and the table of everything."""
    metrics = pack.evidence.metrics
    if not metrics:
        return Section("numbers", SECTIONS["numbers"], [Notice(NUMBERS["none"], "bad")])
    gated = {(gate.step, gate.metric) for gate in pack.files.unit.gates}
    order = list(METRICS)
    keys = sorted(
        (metric for metric in metrics if _is_key(metric, gated)),
        key=lambda metric: order.index(metric.name) if metric.name in order else len(order),
    )
    charts = _build_forests(metrics)
    blocks: list[Block] = []
    if keys:
        blocks.append(Figures([_build_figure(metric) for metric in keys]))
    if charts:
        blocks.append(Charts(charts))
    title = NUMBERS["all"].format(count=len(metrics))
    blocks.append(Disclosure(title, [_build_table(metrics)]))
    return Section("numbers", SECTIONS["numbers"], blocks, READING["numbers"] if charts else None)


def _is_key(metric: StageMetric, gated: set[tuple[str, str]]) -> bool:
    return (metric.stage, metric.name) in gated or get_title(metric.name).is_key


def _build_figure(metric: StageMetric) -> Figure:
    interval = format_interval(metric)
    note: Text = ""
    if interval:
        note = Bilingual("95%: {x}", "95%：{x}").format(x=interval)
    return Figure(get_title(metric.name).title, format_metric(metric), note)


def _build_forests(metrics: list[StageMetric]) -> list[tuple[Chart, Bilingual | None]]:
    """Draw one plot per kind of figure, because shares and losses have no common axis."""
    drawn: list[tuple[Chart, Bilingual | None]] = []
    groups: tuple[tuple[Style, float, float | None], ...] = (
        ("share", 100, None),
        ("points", 100, 0),
        ("number", 1, None),
    )
    for style, factor, reference in groups:
        rows = [
            _build_interval(metric, factor, is_difference=style == "points")
            for metric in metrics
            if _has_interval(metric) and get_title(metric.name, metric.unit, metric.value).style == style
        ]
        if rows:
            reading = NUMBERS["forest_reading" if reference is None else "forest_reference"]
            chart = interval_plot(f"forest-{style}", NUMBERS[f"forest_{style}"], rows, reference=reference)
            drawn.append((chart, reading))
    return drawn


def _has_interval(metric: StageMetric) -> bool:
    ends = (metric.value, metric.low, metric.high)
    return all(end is not None and math.isfinite(end) for end in ends)


def _build_interval(metric: StageMetric, factor: float, *, is_difference: bool) -> Interval:
    low, high = (metric.low or 0.0) * factor, (metric.high or 0.0) * factor
    tone: Tone = "plain"
    if is_difference and low > 0:
        tone = "good"
    elif is_difference and high < 0:
        tone = "bad"
    title = get_title(metric.name, metric.unit, metric.value).title
    return Interval(title, metric.value * factor, low, high, format_metric(metric), tone)


def _build_table(metrics: list[StageMetric]) -> Table:
    columns = [
        Column(NUMBERS["metric"]),
        Column(NUMBERS["step"], "code"),
        Column(NUMBERS["value"], "number"),
        Column(NUMBERS["interval"], "number"),
        Column(NUMBERS["name"], "code"),
    ]
    rows = [
        [
            get_title(metric.name, metric.unit, metric.value).title,
            metric.stage,
            format_metric(metric),
            format_interval(metric) or "–",
            metric.name,
        ]
        for metric in metrics
    ]
    return Table(NUMBERS["caption"], columns, rows)
