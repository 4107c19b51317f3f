"""A request to stop, made by a signal: remembered, and passed on to a step's process at once where one is named."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Iterator
from types import FrameType
from typing import Protocol

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stoppable(Protocol):
    """What a stop request is passed on to, from inside a signal handler."""

    def request_stop(self) -> None:
        """Ask it to stop. Asked again, it does nothing."""


class StopRequest:
    """A stop request by signal. The first asks for a checkpoint; the local executor takes the second as force.

    Attributes:
        count: How many signals came.
        requested_s: When the first came, on the monotonic clock; ``None`` before that.
        process: What the request is passed on to at once; ``None`` where the caller does that itself.
    """

    def __init__(self) -> None:
        self.count = 0
        self.requested_s: float | None = None
        self.process: Stoppable | None = None

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal."""
        del number, frame
        self.count += 1
        if self.requested_s is None:
            self.requested_s = time.monotonic()
        if self.process is not None:
            self.process.request_stop()

    @property
    def is_requested(self) -> bool:
        """Whether to stop at a checkpoint."""
        return self.count > 0

    @property
    def is_forced(self) -> bool:
        """Whether to stop now."""
        return self.count > 1

    def is_within(self, grace_s: float) -> bool:
        """Whether no stop was requested, or less than ``grace_s`` ago."""
        return self.requested_s is None or time.monotonic() - self.requested_s < grace_s

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        """Catch SIGINT, SIGTERM and SIGHUP inside the block."""
        before = {number: signal.signal(number, self) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
