"""What the degradation ladder looks at: waits, first tokens, errors and probes of the last seconds. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from practicum_gateway.clock import Clock

_NUM_BUCKETS = 10
_RECENT = 4


@dataclass(frozen=True)
class Reading:
    """The signals at one moment.

    Attributes:
        queue_wait_s: Mean wait for an engine.
        first_token_s: Mean time to the first byte of a streamed answer, of requests and probes.
        error_share: Share of requests that an engine failed; 0 where too few ended.
        recent_error_share: The same over a window four times as long, however few ended: a fault that hits every second
            request leaves short windows without an error, and without requests nothing is proved to be well.
        kv_use: Share of the KV cache in use; 0 where no engine says it.
        missed_probes: Probes that failed in a row until now: where no request goes to an engine, only probes prove that
            it is well, and one that answers every second of them is not.
        is_engine_out: Whether no engine can answer: breakers leave out all, or probes failed in a row.
        is_small_out: Whether the same holds for the engine of the smaller model.
        is_retrieval_out: Whether the knowledge base cannot be searched.
    """

    queue_wait_s: float = 0.0
    first_token_s: float = 0.0
    error_share: float = 0.0
    recent_error_share: float = 0.0
    kv_use: float = 0.0
    missed_probes: int = 0
    is_engine_out: bool = False
    is_small_out: bool = False
    is_retrieval_out: bool = False


class WindowedMean:
    """The mean of what was observed in the last seconds, in a ring of buckets: each call costs the same.

    Args:
        window_s: Seconds that an observation counts, to a tenth of the window.
        clock: Monotonic seconds.
    """

    def __init__(self, window_s: float, clock: Clock) -> None:
        self._bucket_s = window_s / _NUM_BUCKETS
        self._clock = clock
        self._sums = [0.0] * _NUM_BUCKETS
        self._counts = [0] * _NUM_BUCKETS
        self._number = int(clock() / self._bucket_s)
        self._sum = 0.0
        self._count = 0

    def observe(self, value: float) -> None:
        """Take in a value."""
        self._advance()
        place = self._number % _NUM_BUCKETS
        self._sums[place] += value
        self._counts[place] += 1
        self._sum += value
        self._count += 1

    def read(self) -> float:
        """Return the mean; 0 where nothing was observed."""
        self._advance()
        return self._sum / self._count if self._count else 0.0

    @property
    def count(self) -> int:
        """Observations in the window."""
        self._advance()
        return self._count

    def _advance(self) -> None:
        number = int(self._clock() / self._bucket_s)
        for passed in range(self._number + 1, min(number, self._number + _NUM_BUCKETS) + 1):
            place = passed % _NUM_BUCKETS
            self._sum -= self._sums[place]
            self._count -= self._counts[place]
            self._sums[place], self._counts[place] = 0.0, 0
        self._number = number
        if not self._count:
            # Differences of floats leave crumbs.
            self._sum = 0.0


class Signals:
    """Takes in what happens to requests and probes.

    Args:
        window_s: Seconds that an observation counts.
        min_requests: Ended requests in the window below which errors conclude nothing.
        max_misses: Probes that fail in a row until an engine counts as out.
        clock: Monotonic seconds.

    Attributes:
        queue_wait: Waits for an engine, in seconds.
        first_token: Times to the first byte of streamed answers, in seconds.
        kv_use: Share of the KV cache in use, as the engine told it last; the one who asks resets it.
        is_retrieval_out: Whether the knowledge base cannot be searched.
    """

    def __init__(self, window_s: float, min_requests: int, max_misses: int, clock: Clock) -> None:
        self.queue_wait = WindowedMean(window_s, clock)
        self.first_token = WindowedMean(window_s, clock)
        self.kv_use = 0.0
        self.is_retrieval_out = False
        self._errors = WindowedMean(window_s, clock)
        self._recent_errors = WindowedMean(_RECENT * window_s, clock)
        self._min_requests = min_requests
        self._max_misses = max_misses
        self._misses = 0
        self._small_misses = 0

    def observe_end(self, *, has_failed: bool) -> None:
        """Take in the end of a request at an engine; one whose client went away or was wrong is none."""
        self._errors.observe(float(has_failed))
        self._recent_errors.observe(float(has_failed))

    def observe_probe(self, first_token_s: float | None, *, is_small: bool = False) -> None:
        """Take in a probe.

        Args:
            first_token_s: Seconds to its first token; ``None`` where it failed.
            is_small: Whether it asked the engine of the smaller model.
        """
        misses = 0 if first_token_s is not None else 1
        if is_small:
            self._small_misses = (self._small_misses + 1) * misses
            return
        self._misses = (self._misses + 1) * misses
        if first_token_s is not None:
            self.first_token.observe(first_token_s)

    def read(self, *, are_all_left_out: bool = False) -> Reading:
        """Return the signals now.

        Args:
            are_all_left_out: Whether breakers leave out all engines.
        """
        return Reading(
            queue_wait_s=self.queue_wait.read(),
            first_token_s=self.first_token.read(),
            recent_error_share=self._recent_errors.read(),
            error_share=self._errors.read() if self._errors.count >= self._min_requests else 0.0,
            kv_use=self.kv_use,
            missed_probes=self._misses,
            is_engine_out=are_all_left_out or self._misses >= self._max_misses,
            is_small_out=self._small_misses >= self._max_misses,
            is_retrieval_out=self.is_retrieval_out,
        )
