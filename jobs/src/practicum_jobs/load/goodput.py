"""Goodput: the share of the requests that were answered within the service level objective. Pure.

Every request that was due counts, also one that failed or was never sent: a server that refuses half of its load and
answers the other half quickly is not a fast server.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from practicum_jobs.load.percentiles import draw_weights, find_block_length
from practicum_jobs.scoring.intervals import Bootstrap, Interval, compute_wilson


def estimate_good_share(good: Sequence[bool], bootstrap: Bootstrap) -> Interval:
    """Return the share of the requests that were good, with a 95% interval.

    The interval covers Wilson's, which is not empty where all requests are alike, and that of blocks of neighbours.

    Args:
        good: One for each request that was due, in the order of their times; at least one.
        bootstrap: Number of resamples and seed.

    >>> interval = estimate_good_share([True] * 40, Bootstrap(100))
    >>> round(interval.low, 3), interval.high
    (0.912, 1.0)
    """
    interval = compute_wilson(sum(good), len(good))
    if not 0 < interval.value < 1:
        return interval
    values = np.asarray(good, dtype=float)
    weights = draw_weights(len(good), find_block_length(list(values)), bootstrap)
    shares = np.concatenate([part @ values for part in weights]) / len(good)
    low, high = np.quantile(shares, [0.025, 0.975])
    return interval.cover(Interval(interval.value, float(low), float(high)))
