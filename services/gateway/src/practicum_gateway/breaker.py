"""The circuit breaker of one upstream: by error rate and by slow first tokens. Pure, with an injected clock.

An end that the client caused is no failure of the upstream, and neither is an upstream that says it is busy.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import StrEnum

from practicum_gateway.clock import Clock


class Outcome(StrEnum):
    """How a request to an upstream ended, as its breaker counts it."""

    GOOD = "good"
    FAILED = "failed"
    SLOW = "slow"
    """Its first token came too late, or not before the client or its deadline gave up long after."""
    UNCOUNTED = "uncounted"
    """The client went away, or the upstream said that it is busy."""


_BAD = frozenset({Outcome.FAILED, Outcome.SLOW})


class BreakerState(StrEnum):
    """Whether requests are let through."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True)
class BreakerSettings:
    """When a breaker opens, and for how long.

    Attributes:
        window_s: Seconds that an outcome counts.
        min_requests: Outcomes in the window below which nothing is concluded.
        bad_share: Share of failed and slow outcomes at which it opens.
        slow_first_token_s: Seconds to the first token after which an answer is slow.
        open_s: Seconds until it is tried again; doubled each time that the trial fails.
        max_open_s: To which they are doubled at most: an engine that took half a minute to start shall not wait for as
            long again, and a trial is a request or two.
        max_probes: Requests at the same time that try it again.
        good_probes: Good ones in a row that close it.
    """

    window_s: float = 10.0
    min_requests: int = 10
    bad_share: float = 0.5
    slow_first_token_s: float = 60.0
    open_s: float = 2.0
    max_open_s: float = 10.0
    max_probes: int = 2
    good_probes: int = 2


class CircuitBreaker:
    """The breaker of one upstream. A request asks :meth:`acquire` and tells :meth:`record` its end, once.

    Args:
        settings: When it opens.
        clock: Monotonic seconds.

    Attributes:
        answered_s: When a request last ended well; ``None`` before one did.
    """

    def __init__(self, settings: BreakerSettings, clock: Clock) -> None:
        self.answered_s: float | None = None
        self._settings = settings
        self._clock = clock
        self._outcomes: deque[tuple[float, bool]] = deque()
        self._num_bad = 0
        self._opened_s: float | None = None
        self._open_s = settings.open_s
        self._num_probes = 0
        self._num_good_probes = 0

    @property
    def state(self) -> BreakerState:
        """Whether it lets requests through now."""
        if self._opened_s is None:
            return BreakerState.CLOSED
        is_over = self._clock() - self._opened_s >= self._open_s
        return BreakerState.HALF_OPEN if is_over else BreakerState.OPEN

    @property
    def wait_s(self) -> float:
        """Seconds until it is tried again; 0 where it may be now."""
        if self._opened_s is None:
            return 0.0
        return max(self._opened_s + self._open_s - self._clock(), 0.0)

    @property
    def may_pass(self) -> bool:
        """Whether :meth:`acquire` would let a request through."""
        state = self.state
        if state is BreakerState.HALF_OPEN:
            return self._num_probes < self._settings.max_probes
        return state is BreakerState.CLOSED

    def acquire(self) -> bool:
        """Let a request through; where it is half open, as one of the few that try it.

        Returns:
            Whether the request is such a probe, for :meth:`record`.
        """
        is_probe = self.state is BreakerState.HALF_OPEN
        self._num_probes += is_probe
        return is_probe

    def record(self, outcome: Outcome, *, is_probe: bool = False) -> None:
        """Count the end of a request that was let through."""
        is_bad = outcome in _BAD
        if outcome is Outcome.GOOD:
            self.answered_s = self._clock()
        if is_probe:
            self._num_probes -= 1
            self._judge_probe(outcome)
            return
        if outcome is Outcome.UNCOUNTED or self._opened_s is not None:
            # What was under way when it opened says nothing new.
            return
        now_s = self._clock()
        self._outcomes.append((now_s, is_bad))
        self._num_bad += is_bad
        while self._outcomes and self._outcomes[0][0] <= now_s - self._settings.window_s:
            self._num_bad -= self._outcomes.popleft()[1]
        num = len(self._outcomes)
        if is_bad and num >= self._settings.min_requests and self._num_bad >= self._settings.bad_share * num:
            self._open(self._settings.open_s)

    def _judge_probe(self, outcome: Outcome) -> None:
        if self._opened_s is None or outcome is Outcome.UNCOUNTED:
            return
        if outcome is not Outcome.GOOD:
            self._open(max(min(self._open_s * 2, self._settings.max_open_s), self._settings.open_s))
            return
        self._num_good_probes += 1
        if self._num_good_probes >= self._settings.good_probes:
            self._opened_s = None
            self._num_good_probes = 0

    def _open(self, open_s: float) -> None:
        self._opened_s = self._clock()
        self._open_s = open_s
        self._num_good_probes = 0
        self._outcomes.clear()
        self._num_bad = 0
