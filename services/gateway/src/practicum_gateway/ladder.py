"""The degradation ladder: which rung answers now, from measured signals. Pure, with an injected clock.

Every signal has two thresholds. At the upper one the ladder goes down; it comes back only after all signals were below
their lower one for a while (hysteresis). A rung is kept for a minimum time. A fault begins when the ladder leaves its
best rung and ends when all signals were calm for ``settle_s``; within one fault the ladder returns from each rung once,
so a load that is bearable on the lower rung and not on the upper one makes it go up once, not again and again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from practicum_core.rungs import Rung
from practicum_gateway.clock import Clock
from practicum_gateway.signals import Reading

ENGINE_OUT = "engine_out"
MANUAL = "manual"
CALM = "calm"
_MAX_CHANGES = 1000


@dataclass(frozen=True)
class Threshold:
    """When a signal is bad, and when it is calm; between both nothing follows."""

    bad: float
    calm: float


@dataclass(frozen=True)
class LadderSettings:
    """When the ladder moves.

    Attributes:
        rungs: Those that there are, best first.
        queue_wait_s: Of :class:`~practicum_gateway.signals.Reading`, and so are the three that follow.
        first_token_s: Seconds.
        error_share: From 0 to 1.
        kv_use: From 0 to 1.
        down_s: Seconds between two steps down.
        up_s: Seconds of calm before a step up, each.
        settle_s: Seconds of calm that end a fault.
    """

    rungs: Sequence[Rung]
    queue_wait_s: Threshold = Threshold(2.0, 0.5)
    first_token_s: Threshold = Threshold(5.0, 1.5)
    error_share: Threshold = Threshold(0.3, 0.05)
    kv_use: Threshold = Threshold(0.97, 0.8)
    down_s: float = 2.0
    up_s: float = 5.0
    settle_s: float = 60.0


@dataclass(frozen=True)
class Change:
    """A step of the ladder.

    Attributes:
        at_s: On the ladder's clock.
        before: The rung that it left.
        after: The rung that it took.
        reason: The signal, or one of the constants of this module.
    """

    at_s: float
    before: Rung
    after: Rung
    reason: str


class Ladder:
    """Chooses the rung. :meth:`decide` is called for each request and by a timer, :meth:`pin` by a person.

    Args:
        settings: When it moves.
        clock: Monotonic seconds.

    Attributes:
        rung: The rung now.
        reason: Why it is not the best one; empty where it is.
        changes: The last thousand steps.
        num_changes: All steps.
    """

    def __init__(self, settings: LadderSettings, clock: Clock) -> None:
        self.rung = settings.rungs[0]
        self.reason = ""
        self.changes: list[Change] = []
        self.num_changes = 0
        self._settings = settings
        self._clock = clock
        self._pinned: Rung | None = None
        self._changed_s = -float("inf")
        self._calm_since_s: float | None = None
        self._returned: set[Rung] = set()
        self._thresholds = (
            ("queue_wait_s", settings.queue_wait_s),
            ("first_token_s", settings.first_token_s),
            ("error_share", settings.error_share),
            ("kv_use", settings.kv_use),
        )
        self._calm = (
            *((name, threshold.calm) for name, threshold in self._thresholds),
            ("recent_error_share", settings.error_share.calm),
            ("missed_probes", 0),
        )

    @property
    def rungs(self) -> Sequence[Rung]:
        """Those that there are, best first."""
        return self._settings.rungs

    @property
    def is_settled(self) -> bool:
        """Whether no return from a rung is held against the next one."""
        return not self._returned

    @property
    def is_pinned(self) -> bool:
        """Whether a person chose the rung."""
        return self._pinned is not None

    def pin(self, rung: Rung | None) -> None:
        """Keep a rung, the next available one below where it is not there; ``None`` lets the signals choose again."""
        self._pinned = None if rung is None else self._fit(rung)

    def decide(self, reading: Reading) -> Rung:
        """Return the rung for these signals, after one step at most."""
        now_s = self._clock()
        calm_s = self._measure_calm(reading, now_s)
        if self._pinned is not None:
            if self._pinned is not self.rung:
                self._move(self._pinned, MANUAL, now_s)
            return self.rung
        forced = self._fit_outage(reading)
        if forced.depth > self.rung.depth:
            self._move(forced, ENGINE_OUT, now_s)
        elif (bad := self._find_bad(reading)) and self.rung.uses_engine:
            if now_s - self._changed_s >= self._settings.down_s:
                self._step_down(bad, now_s)
        elif calm_s is not None:
            self._step_up(calm_s, forced, reading, now_s)
        return self.rung

    def _measure_calm(self, reading: Reading, now_s: float) -> float | None:
        """Return the seconds since all signals are calm; ``None`` where they are not."""
        is_calm = not reading.is_engine_out and all(getattr(reading, name) <= bound for name, bound in self._calm)
        if not is_calm:
            self._calm_since_s = None
            return None
        if self._calm_since_s is None:
            self._calm_since_s = now_s
        calm_s = now_s - self._calm_since_s
        if calm_s >= self._settings.settle_s:
            self._returned.clear()
        return calm_s

    def _find_bad(self, reading: Reading) -> str:
        """Return the first signal that is bad; empty where none is."""
        for name, threshold in self._thresholds:
            if getattr(reading, name) >= threshold.bad:
                return name
        return ""

    def _fit_outage(self, reading: Reading) -> Rung:
        """Return the best rung that what is out leaves."""
        wanted = Rung.FULL
        if reading.is_engine_out:
            wanted = Rung.EXTRACT if reading.is_small_out else Rung.SMALL
        if self.rung is Rung.SMALL and reading.is_small_out:
            wanted = Rung.EXTRACT
        fitting = self._fit(wanted)
        return self._fit(Rung.FAQ) if fitting is Rung.EXTRACT and reading.is_retrieval_out else fitting

    def _fit(self, rung: Rung) -> Rung:
        """Return a rung, or the next one below that there is."""
        return next((one for one in self._settings.rungs if one.depth >= rung.depth), self._settings.rungs[-1])

    def _step_down(self, reason: str, now_s: float) -> None:
        below = [one for one in self._settings.rungs if one.depth > self.rung.depth]
        if below:
            self._move(below[0], reason, now_s)

    def _step_up(self, calm_s: float, forced: Rung, reading: Reading, now_s: float) -> None:
        """Go up by one rung where it was calm for long enough, on this rung and since the last step."""
        left_out = Rung.EXTRACT if reading.is_retrieval_out else None
        above = [
            one for one in self._settings.rungs if forced.depth <= one.depth < self.rung.depth and one is not left_out
        ]
        needed_s = self._settings.settle_s if self.rung in self._returned else self._settings.up_s
        if above and min(calm_s, now_s - self._changed_s) >= needed_s:
            self._returned.add(self.rung)
            self._move(above[-1], CALM, now_s)

    def _move(self, rung: Rung, reason: str, now_s: float) -> None:
        self.changes.append(Change(now_s, self.rung, rung, reason))
        del self.changes[:-_MAX_CHANGES]
        self.num_changes += 1
        is_up = rung.depth < self.rung.depth
        self.rung = rung
        self._changed_s = now_s
        if rung is self._settings.rungs[0]:
            self.reason = ""
        elif not is_up:
            # On the way up the reason is still the one for which it went down.
            self.reason = reason
