"""The rate at which one model's answers are preferred, with ties counting half."""

from __future__ import annotations

import math
from collections.abc import Sequence

from practicum_jobs.scoring.intervals import Interval, compute_wilson
from practicum_jobs.scoring.paired import estimate_mean


def estimate_win_rate(scores: Sequence[float], clusters: Sequence[str] = (), confidence: float = 0.95) -> Interval:
    """Return the mean of scores from 0 to 1 with an interval that covers the clustered t interval and Wilson's.

    Wilson's interval is for outcomes of 0 and 1; a mean with ties varies less. It keeps the interval from having no
    width where all scores agree.

    >>> interval = estimate_win_rate([1.0] * 10)
    >>> interval.value, round(interval.low, 3), interval.high
    (1.0, 0.722, 1.0)
    """
    clustered = estimate_mean(scores, clusters, confidence).interval
    low = compute_wilson(math.floor(sum(scores)), len(scores), confidence).low
    high = compute_wilson(math.ceil(sum(scores)), len(scores), confidence).high
    return Interval(clustered.value, max(min(clustered.low, low), 0.0), min(max(clustered.high, high), 1.0))
