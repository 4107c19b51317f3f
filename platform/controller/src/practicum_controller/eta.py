"""When a queued week job will probably start, estimated from how long others waited for their places. Pure.

A wait divided by the places that were ahead (and one more) is the time per place. Times per place of earlier children
are a sample; the estimate is the place in the queue now times its middle. Whoever asks sees to it that the sample is of
children that waited for the same: one for a GPU says nothing of one for a processor.
"""

from __future__ import annotations

import datetime as dt
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

MIN_WAITS = 3
"""With fewer earlier waits there is no estimate: a single one says nothing about the next."""
MIN_WAIT_S = 1.0
"""A child admitted at once did not queue; its wait says nothing about a full queue."""


@dataclass(frozen=True)
class Wait:
    """How long one child waited for its admission.

    ``position`` is its place when it was first seen in the queue, 0 for the next; None where it was not known.
    ``slices`` are the GPU slices that it waited for, 0 for none.
    """

    child_uid: str
    course: str
    position: int | None
    waited_s: float
    admitted_at: dt.datetime
    slices: int = 0

    @property
    def seconds_per_place(self) -> float:
        """Time that the queue took for one place."""
        return self.waited_s / ((self.position or 0) + 1)


def estimate_wait_s(waits: Sequence[Wait], position: int) -> float | None:
    """Return within what time half of earlier waits for place ``position`` (0 for the next) would have ended.

    ``None`` where too few waited before.

    >>> now = dt.datetime(2026, 1, 5, tzinfo=dt.UTC)
    >>> waits = [Wait(str(n), "llm", n, 60.0 * (n + 1), now) for n in range(5)]
    >>> estimate_wait_s(waits, position=2)
    180.0
    >>> estimate_wait_s(waits[:2], position=0) is None
    True
    """
    rates = [wait.seconds_per_place for wait in waits if wait.waited_s >= MIN_WAIT_S]
    return statistics.median(rates) * (position + 1) if len(rates) >= MIN_WAITS else None
