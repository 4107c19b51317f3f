"""Decides when a queued week job will probably start, from how long others waited for their places. Pure.

A wait divided by the places that were ahead (and one more) is the time per place. Times per place of earlier children
are a sample; the estimate is the place in the queue now times its middle, and times its slow end.
"""

from __future__ import annotations

import datetime as dt
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

MIN_WAITS = 3
"""With fewer earlier waits there is no estimate: a single one says nothing about the next."""
MIN_WAIT_S = 1.0
"""A child admitted at once did not queue; its wait says nothing about a full queue."""
SLOW_SHARE = 0.8
MINUTE_S = 60
HOUR_S = 3600


@dataclass(frozen=True)
class Wait:
    """How long one child waited for its admission.

    ``position`` is its place when it was first seen in the queue, 0 for the next; None where it was not known.
    """

    child_uid: str
    course: str
    position: int | None
    waited_s: float
    admitted_at: dt.datetime

    @property
    def seconds_per_place(self) -> float:
        """Time that the queue took for one place."""
        return self.waited_s / ((self.position or 0) + 1)


@dataclass(frozen=True)
class Eta:
    """An estimate: half of earlier waits would have ended within ``typical_s``, four of five within ``slow_s``."""

    typical_s: float
    slow_s: float

    def __str__(self) -> str:
        return f"about {format_duration(self.typical_s)}; four times in five within {format_duration(self.slow_s)}"


def build_eta(waits: Sequence[Wait], position: int) -> Eta | None:
    """Return the estimate for place ``position`` (0 for the next), or None where too few waited before.

    >>> now = dt.datetime(2026, 1, 5, tzinfo=dt.UTC)
    >>> waits = [Wait(str(n), "llm", n, 60.0 * (n + 1), now) for n in range(5)]
    >>> str(build_eta(waits, position=2))
    'about 3 min; four times in five within 3 min'
    >>> build_eta(waits[:2], position=0) is None
    True
    """
    rates = sorted(wait.seconds_per_place for wait in waits if wait.waited_s >= MIN_WAIT_S)
    if len(rates) < MIN_WAITS:
        return None
    places = position + 1
    slow = rates[math.ceil(SLOW_SHARE * len(rates)) - 1]
    return Eta(typical_s=statistics.median(rates) * places, slow_s=slow * places)


def format_duration(seconds: float) -> str:
    """Write a duration as a person says it, rounded up.

    >>> [format_duration(value) for value in (12, 60, 61, 3600, 5400.5)]
    ['12 s', '1 min', '2 min', '1 h', '1 h 31 min']
    """
    if seconds < MINUTE_S:
        return f"{math.ceil(seconds)} s"
    minutes = math.ceil(seconds / MINUTE_S)
    if seconds < HOUR_S and minutes < HOUR_S // MINUTE_S:
        return f"{minutes} min"
    hours, rest = divmod(minutes, HOUR_S // MINUTE_S)
    return f"{hours} h {rest} min" if rest else f"{hours} h"
