"""The quantile that all figures of loads and experiments mean."""

from __future__ import annotations

import math
from typing import Protocol, SupportsFloat

_ROUNDING = 1e-9


class Ordered(Protocol):
    """Values that rise: a list, or an array of NumPy."""

    def __len__(self) -> int: ...

    def __getitem__(self, place: int, /) -> SupportsFloat: ...


def find_quantile(ordered: Ordered, share: float) -> float:
    """Return the smallest of the ordered values that so large a share does not exceed; NaN for none.

    >>> find_quantile([1.0, 2.0, 3.0, 4.0], 0.5), find_quantile([1.0, 2.0], 0.99), find_quantile([], 0.5)
    (2.0, 2.0, nan)
    """
    place = math.ceil(share * len(ordered) - _ROUNDING) - 1
    return float(ordered[min(max(place, 0), len(ordered) - 1)]) if len(ordered) else math.nan
