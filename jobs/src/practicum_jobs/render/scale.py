"""Axes of charts: round tick values, linear scales, downsampling of long series. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

Point = tuple[float, float]


def get_ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Return round values (1, 2, 2.5 or 5 times a power of ten) from at most ``low`` to at least ``high``.

    >>> get_ticks(0, 97)
    [0.0, 20.0, 40.0, 60.0, 80.0, 100.0]
    """
    size = max(abs(low), abs(high))
    if high - low <= max(size * 1e-9, 1e-200):
        margin = 0.1 * (size if size > 1e-200 else 1)  # noqa: PLR2004 - avoids an underflow
        low, high = low - margin, high + margin
    raw = (high - low) / max(count, 1)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= raw * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    num_digits = max(2 - math.floor(math.log10(step)), 0)
    return [round(number * step, num_digits) for number in range(first, last + 1)]


def format_tick(value: float) -> str:
    """Format a tick value in few characters.

    >>> format_tick(0.30000000000000004), format_tick(250000), format_tick(0.0002)
    ('0.3', '250k', '2e-4')
    """
    size = abs(value)
    if size >= 1e6:  # noqa: PLR2004 - SI prefixes
        return f"{value / 1e6:g}M"
    if size >= 1e4:  # noqa: PLR2004
        return f"{value / 1e3:g}k"
    if 0 < size < 1e-3:  # noqa: PLR2004 - smaller values have too many zeros
        mantissa, exponent = f"{value:.1e}".split("e")
        return f"{mantissa.removesuffix('.0')}e{int(exponent)}"
    return f"{value:.6g}"


@dataclass(frozen=True)
class Scale:
    """A linear map from ``low..high`` to pixel positions ``start..end``."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Return the position of ``value``."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)


@dataclass(frozen=True)
class LogScale:
    """A logarithmic map from ``low..high``, both powers of ten, to pixel positions ``start..end``.

    Values below ``low``, zero among them, stand at ``start``.
    """

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Return the position of ``value``."""
        decades = math.log10(self.high / self.low)
        share = math.log10(max(value, self.low) / self.low) / decades
        return self.start + share * (self.end - self.start)


def get_decades(values: Sequence[float]) -> list[float]:
    """Return the powers of ten around the positive values, two at least.

    >>> get_decades([0.0, 0.002, 0.5])
    [0.001, 0.01, 0.1, 1.0]
    >>> get_decades([0.0])
    [0.1, 1.0]
    """
    positive = [value for value in values if value > 0] or [1.0]
    high = math.ceil(math.log10(max(positive)) - 1e-9)
    low = min(math.floor(math.log10(min(positive)) + 1e-9), high - 1)
    return [10.0**power for power in range(low, high + 1)]


def thin(points: Sequence[Point], limit: int = 400) -> list[Point]:
    """Downsample a series to the lowest and highest point of each of ``limit / 2`` segments, so that spikes remain.

    >>> len(thin([(float(x), 0.0) for x in range(10_000)])) <= 400
    True
    """
    if len(points) <= limit:
        return list(points)
    size = math.ceil(len(points) / (limit // 2))
    kept: list[Point] = []
    for start in range(0, len(points), size):
        stretch = points[start : start + size]
        ends = {min(stretch, key=lambda point: point[1]), max(stretch, key=lambda point: point[1])}
        kept.extend(sorted(ends))
    return kept


def split_finite(points: Sequence[Point]) -> list[list[Point]]:
    """Split a series at values that are not finite, so that no line is drawn across a NaN.

    >>> split_finite([(1, 2.0), (2, float("nan")), (3, 4.0)])
    [[(1, 2.0)], [(3, 4.0)]]
    """
    pieces: list[list[Point]] = [[]]
    for point in points:
        if math.isfinite(point[1]):
            pieces[-1].append(point)
        elif pieces[-1]:
            pieces.append([])
    return [piece for piece in pieces if piece]
