"""Times at which requests are sent. Pure: a seed decides them, and what the server does cannot change them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from practicum_core.errors import DataError, Reason

Times = NDArray[np.float64]
_MAX_ARRIVALS = 5_000_000
_NO_REQUESTS = ("trace", "event")


def draw_arrivals(shape: float | None, rate: float, duration_s: float, rng: np.random.Generator) -> Times:
    """Draw arrival times from 0 on, exactly as many as the rate gives in that time, and one at least.

    With a free number, twenty requests might be thirty, and the rate that was asked not the one that was sent. The
    times of a Poisson process of which the number is known have the same distribution as these (Karlin and Taylor, A
    First Course in Stochastic Processes, 1975, section 4.2).

    Args:
        shape: Of the gamma distribution of the times between them: 1 gives a Poisson process, less gives bursts;
            ``None`` gives constant times.
        rate: Requests per second.
        duration_s: No arrival is later.
        rng: Source of randomness.

    Raises:
        ValueError: There would be more than five million.

    >>> draw_arrivals(None, 2.0, 1.6, np.random.default_rng(0)).tolist()
    [0.0, 0.5, 1.0, 1.5]
    """
    if rate * duration_s > _MAX_ARRIVALS:
        raise ValueError(f"{rate:g} requests/s for {duration_s:g} s are more than {_MAX_ARRIVALS:,} requests")
    if shape is None:
        return np.arange(int(np.ceil(rate * duration_s)), dtype=np.float64) / rate
    num = max(round(rate * duration_s), 1)
    # One more than needed: the time after the last arrival belongs to the whole as well.
    gaps = rng.gamma(shape, 1.0, num + 1)
    return np.asarray(np.cumsum(gaps)[:-1] / gaps.sum() * duration_s, dtype=np.float64)


@dataclass(frozen=True)
class TraceArrival:
    """One request of a trace. ``None`` leaves a size to the options of the test."""

    at_s: float
    prompt_tokens: int | None = None
    max_tokens: int | None = None


def read_trace(path: Path) -> list[TraceArrival]:
    """Read a trace: JSON lines with ``at_s`` and optionally ``prompt_tokens`` and ``max_tokens``, sorted by time.

    The traffic that a gateway recorded (:mod:`practicum_core.traffic`) is such a trace too.

    Raises:
        DataError: The file cannot be read, or a line is none of a trace; the message names the line.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: {error}", "give a file of JSON lines", Reason.DATA_MISSING) from error
    read = [_read_arrival(path, number, line) for number, line in enumerate(lines, start=1) if line.strip()]
    found = [one for one in read if one is not None]
    if not found:
        raise DataError(f"{path}: no arrivals", 'give JSON lines such as {"at_s": 0.5}')
    return sorted(found, key=lambda one: one.at_s)


def stretch_trace(trace: Sequence[TraceArrival], rate: float, duration_s: float) -> list[TraceArrival]:
    """Play a trace at a mean rate, again from its start when it is over, until ``duration_s``.

    The shape stays: all times between arrivals change by the same factor.

    >>> [one.at_s for one in stretch_trace([TraceArrival(5.0), TraceArrival(6.0), TraceArrival(8.0)], 1.0, 5.0)]
    [0.0, 0.666667, 2.0, 3.0, 3.666667]
    """
    first = trace[0].at_s
    span = trace[-1].at_s - first
    # After the last arrival a mean time passes until the first one of the next round.
    period = span * len(trace) / (len(trace) - 1) if span > 0 else 1.0
    factor = len(trace) / rate / period
    played: list[TraceArrival] = []
    start = 0.0
    while True:
        for one in trace:
            at_s = start + (one.at_s - first) * factor
            if at_s >= duration_s:
                return played
            played.append(TraceArrival(round(at_s, 6), one.prompt_tokens, one.max_tokens))
            if len(played) > _MAX_ARRIVALS:
                raise ValueError(f"the trace gives more than {_MAX_ARRIVALS:,} requests")
        start += period * factor


def _read_arrival(path: Path, number: int, line: str) -> TraceArrival | None:
    """Read a line; ``None`` for one of recorded traffic that is no request."""
    fix = 'write each line such as {"at_s": 0.5, "prompt_tokens": 100, "max_tokens": 20}'
    try:
        document = json.loads(line)
        if document.get("kind") in _NO_REQUESTS:
            return None
        at_s = float(document["at_s"])
        sizes = [document.get(name) for name in ("prompt_tokens", "max_tokens")]
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: line {number} has no number at_s", fix) from error
    if not np.isfinite(at_s) or at_s < 0:
        raise DataError(f"{path}: line {number}: at_s is {at_s}", fix)
    for size in sizes:
        if size is not None and (not isinstance(size, int) or isinstance(size, bool) or not 0 < size <= 10**6):
            raise DataError(f"{path}: line {number}: {size!r} is no number of tokens", fix)
    return TraceArrival(at_s, *sizes)
