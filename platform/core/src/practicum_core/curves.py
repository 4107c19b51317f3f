"""Metric series of a training step, read from ``metrics.jsonl``. Pure.

After the loss of a worker, training resumes from its last checkpoint and repeats some steps, so the file may contain a
step twice; the last value counts. A line with ``restart`` marks a resumption and gives the step of the checkpoint.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, field

RESTART = "restart"
_NOT_SERIES = frozenset({"step", RESTART})


@dataclass(frozen=True)
class Curves:
    """Series by name, and the steps at which training was resumed.

    Attributes:
        series: Lists of ``(step, value)`` by name, sorted by step; one value per step, the last one written.
        restarts: Steps of the checkpoints from which training was resumed.
    """

    series: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    restarts: list[int] = field(default_factory=list)

    def get_last(self, name: str) -> float | None:
        """Return the value of the last step of a series; ``None`` if it is empty."""
        points = self.series.get(name)
        return points[-1][1] if points else None


def read_curves(lines: Iterable[str]) -> Curves:
    """Read the lines of a ``metrics.jsonl``; a line that was truncated when its writer was killed is skipped.

    A restart drops the points after its checkpoint, because training writes them again.

    >>> read_curves(['{"step":1,"loss":2.0}', '{"step":2,"loss":1.5}', '{"step":1,"restart":1}',
    ...              '{"step":2,"loss":1.4}']).series
    {'loss': [(1, 2.0), (2, 1.4)]}
    """
    values: dict[str, dict[int, float]] = {}
    restarts: list[int] = []
    for line in lines:
        point = _parse(line)
        if point is None:
            continue
        step = int(point["step"])
        if RESTART in point:
            restarts.append(step)
            values = {name: {at: value for at, value in seen.items() if at <= step} for name, seen in values.items()}
        for name, value in point.items():
            if name not in _NOT_SERIES:
                values.setdefault(name, {})[step] = value
    return Curves({name: sorted(seen.items()) for name, seen in values.items() if seen}, restarts)


def _parse(line: str) -> dict[str, float] | None:
    try:
        document = json.loads(line)
    except json.JSONDecodeError:
        return None
    if not isinstance(document, dict) or not isinstance(document.get("step"), int):
        return None
    return {
        name: float(value) if name != "step" else value
        for name, value in document.items()
        if isinstance(value, (int, float)) and not isinstance(value, bool) and not math.isnan(value)
    }
