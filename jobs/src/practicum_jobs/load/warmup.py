"""Where the start of a measurement ends: the requests that still see an emptier server than the later ones. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_BATCH = 5


def count_warmup(values: Sequence[float]) -> int | None:
    """Return how many of the first values belong to the warm-up; ``None`` if they never settle.

    The cut is where the squared standard error of the mean of what remains is smallest, in batches of five values. A
    cut in the second half says that there is no steady state to measure: an overloaded queue grows to the end.

    Source: rule MSER-5 of White, Simulation 69 (1997), 323-334.

    >>> count_warmup([9.0] * 10 + [1.0, 1.1] * 45)
    10
    >>> count_warmup([float(number) for number in range(100)]) is None
    True
    """
    whole = len(values) // _BATCH
    if not whole:
        return 0
    batches: NDArray[np.float64] = np.asarray(values[: whole * _BATCH], dtype=float).reshape(whole, _BATCH).mean(axis=1)
    reversed_batches = batches[::-1]
    sizes = np.arange(1, whole + 1)
    means = np.cumsum(reversed_batches) / sizes
    squares = np.cumsum(reversed_batches**2) / sizes
    errors = ((squares - means**2) / sizes)[::-1]
    # The last batches are left out: of a few equal ones the error is zero by chance.
    usable = errors[: max(whole - _BATCH, 1)]
    best = int(np.argmin(np.round(usable, 15)))
    return None if best > whole // 2 else best * _BATCH
