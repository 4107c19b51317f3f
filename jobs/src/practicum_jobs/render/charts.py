"""Line charts, histograms, bar charts and interval plots as SVG, inlined in a page or written to a file.

No plotting library is used (decision 0004): one drawing serves both languages, dark mode and print, is legible at
360 px, needs no fonts and no slow import, and equal input gives equal bytes.
"""

from __future__ import annotations

import importlib.resources
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from practicum_core.texts import Bilingual, Text
from practicum_jobs.render import svg
from practicum_jobs.render.scale import LogScale, Point, Scale, format_tick, get_ticks, split_finite, thin

WIDTH = 420.0
HEIGHT = 264.0
LEFT = 56.0
RIGHT = 16.0
BOTTOM = 44.0
TOP = 48.0
ROW_HEIGHT = 46.0
Tone = Literal["plain", "good", "warn", "bad"]


@dataclass(frozen=True)
class Chart:
    """A finished drawing. ``name`` is a slug that is unique on its page; the ids in the SVG start with it."""

    name: str
    title: Bilingual
    description: Bilingual
    body: str
    height: float = HEIGHT
    top: float = 0.0

    def __html__(self) -> str:
        """Return the drawing for a page; templates do not escape it."""
        return self._build("")

    def to_file_content(self) -> str:
        """Return the content of a standalone SVG file, which includes the style sheet."""
        css = importlib.resources.files("practicum_jobs.render").joinpath("templates/charts.css").read_text("utf-8")
        return self._build(svg.element("style", css)) + "\n"

    def _build(self, head: str) -> str:
        label = svg.element("title", svg.escape_text(f"{self.title.en} / {self.title.zh}"), id=f"{self.name}-title")
        about = svg.element(
            "desc", svg.escape_text(f"{self.description.en} / {self.description.zh}"), id=f"{self.name}-desc"
        )
        return svg.element(
            "svg",
            f"{label}{about}{head}{self.body}",
            xmlns="http://www.w3.org/2000/svg",
            viewBox=" ".join(map(svg.format_number, (0, self.top, WIDTH, self.height - self.top))),
            role="img",
            aria_labelledby=f"{self.name}-title {self.name}-desc",
            class_="chart",
        )


@dataclass(frozen=True)
class Series:
    """One line of a chart. The line is interrupted at points that are not finite."""

    label: Text
    points: Sequence[Point]
    has_dots: bool = False


@dataclass(frozen=True)
class Mark:
    """A vertical line at ``x`` with a label, such as a restart or the best checkpoint."""

    x: float
    label: Text
    tone: Tone = "plain"


@dataclass(frozen=True)
class Bar:
    """One bar. ``shown`` is the text at its end; the default is the value."""

    label: Text
    value: float
    shown: Text = ""
    tone: Tone = "plain"


@dataclass(frozen=True)
class Interval:
    """One estimate with its interval; ``low`` and ``high`` are ``None`` if no interval was computed."""

    label: Text
    value: float
    low: float | None = None
    high: float | None = None
    shown: Text = ""
    tone: Tone = "plain"


def line_chart(
    name: str,
    title: Bilingual,
    series: Sequence[Series],
    *,
    x_label: Text,
    y_label: Text = "",
    marks: Sequence[Mark] = (),
) -> Chart:
    """Draw series on common axes.

    Raises:
        ValueError: No series has a finite point.
    """
    pieces = [split_finite(one.points) for one in series]
    finite = [point for parts in pieces for piece in parts for point in piece]
    if not finite:
        raise ValueError(f"chart {name}: no finite point to draw")
    xs = [x for x, _ in finite] + [mark.x for mark in marks]
    x_scale, x_ticks = fit_axis(min(xs), max(xs), LEFT, WIDTH - RIGHT, is_tight=True)
    y_scale, y_ticks = fit_axis(min(y for _, y in finite), max(y for _, y in finite), HEIGHT - BOTTOM, TOP)
    body = [draw_frame(x_scale, x_ticks, y_scale, y_ticks, x_label, y_label)]
    body += [_draw_mark(mark, index, x_scale) for index, mark in enumerate(marks)]
    for index, (one, parts) in enumerate(zip(series, pieces, strict=True)):
        body += [_draw_line(piece, index, x_scale, y_scale, has_dots=one.has_dots) for piece in parts]
    body.append(_draw_legend([one.label for one in series]))
    top = _get_free_height(y_label, num_legends=len(series) - 1)
    return Chart(name, title, _describe_series(series, x_label), "".join(body), top=top)


def histogram(
    name: str,
    title: Bilingual,
    edges: Sequence[float],
    counts: Sequence[float],
    *,
    x_label: Text,
    y_label: Text = "",
    marks: Sequence[Mark] = (),
) -> Chart:
    """Draw counts between consecutive edges.

    Raises:
        ValueError: There are no counts, or the number of edges is not the number of counts plus one.
    """
    if len(edges) != len(counts) + 1 or not counts:
        raise ValueError(f"chart {name}: {len(edges)} edges for {len(counts)} counts")
    ends = [edges[0], edges[-1], *(mark.x for mark in marks)]
    x_scale, x_ticks = fit_axis(min(ends), max(ends), LEFT, WIDTH - RIGHT, is_tight=True)
    y_scale, y_ticks = fit_axis(0, max(*counts, 1), HEIGHT - BOTTOM, TOP)
    bars = [
        svg.element(
            "rect",
            x=x_scale(left) + 0.5,
            y=y_scale(count),
            width=max(x_scale(right) - x_scale(left) - 1, 0.5),
            height=max(y_scale(0) - y_scale(count), 0),
            class_="bar",
        )
        for left, right, count in zip(edges[:-1], edges[1:], counts, strict=True)
        if count
    ]
    frame = draw_frame(x_scale, x_ticks, y_scale, y_ticks, x_label, y_label)
    drawn_marks = [_draw_mark(mark, index, x_scale) for index, mark in enumerate(marks)]
    total = format_tick(sum(counts))
    about = Bilingual(
        f"{total} values from {format_tick(edges[0])} to {format_tick(edges[-1])}.",
        f"共 {total} 个值，从 {format_tick(edges[0])} 到 {format_tick(edges[-1])}。",
    )
    top = _get_free_height(y_label)
    return Chart(name, title, about, frame + "".join(bars) + "".join(drawn_marks), top=top)


def bar_chart(name: str, title: Bilingual, bars: Sequence[Bar]) -> Chart:
    """Draw horizontal bars that start at zero, each below its label.

    Raises:
        ValueError: There is no bar, or a value is negative or not finite.
    """
    if not bars or any(not math.isfinite(bar.value) or bar.value < 0 for bar in bars):
        raise ValueError(f"chart {name}: bars need finite values of at least 0")
    scale = Scale(0, max(bar.value for bar in bars) or 1, 0, WIDTH)
    rows = []
    for index, bar in enumerate(bars):
        top = index * 40 + 4
        shown = bar.shown or format_tick(bar.value)
        rows.append(svg.text(0, top + 13, bar.label, css="label", width=WIDTH * 0.7))
        rows.append(svg.text(WIDTH, top + 13, shown, anchor="end", css="value"))
        rows.append(svg.element("rect", x=0, y=top + 20, width=WIDTH, height=9, rx=2, class_="track"))
        width = max(scale(bar.value), 1.5 if bar.value else 0)
        rows.append(svg.element("rect", x=0, y=top + 20, width=width, height=9, rx=2, class_=f"bar {bar.tone}"))
    return Chart(name, title, _describe_rows(bars), "".join(rows), height=len(bars) * 40 + 4)


def interval_plot(name: str, title: Bilingual, rows: Sequence[Interval], *, reference: float | None = None) -> Chart:
    """Draw estimates with their intervals on one axis (a forest plot), ``reference`` as a vertical line.

    Raises:
        ValueError: There is no row, or a value is not finite.
    """
    if not rows or any(not math.isfinite(row.value) for row in rows):
        raise ValueError(f"chart {name}: rows need finite values")
    ends = [end for row in rows for end in (row.value, row.low, row.high) if end is not None]
    ends += [reference] if reference is not None else []
    scale, ticks = fit_axis(min(ends), max(ends), 12, WIDTH - 12)
    bottom = len(rows) * ROW_HEIGHT + 6
    body = [
        svg.element("line", x1=scale(tick), x2=scale(tick), y1=2, y2=bottom, class_="grid")
        + svg.text(scale(tick), bottom + 17, format_tick(tick), anchor="middle", css="tick")
        for tick in ticks
    ]
    if reference is not None:
        body.append(svg.element("line", x1=scale(reference), x2=scale(reference), y1=2, y2=bottom, class_="reference"))
    body += [_draw_interval(row, index * ROW_HEIGHT, scale) for index, row in enumerate(rows)]
    return Chart(name, title, _describe_rows(rows), "".join(body), height=bottom + 26)


def _draw_interval(row: Interval, top: float, scale: Scale) -> str:
    middle = top + 33
    parts = [
        svg.text(4, top + 19, row.label, css="label halo", width=WIDTH * 0.74),
        svg.text(WIDTH - 4, top + 19, row.shown or format_tick(row.value), anchor="end", css="value halo"),
    ]
    if row.low is not None and row.high is not None:
        low, high = scale(row.low), scale(row.high)
        parts.append(svg.element("line", x1=low, x2=high, y1=middle, y2=middle, class_=f"whisker {row.tone}"))
        parts += [
            svg.element("line", x1=end, x2=end, y1=middle - 5, y2=middle + 5, class_=f"whisker {row.tone}")
            for end in (low, high)
        ]
    parts.append(svg.element("circle", cx=scale(row.value), cy=middle, r=4.5, class_=f"dot {row.tone}"))
    return "".join(parts)


def fit_axis(low: float, high: float, start: float, end: float, *, is_tight: bool = False) -> tuple[Scale, list[float]]:
    """Return the scale of an axis and its ticks; a tight axis ends at the values, any other at round ticks."""
    ticks = get_ticks(low, high)
    if not is_tight or high <= low:
        return Scale(ticks[0], ticks[-1], start, end), ticks
    inside = [tick for tick in ticks if low <= tick <= high]
    return Scale(low, high, start, end), inside


def draw_frame(
    x_scale: Scale, x_ticks: list[float], y_scale: Scale | LogScale, y_ticks: list[float], x_label: Text, y_label: Text
) -> str:
    """Draw grid, axis, ticks and labels."""
    bottom = HEIGHT - BOTTOM
    parts = []
    for tick in y_ticks:
        y = y_scale(tick)
        parts.append(svg.element("line", x1=LEFT, x2=WIDTH - RIGHT, y1=y, y2=y, class_="grid"))
        parts.append(svg.text(LEFT - 8, y + 4, format_tick(tick), anchor="end", css="tick"))
    for tick in x_ticks:
        x = x_scale(tick)
        parts.append(svg.element("line", x1=x, x2=x, y1=bottom, y2=bottom + 4, class_="axis"))
        parts.append(svg.text(x, bottom + 18, format_tick(tick), anchor="middle", css="tick"))
    parts.append(svg.element("line", x1=LEFT, x2=WIDTH - RIGHT, y1=bottom, y2=bottom, class_="axis"))
    parts.append(svg.text(WIDTH - RIGHT, HEIGHT - 8, x_label, anchor="end", css="caption"))
    if y_label:
        parts.append(svg.text(0, 14, y_label, css="caption"))
    return "".join(parts)


def _get_free_height(y_label: Text, num_legends: int = 0) -> float:
    """Return the height that is saved at the top of a chart without an axis label or a legend."""
    if y_label:
        return 0.0
    return 16.0 if num_legends else 36.0


def _draw_line(points: list[Point], index: int, x_scale: Scale, y_scale: Scale, *, has_dots: bool) -> str:
    placed = [(x_scale(x), y_scale(y)) for x, y in thin(points)]
    css = f"s{index % 4}"
    drawn = svg.polyline(placed, f"line {css}") if len(placed) > 1 else ""
    if has_dots or len(placed) == 1:
        drawn += "".join(svg.element("circle", cx=x, cy=y, r=3.2, class_=f"point {css}") for x, y in placed)
    return drawn


def _draw_mark(mark: Mark, index: int, x_scale: Scale) -> str:
    x = x_scale(mark.x)
    is_right = x > WIDTH * 0.6
    line = svg.element("line", x1=x, x2=x, y1=TOP, y2=HEIGHT - BOTTOM, class_=f"mark {mark.tone}")
    place = TOP + 13 + (index % 4) * 15
    anchor = "end" if is_right else "start"
    label = svg.text(x + (-5 if is_right else 5), place, mark.label, anchor=anchor, css=f"marked halo {mark.tone}")
    return line + label


def _draw_legend(labels: Sequence[Text]) -> str:
    if len(labels) == 1:
        return ""
    by_language = []
    for language in ("en", "zh"):
        x = LEFT
        parts = []
        for index, label in enumerate(labels):
            shown = getattr(label, language) if isinstance(label, Bilingual) else label
            parts.append(svg.element("line", x1=x, x2=x + 22, y1=30, y2=30, class_=f"line s{index % 4}"))
            parts.append(svg.text(x + 28, 34, shown, css="legend"))
            x += 28 + svg.measure(shown) + 20
        by_language.append(svg.element("g", "".join(parts), class_=language))
    return "".join(by_language)


def _describe_series(series: Sequence[Series], x_label: Text) -> Bilingual:
    def describe(language: Literal["en", "zh"]) -> str:
        parts = []
        for one in series:
            finite = [point for point in one.points if math.isfinite(point[1])]
            label = _in(one.label, language)
            if finite:
                first, last = (format_tick(float(f"{end[1]:.3g}")) for end in (finite[0], finite[-1]))
                parts.append(f"{label}: {first} → {last}")
            else:
                parts.append(f"{label}: -")
        return f"{_in(x_label, language)}; " + "; ".join(parts)

    return Bilingual(describe("en"), describe("zh"))


def _describe_rows(rows: Sequence[Bar] | Sequence[Interval]) -> Bilingual:
    def describe(language: Literal["en", "zh"]) -> str:
        return "; ".join(
            f"{_in(row.label, language)}: {_in(row.shown, language) or format_tick(row.value)}" for row in rows
        )

    return Bilingual(describe("en"), describe("zh"))


def _in(content: Text, language: Literal["en", "zh"]) -> str:
    return getattr(content, language) if isinstance(content, Bilingual) else content
