"""A waterfall: spans of time below one another on one axis, each below its label."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from practicum_core.texts import Bilingual, Text
from practicum_jobs.render import svg
from practicum_jobs.render.charts import WIDTH, Chart, Tone
from practicum_jobs.render.scale import Scale

_ROW, _INDENT, _THIN = 34, 12, 1.5
_DIGITS_BELOW = 10


@dataclass(frozen=True)
class Lane:
    """One span. Times are milliseconds from the beginning of all."""

    label: Text
    start_ms: float
    duration_ms: float
    depth: int = 0
    tone: Tone = "plain"


def format_ms(duration_ms: float) -> str:
    """Format milliseconds with three digits at least.

    >>> format_ms(0.1234), format_ms(12.34), format_ms(1234.5)
    ('0.123 ms', '12.3 ms', '1,234 ms')
    """
    if duration_ms < _DIGITS_BELOW:
        return f"{duration_ms:.3f} ms"
    return f"{duration_ms:.1f} ms" if duration_ms < _DIGITS_BELOW**2 else f"{duration_ms:,.0f} ms"


def waterfall(name: str, title: Bilingual, lanes: Sequence[Lane]) -> Chart:
    """Draw spans in their order, those further down indented.

    Raises:
        ValueError: There is none, or a time is negative or not finite.
    """
    times = [time for lane in lanes for time in (lane.start_ms, lane.duration_ms)]
    if not lanes or any(not math.isfinite(time) or time < 0 for time in times):
        raise ValueError(f"chart {name}: a waterfall needs spans with finite times of at least 0")
    scale = Scale(0, max(lane.start_ms + lane.duration_ms for lane in lanes) or 1, 0, WIDTH)
    rows = []
    for index, lane in enumerate(lanes):
        top = index * _ROW + 4
        shown = format_ms(lane.duration_ms)
        indent = lane.depth * _INDENT
        rows.append(svg.text(indent, top + 13, lane.label, css="label", width=WIDTH * 0.76 - indent))
        rows.append(svg.text(WIDTH, top + 13, shown, anchor="end", css="value"))
        rows.append(svg.element("rect", x=0, y=top + 19, width=WIDTH, height=7, rx=2, class_="track"))
        start = min(scale(lane.start_ms), WIDTH - _THIN)
        width = max(scale(lane.start_ms + lane.duration_ms) - start, _THIN)
        rows.append(svg.element("rect", x=start, y=top + 19, width=width, height=7, rx=2, class_=f"bar {lane.tone}"))
    return Chart(name, title, _describe(lanes), "".join(rows), height=len(lanes) * _ROW + 4)


def _describe(lanes: Sequence[Lane]) -> Bilingual:
    def list_lanes(language: str) -> str:
        return "; ".join(
            f"{getattr(lane.label, language) if isinstance(lane.label, Bilingual) else lane.label}: "
            f"{format_ms(lane.start_ms)} + {format_ms(lane.duration_ms)}"
            for lane in lanes
        )

    return Bilingual(list_lanes("en"), list_lanes("zh"))
