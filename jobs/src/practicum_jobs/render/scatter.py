"""Scatter charts with a label at each point, for two costs of which smaller is better; heights are logarithmic."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from practicum_core.texts import Bilingual, Text
from practicum_jobs.render import svg
from practicum_jobs.render.charts import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Chart, Tone, draw_frame, fit_axis
from practicum_jobs.render.scale import LogScale, format_tick, get_decades

_RADIUS = 5
_GAP = 8.0
_LINE = 13.0
_CENTRE = 4.0
_LETTER = 6.6
_WIDE = 0x2E7F
_OFFSETS = [_LINE * step for step in range(-6, 7)]


@dataclass(frozen=True)
class Dot:
    """One point with its label."""

    label: Text
    x: float
    y: float
    tone: Tone = "plain"


def scatter_chart(name: str, title: Bilingual, dots: Sequence[Dot], *, x_label: Text, y_label: Text) -> Chart:
    """Draw labelled points; the horizontal axis begins at zero, the vertical one is logarithmic.

    Raises:
        ValueError: There is no point, or a value is negative or not finite.
    """
    if not dots or any(not math.isfinite(value) or value < 0 for dot in dots for value in (dot.x, dot.y)):
        raise ValueError(f"chart {name}: points need finite values of at least 0")
    x_scale, x_ticks = fit_axis(0, max(dot.x for dot in dots), LEFT, WIDTH - RIGHT)
    y_ticks = get_decades([dot.y for dot in dots])
    y_scale = LogScale(y_ticks[0], y_ticks[-1], HEIGHT - BOTTOM, TOP)
    body = [draw_frame(x_scale, x_ticks, y_scale, y_ticks, x_label, y_label)]
    labels: list[_Box] = []
    for dot in sorted(dots, key=lambda one: (one.x, one.y)):
        x, y = x_scale(dot.x), y_scale(dot.y)
        box = _find_free_place(x, y, _measure(dot.label), labels)
        labels.append(box)
        body.append(svg.element("circle", cx=x, cy=y, r=_RADIUS, class_=f"dot {dot.tone}"))
        anchor = "start" if box.left > x else "end"
        body.append(
            svg.text(box.left if box.left > x else box.right, box.base, dot.label, anchor=anchor, css="label halo")
        )
    about = "; ".join(f"{_name(dot)}: {format_tick(dot.x)}, {format_tick(dot.y)}" for dot in dots)
    return Chart(name, title, Bilingual(about, about), "".join(body))


@dataclass(frozen=True)
class _Box:
    """Where a label stands: its left and right end, and its base line."""

    left: float
    right: float
    base: float

    def overlaps(self, other: _Box) -> bool:
        return self.left < other.right and other.left < self.right and abs(self.base - other.base) < _LINE


def _find_free_place(x: float, y: float, width: float, labels: Sequence[_Box]) -> _Box:
    """Return the nearest place beside a point, inside the frame, at which no other label stands.

    A label that finds none stands to the right of its point, whatever is there.
    """
    places = [
        _Box(left, left + width, y + _CENTRE + offset)
        for offset in sorted(_OFFSETS, key=abs)
        for left in (x + _GAP, x - _GAP - width)
    ]
    inside = [box for box in places if box.right <= WIDTH and box.left >= LEFT and TOP <= box.base <= HEIGHT - BOTTOM]
    free = (box for box in inside if not any(box.overlaps(other) for other in labels))
    return next(free, places[0])


def _measure(label: Text) -> float:
    """Estimate the width of a label; a Chinese character is as wide as two letters."""
    texts = (label.en, label.zh) if isinstance(label, Bilingual) else (label,)
    return max(sum(_LETTER * (2 if ord(letter) > _WIDE else 1) for letter in text) for text in texts)


def _name(dot: Dot) -> str:
    return dot.label.en if isinstance(dot.label, Bilingual) else dot.label
