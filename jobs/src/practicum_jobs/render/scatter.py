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
_FAR_RIGHT = 0.6


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
    taken: list[tuple[float, float]] = []
    for dot in sorted(dots, key=lambda one: (one.x, one.y)):
        x, y = x_scale(dot.x), y_scale(dot.y)
        is_right = x > WIDTH * _FAR_RIGHT
        height = _find_free_height(x, y, taken)
        body.append(svg.element("circle", cx=x, cy=y, r=_RADIUS, class_=f"dot {dot.tone}"))
        anchor = "end" if is_right else "start"
        body.append(svg.text(x + (-8 if is_right else 8), height, dot.label, anchor=anchor, css="label halo"))
    about = "; ".join(f"{_name(dot)}: {format_tick(dot.x)}, {format_tick(dot.y)}" for dot in dots)
    return Chart(name, title, Bilingual(about, about), "".join(body))


def _find_free_height(x: float, y: float, taken: list[tuple[float, float]]) -> float:
    """Return a height for a label at which no other label stands, going up from the point."""
    line, reach = 14.0, WIDTH * 0.3
    height = y - 6
    while any(abs(other_x - x) < reach and abs(other_y - height) < line for other_x, other_y in taken):
        height -= line
    taken.append((x, height))
    return height


def _name(dot: Dot) -> str:
    return dot.label.en if isinstance(dot.label, Bilingual) else dot.label
