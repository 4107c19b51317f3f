"""What became of the ladder: its steps and the answers of lower rungs, logged, counted, and shown as a page."""

from __future__ import annotations

import json
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from practicum_core.rungs import RungChange
from practicum_gateway.clock import Clock
from practicum_gateway.ladder import Ladder
from practicum_gateway.signals import Reading

_PREFIX = "practicum_gateway_ladder"
_LOG = logging.getLogger(__name__)


class LadderHistory(Collector):
    """The history of one ladder, a collector of Prometheus' client.

    Args:
        ladder: Whose.
        read: Returns the signals now.
        clock: The ladder's.

    Attributes:
        num_degraded: Answers below the best rung.
        pin_left_s: Seconds for which the rung is still pinned; ``None`` where no end is known.
    """

    def __init__(self, ladder: Ladder, read: Callable[[], Reading], clock: Clock) -> None:
        self.num_degraded = 0
        self.pin_left_s: float | None = None
        self._ladder = ladder
        self._read = read
        self._clock = clock
        self._num_told = 0
        self._answers: Counter[tuple[str, str]] = Counter()
        self._steps: Counter[tuple[str, str, str]] = Counter()

    def count_answer(self, rung: str, reason: str) -> None:
        """Count an answer below the best rung."""
        self.num_degraded += 1
        self._answers[rung, reason] += 1

    def follow(self) -> None:
        """Log and count the steps since the last call."""
        while self._num_told < self._ladder.num_changes:
            change = self._ladder.changes[self._num_told - self._ladder.num_changes]
            self._num_told += 1
            self._steps[change.before, change.after, change.reason] += 1
            _LOG.warning("the ladder goes from %s to %s: %s", change.before, change.after, change.reason)

    def list_changes(self, num_told: int = 0) -> list[RungChange]:
        """List the last thousand steps, with times since the epoch.

        Args:
            num_told: Of all steps, so many of the first are left out.
        """
        num_new = self._ladder.num_changes - num_told
        offset_s = time.time() - self._clock()
        return [
            RungChange(at_s=round(one.at_s + offset_s, 3), before=one.before, after=one.after, reason=one.reason)
            for one in (self._ladder.changes[-num_new:] if num_new > 0 else ())
        ]

    def build_page(self) -> bytes:
        """Build the page that shows the ladder: JSON, for people and for experiments."""
        page = {
            "rung": self._ladder.rung,
            "depth": self._ladder.rung.depth,
            "reason": self._ladder.reason,
            "is_pinned": self._ladder.is_pinned,
            "pin_left_s": self.pin_left_s,
            "is_settled": self._ladder.is_settled,
            "rungs": self._ladder.rungs,
            "signals": asdict(self._read()),
            "changes": [change.model_dump(mode="json") for change in self.list_changes()],
        }
        return json.dumps(page).encode()

    def collect(self) -> Iterator[Metric]:
        """Build Prometheus' families."""
        yield GaugeMetricFamily(
            f"{_PREFIX}_rung", "How far down the ladder is; 0 is the best rung.", value=self._ladder.rung.depth
        )
        yield GaugeMetricFamily(
            f"{_PREFIX}_pinned", "1 where the rung is pinned, by a person or by a check.", value=self._ladder.is_pinned
        )
        signals = GaugeMetricFamily(f"{_PREFIX}_signal", "What the ladder looks at.", labels=["signal"])
        for name, value in asdict(self._read()).items():
            signals.add_metric([name], float(value))
        yield signals
        steps = CounterMetricFamily(f"{_PREFIX}_steps", "Steps of the ladder.", labels=["before", "after", "reason"])
        for step, count in self._steps.items():
            steps.add_metric(list(step), count)
        yield steps
        answers = CounterMetricFamily(f"{_PREFIX}_answers", "Answers of lower rungs.", labels=["rung", "reason"])
        for answer, count in self._answers.items():
            answers.add_metric(list(answer), count)
        yield answers
