"""The section "Key numbers": headline figures, plots of confidence intervals, and a table of all metrics."""

from __future__ import annotations

import math
from collections import Counter

from practicum_core.metrics import StageMetric
from practicum_core.texts import Bilingual, Text
from practicum_jobs.render.blocks import Block, Charts, Column, Disclosure, Figure, Figures, Notice, Section, Table
from practicum_jobs.render.charts import Chart, Interval, Tone, interval_plot
from practicum_jobs.render.figures import format_figure, format_interval, format_metric, get_metric_title, rank_metric
from practicum_jobs.render.titles import SUFFIXES, UNITS
from practicum_jobs.report.messages import NUMBERS, READING, SECTIONS
from practicum_jobs.report.verdict import Pack

_SHOWN_ELSEWHERE = ("recall:", "precision:")
"""Prefixes of metrics that the audit section shows in its own table."""


def build_numbers_section(pack: Pack) -> Section:
    """Build the section with key figures, intervals and the table of all metrics."""
    metrics = pack.evidence.metrics
    if not metrics:
        return Section("numbers", SECTIONS["numbers"], [Notice(NUMBERS["none"], "bad")])
    gated = {(gate.step, gate.metric) for gate in pack.files.unit.gates}
    keys = sorted(
        (metric for metric in metrics if _is_key(metric, gated) and not _has_tuned_copy(metric, metrics)),
        key=lambda metric: rank_metric(metric.name),
    )
    repeated = _find_repeated(keys)
    charts = _build_forests(metrics)
    blocks: list[Block] = []
    if keys:
        blocks.append(Figures([_build_figure(metric, repeated) for metric in keys]))
    if charts:
        blocks.append(Charts(charts))
    title = NUMBERS["all"].format(count=len(metrics))
    blocks.append(Disclosure(title, [_build_table(metrics)]))
    return Section("numbers", SECTIONS["numbers"], blocks, READING["numbers"] if charts else None)


def _is_key(metric: StageMetric, gated: set[tuple[str, str]]) -> bool:
    return (metric.stage, metric.name) in gated or (get_metric_title(metric).is_key and _has_interval(metric))


def _has_tuned_copy(metric: StageMetric, metrics: list[StageMetric]) -> bool:
    """Whether the step also reports this metric under the name of the tuned model."""
    return any(other.stage == metric.stage and other.name == f"{metric.name}_tuned" for other in metrics)


def _find_repeated(metrics: list[StageMetric]) -> frozenset[str]:
    """Return the names that several steps measured, which are shown with their step."""
    return frozenset(name for name, count in Counter(metric.name for metric in metrics).items() if count > 1)


def _name_metric(metric: StageMetric, repeated: frozenset[str]) -> Bilingual:
    title = get_metric_title(metric).title
    return NUMBERS["of_step"].format(title=title, step=metric.stage) if metric.name in repeated else title


def _build_figure(metric: StageMetric, repeated: frozenset[str]) -> Figure:
    interval = format_interval(metric)
    known = get_metric_title(metric)
    note: Text = UNITS.get(metric.unit, metric.unit) if known.style == "number" else ""
    if interval:
        note = Bilingual("95%: {x}", "95%：{x}").format(x=interval)
    return Figure(_name_metric(metric, repeated), format_figure(metric.value, known.style), note)


def _build_forests(metrics: list[StageMetric]) -> list[tuple[Chart, Bilingual | None]]:
    """Draw one plot per kind of metric, because shares and losses cannot share an axis."""
    drawn: list[tuple[Chart, Bilingual | None]] = []
    shown = [metric for metric in metrics if _has_interval(metric) and not _has_tuned_copy(metric, metrics)]
    repeated = _find_repeated(shown)
    for name in ("share", "points", "detail", "number"):
        chosen = [metric for metric in shown if _get_plot_name(metric) == name]
        rows = [_build_interval(metric, repeated) for metric in _pair_base_with_tuned(chosen)]
        if rows:
            reading = NUMBERS["forest_reference" if name == "points" else "forest_reading"]
            reference = 0.0 if name == "points" else None
            chart = interval_plot(f"forest-{name}", NUMBERS[f"forest_{name}"], rows, reference=reference)
            drawn.append((chart, reading))
    return drawn


def _pair_base_with_tuned(metrics: list[StageMetric]) -> list[StageMetric]:
    """Sort metrics so that the base model's and the tuned model's value of the same metric are adjacent."""
    stems = list(dict.fromkeys(map(_get_stem, metrics)))
    return sorted(metrics, key=lambda metric: stems.index(_get_stem(metric)))


def _get_stem(metric: StageMetric) -> str:
    for suffix in SUFFIXES:
        if metric.name.endswith(suffix):
            return metric.name.removesuffix(suffix)
    return metric.name


def _get_plot_name(metric: StageMetric) -> str:
    title = get_metric_title(metric)
    if title.style == "share":
        return "share" if title.is_key else "detail"
    return "points" if title.style == "points" else "number"


def _has_interval(metric: StageMetric) -> bool:
    ends = (metric.value, metric.low, metric.high)
    is_whole = all(end is not None and math.isfinite(end) for end in ends)
    return is_whole and not metric.name.startswith(_SHOWN_ELSEWHERE)


def _build_interval(metric: StageMetric, repeated: frozenset[str]) -> Interval:
    known = get_metric_title(metric)
    factor = 100.0 if known.style in ("share", "points") else 1.0
    is_difference = known.style == "points"
    low, high = (metric.low or 0.0) * factor, (metric.high or 0.0) * factor
    tone: Tone = "plain"
    if is_difference and low > 0:
        tone = "good"
    elif is_difference and high < 0:
        tone = "bad"
    return Interval(_name_metric(metric, repeated), metric.value * factor, low, high, format_metric(metric), tone)


def _build_table(metrics: list[StageMetric]) -> Table:
    columns = [
        Column(NUMBERS["metric"]),
        Column(NUMBERS["step"], "name"),
        Column(NUMBERS["value"], "number"),
        Column(NUMBERS["interval"], "number"),
        Column(NUMBERS["name"], "code"),
    ]
    rows = [
        [
            get_metric_title(metric).title,
            metric.stage,
            format_metric(metric),
            format_interval(metric) or "–",
            metric.name,
        ]
        for metric in metrics
    ]
    return Table(NUMBERS["caption"], columns, rows)
