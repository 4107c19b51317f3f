"""SVG elements of charts: escaping, number formatting, texts in both languages, estimated text widths.

Colours are CSS classes (``charts.css``), so that one drawing serves light mode, dark mode and print. Equal input
gives equal bytes: no random numbers, no clock, no paths.
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence

from practicum_core.texts import Bilingual, Text
from practicum_jobs.render.foreign_text import make_visible

FONT_SIZE = 13.0
_WIDE_FROM = 0x2E80
"""First code point (CJK radicals) whose characters are as wide as they are high."""


def format_number(value: float) -> str:
    """Format a coordinate with at most one decimal.

    >>> format_number(3.0), format_number(2.25)
    ('3', '2.2')
    """
    return f"{value:.1f}".removesuffix(".0")


def element(tag: str, content: str = "", **attributes: float | str) -> str:
    """Build one element. ``content`` must be SVG; attribute values are escaped; ``_`` in a name becomes ``-``."""
    shown = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{_format_attribute(value)}"' for name, value in attributes.items()
    )
    return f"<{tag}{shown}>{content}</{tag}>" if content else f"<{tag}{shown}/>"


def _format_attribute(value: float | str) -> str:
    return format_number(value) if not isinstance(value, str) else html.escape(make_visible(value))


def escape_text(text: str) -> str:
    """Escape a text that is the content of an element."""
    return html.escape(make_visible(text).replace("\n", " "), quote=False)


def text(x: float, y: float, content: Text, *, anchor: str = "start", css: str = "", width: float = math.inf) -> str:
    """Draw a text once per language, truncated to ``width`` with an ellipsis."""
    if isinstance(content, Bilingual):
        return "".join(
            text(x, y, part, anchor=anchor, css=f"{css} {language}".strip(), width=width)
            for language, part in (("en", content.en), ("zh", content.zh))
        )
    shown = escape_text(fit(content, width))
    attributes: dict[str, float | str] = {"x": x, "y": y}
    if anchor != "start":
        attributes["text_anchor"] = anchor
    if css:
        attributes["class_"] = css
    return element("text", shown or " ", **attributes)


def measure(content: str, font_size: float = FONT_SIZE) -> float:
    """Estimate the width of a text in the page's sans-serif font.

    >>> measure("ab") < measure("中文")
    True
    """
    return sum(1.0 if ord(character) >= _WIDE_FROM else 0.56 for character in content) * font_size


def fit(content: str, width: float) -> str:
    """Truncate a text so that it fits ``width``.

    >>> fit("a long label", 40)
    'a lo…'
    """
    if measure(content) <= width:
        return content
    kept = content
    while kept and measure(kept + "…") > width:
        kept = kept[:-1]
    return kept.rstrip() + "…"


def polyline(points: Sequence[tuple[float, float]], css: str) -> str:
    """Draw an open line through points."""
    path = " ".join(f"{format_number(x)},{format_number(y)}" for x, y in points)
    return element("polyline", points=path, class_=css)
