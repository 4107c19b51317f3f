"""What recorded figures are called on a page, and how they are written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from practicum_core.texts import Bilingual

Style = Literal["share", "points", "width", "count", "number", "seconds", "bytes"]
"""``points`` is a difference of shares, with its sign; ``width`` is the length of an interval of shares."""


@dataclass(frozen=True)
class MetricTitle:
    """What a metric is called and how its figure is written. ``is_key`` puts it among the key numbers."""

    title: Bilingual
    style: Style
    is_key: bool = False


def figure(en: str, zh: str, style: Style) -> MetricTitle:
    """Return the title of a figure in the table of all figures."""
    return MetricTitle(Bilingual(en, zh), style)


def key_figure(en: str, zh: str, style: Style) -> MetricTitle:
    """Return the title of a figure that stands among the key numbers."""
    return MetricTitle(Bilingual(en, zh), style, is_key=True)
