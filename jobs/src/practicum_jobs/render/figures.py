"""Titles of metrics and formatting of their values: units, three significant digits, percent, minutes. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from practicum_core.metrics import Metric, StageMetric
from practicum_core.stages import STAGES
from practicum_core.stages.spec import StageSpec
from practicum_core.stages.titles import MetricTitle, Style
from practicum_core.texts import Bilingual, Text
from practicum_jobs.render.titles import FINDINGS, SUFFIXES, UNITS

_REST = "{rest}"
_MINUTE_S = 60
_HOUR_S = 3600
_KIB = 1024
_STYLES_BY_UNIT: dict[str, Style] = {
    "ratio": "share",
    "share": "share",
    "s": "seconds",
    "bytes": "bytes",
    "rows": "count",
    "count": "count",
    "tokens": "count",
    "steps": "count",
}


def get_title(name: str, unit: str = "", value: float = 0.0, step: str = "") -> MetricTitle:
    """Return the title of a metric and the style of its values. An unknown name is used as the title.

    Args:
        name: Of the metric.
        unit: Says the style of a metric without a title.
        value: Of the metric.
        step: The step that measured it. Stages may give one name different meanings; that of the step's comes first.

    >>> get_title("recall:exact_duplicate").title.en
    'Recall: Exact duplicate'
    >>> get_title("field_order_tuned").title.zh
    '字段“order”正确（微调）'
    >>> [get_title("tokens_max", step=step).title.en for step in ("audit", "rungcheck")]
    ['Tokens of a row, max', 'Tokens of a request at the rung max']
    """
    specs = _list_specs(step)
    if (known := _find_exact(name, specs)) is not None:
        return known
    for suffix, pattern in SUFFIXES.items():
        stem = name.removesuffix(suffix)
        if stem and stem != name and (inner := _find_title(stem, specs)):
            return MetricTitle(pattern.format(title=inner.title), inner.style)
    return _find_title(name, specs) or MetricTitle(Bilingual(name or "-", name or "-"), _guess_style(unit, value))


def get_metric_title(metric: Metric) -> MetricTitle:
    """Return the title of a measured metric, as its step means it."""
    step = metric.stage if isinstance(metric, StageMetric) else ""
    return get_title(metric.name, metric.unit, metric.value, step)


def _list_specs(step: str) -> list[StageSpec]:
    """List all stages, that of the step first: steps are called after their stage, or after it and a hyphen."""
    own = step if step in STAGES else step.partition("-")[0]
    return sorted(STAGES.values(), key=lambda spec: spec.name != own)


def _find_exact(name: str, specs: Sequence[StageSpec]) -> MetricTitle | None:
    return next((spec.metrics[name] for spec in specs if name in spec.metrics), None)


def _find_title(name: str, specs: Sequence[StageSpec]) -> MetricTitle | None:
    """Find a title by the whole name, else by the longest pattern with a placeholder that matches."""
    known = _find_exact(name, specs)
    if known is not None:
        return known
    patterns = {
        pattern: title for spec in reversed(specs) for pattern, title in spec.metrics.items() if _REST in pattern
    }
    for pattern in sorted(patterns, key=len, reverse=True):
        start, _, end = pattern.partition(_REST)
        rest = name.removeprefix(start).removesuffix(end)
        if rest and name == f"{start}{rest}{end}":
            title = get_finding_title(rest) if start.endswith(":") else Bilingual(rest, rest)
            return MetricTitle(patterns[pattern].title.format(rest=title), patterns[pattern].style)
    return None


def rank_metric(name: str) -> int:
    """Return the position of a metric among all metrics with a title; metrics without a title come last."""
    names = [known for spec in STAGES.values() for known in spec.metrics]
    return names.index(name) if name in names else len(names)


def get_finding_title(name: str) -> Bilingual:
    """Return the title of a defect: of its whole name, else of its class followed by the rest of the name."""
    if name in FINDINGS:
        return FINDINGS[name]
    prefix, colon, rest = name.partition(":")
    if colon and rest and prefix in FINDINGS:
        shown = rest.replace("_", " ")
        return Bilingual(f"{FINDINGS[prefix].en}: {shown}", f"{FINDINGS[prefix].zh}：{shown}")
    return Bilingual(name or "-", name or "-")


def name_failure(kind: str) -> Text:
    """Return the title of a kind of failure. The part after the colon fills the placeholder of the title.

    >>> name_failure("wrong:order+amount").en
    'wrong order, amount'
    """
    prefix, _, rest = kind.partition(":")
    title = next((spec.failures[prefix] for spec in STAGES.values() if prefix in spec.failures), None)
    if title is None:
        return kind
    return title.format(rest=rest.replace("+", ", "))


def _guess_style(unit: str, value: float) -> Style:
    if unit in _STYLES_BY_UNIT:
        return _STYLES_BY_UNIT[unit]
    return "count" if not unit and float(value).is_integer() else "number"


def format_figure(value: float, style: Style, unit: str = "") -> Text:
    """Format one value.

    >>> format_figure(0.7134, "share"), format_figure(95.2, "seconds"), format_figure(1234567, "count")
    ('71.3%', '1 min 35 s', '1,234,567')
    >>> format_figure(0.31, "points").zh
    '+31.0 百分点'
    """
    if not math.isfinite(value):
        return Bilingual(f"not finite ({value})", f"非有限值（{value}）")
    if style in ("points", "width"):
        shown = f"{100 * value:+.1f}" if style == "points" else f"{100 * value:.1f}"
        return Bilingual(f"{shown} pp", f"{shown} 百分点")
    if style == "number":
        return _add_unit(format_digits(value), unit)
    return _WRITERS[style](value)


def _add_unit(number: str, unit: str) -> Text:
    if unit in UNITS:
        return Bilingual("{number} {unit}", "{number} {unit}").format(number=number, unit=UNITS[unit])
    return f"{number} {unit}".rstrip()


def format_metric(metric: Metric) -> Text:
    """Format the value of a metric."""
    return format_figure(metric.value, get_metric_title(metric).style, metric.unit)


def format_interval(metric: Metric) -> Text:
    """Format the interval of a metric; an empty text if it has none."""
    if metric.low is None or metric.high is None:
        return ""
    style = get_metric_title(metric).style
    low, high = (format_figure(end, style, metric.unit) for end in (metric.low, metric.high))
    if style in ("points", "share"):
        low = f"{100 * metric.low:+.1f}" if style == "points" else f"{100 * metric.low:.1f}"
    return Bilingual("{low} … {high}", "{low} … {high}").format(low=low, high=high)


def format_digits(value: float, digits: int = 3) -> str:
    """Format a number with ``digits`` significant digits; large numbers are written in full.

    >>> format_digits(0.0012345), format_digits(1234.5), format_digits(2.0), format_digits(0.00000321)
    ('0.00123', '1,234', '2', '3.21e-06')
    """
    if value == 0:
        return "0"
    if abs(value) >= 10**digits:
        return f"{value:,.0f}"
    return f"{value:.{digits}g}"


def format_duration(seconds: float) -> str:
    """Format a duration.

    >>> format_duration(0.0312), format_duration(12.34), format_duration(3725)
    ('0.03 s', '12.3 s', '1 h 2 min')
    """
    if seconds < 1:
        return f"{seconds:.2f} s"
    if seconds < _MINUTE_S:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < _HOUR_S:
        return f"{whole // _MINUTE_S} min {whole % _MINUTE_S} s"
    return f"{whole // _HOUR_S} h {whole % _HOUR_S // _MINUTE_S} min"


def format_bytes(size: float) -> str:
    """Format a size in binary units.

    >>> format_bytes(512), format_bytes(269_060_552)
    ('512 B', '257 MiB')
    """
    if size < _KIB:
        return f"{size:.0f} B"
    for unit in ("KiB", "MiB", "GiB"):
        size /= _KIB
        if size < _KIB or unit == "GiB":
            return f"{format_digits(size)} {unit}"
    raise AssertionError


def format_time(stamp: str) -> str:
    """Format an ISO 8601 time with a resolution of one second.

    >>> format_time("2026-01-02T03:04:05.678+00:00")
    '2026-01-02 03:04:05'
    """
    return stamp[:19].replace("T", " ")


def format_count(value: float) -> str:
    """Format a whole number with thousands separators, and any other number with three significant digits.

    >>> format_count(1234.0), format_count(0.5)
    ('1,234', '0.5')
    """
    return f"{value:,.0f}" if float(value).is_integer() else format_digits(value)


def format_share(value: float) -> str:
    """Format a fraction as a percentage.

    >>> format_share(0.7134)
    '71.3%'
    """
    return f"{100 * value:.1f}%"


_WRITERS: dict[Style, Callable[[float], str]] = {
    "share": format_share,
    "count": format_count,
    "seconds": format_duration,
    "bytes": format_bytes,
}
