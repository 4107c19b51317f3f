"""What the gateway counts, for Prometheus and for the record of its stage.

Requests only add to numbers; Prometheus' types are made of them when somebody asks (a custom collector): its own
counters cost a lock and a look-up of labels each time.
"""

from __future__ import annotations

import bisect
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from practicum_gateway.admission import Admission, SharedAdmission
from practicum_gateway.event_stream import Usage
from practicum_gateway.hold import Hold
from practicum_gateway.turnstile import Turnstile
from practicum_gateway.upstream import UpstreamPool

_BOUNDS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
_SERVER_ERROR, _CLIENT_ERROR = 500, 400
CLIENT_GONE = 499
"""What stands for the status of a request whose client went away, as in nginx."""
_PREFIX = "practicum_gateway"


@dataclass
class Totals:
    """Sums since the start."""

    num_requests: int = 0
    num_errors: int = 0
    num_refused: int = 0
    num_clients_gone: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0

    def count_outcomes(self) -> dict[str, int]:
        """Count the requests by what became of them.

        >>> Totals(num_requests=5, num_errors=1, num_refused=1).count_outcomes()
        {'answered': 3, 'refused': 1, 'failed': 1, 'client_gone': 0}
        """
        return {
            "answered": self.num_requests - self.num_refused - self.num_errors - self.num_clients_gone,
            "refused": self.num_refused,
            "failed": self.num_errors,
            "client_gone": self.num_clients_gone,
        }


class Seconds:
    """A histogram of durations."""

    def __init__(self) -> None:
        self._counts = [0] * (len(_BOUNDS_S) + 1)
        self._sum_s = 0.0

    def observe(self, seconds: float) -> None:
        """Take in a duration."""
        self._counts[bisect.bisect_left(_BOUNDS_S, seconds)] += 1
        self._sum_s += seconds

    def build_family(self, name: str, text: str) -> HistogramMetricFamily:
        """Build Prometheus' form."""
        buckets, total = [], 0
        for bound, count in zip([*map(str, _BOUNDS_S), "+Inf"], self._counts, strict=True):
            total += count
            buckets.append((bound, float(total)))
        return HistogramMetricFamily(name, text, buckets=buckets, sum_value=self._sum_s)


class Counters:
    """The gateway's metrics, a collector of Prometheus' client.

    Args:
        turnstile: Whose queue is shown.
        hold: Whose requests are shown.
        pool: Whose engines are shown.
        admission: Shown where it shares limits with other gateways.

    Attributes:
        totals: Sums since the start.
        first_byte: From the arrival of a request to the first byte of its streamed answer.
        waiting: How long requests waited for an engine.
        whole: From the arrival of a request to the end of its answer.
        hold_timeout_s: Longest wait for a first engine; 0 where none waits.
        num_retries: Requests that were tried again.
    """

    def __init__(self, turnstile: Turnstile, hold: Hold, pool: UpstreamPool, admission: Admission) -> None:
        self.totals = Totals()
        self.first_byte = Seconds()
        self.waiting = Seconds()
        self.whole = Seconds()
        self.hold_timeout_s = 0.0
        self.num_retries = 0
        self._turnstile = turnstile
        self._hold = hold
        self._pool = pool
        self._admission = admission
        self._answers: Counter[tuple[str, int]] = Counter()
        self._tokens: Counter[tuple[str, str]] = Counter()
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def register(self, collector: Collector) -> None:
        """Show the metrics of another part of the gateway too."""
        self._registry.register(collector)

    def count_answer(self, path: str, status: int, seconds: float, *, is_probe: bool) -> None:
        """Count an answer.

        Args:
            path: One of the gateway's own, or another word; each makes a time series.
            status: HTTP's, or :data:`CLIENT_GONE`.
            seconds: From the arrival of its request.
            is_probe: Whether it was about the gateway itself; such answers are none of the totals.
        """
        self._answers[path, status] += 1
        if is_probe:
            return
        self.whole.observe(seconds)
        self.totals.num_requests += 1
        self.totals.num_errors += status >= _SERVER_ERROR
        self.totals.num_clients_gone += status == CLIENT_GONE
        self.totals.num_refused += _CLIENT_ERROR <= status < CLIENT_GONE

    def count_tokens(self, key: str, usage: Usage) -> None:
        """Count what a request used."""
        self.totals.prompt_tokens += usage.prompt_tokens
        self.totals.completion_tokens += usage.completion_tokens
        self._tokens[key, "prompt"] += usage.prompt_tokens
        self._tokens[key, "completion"] += usage.completion_tokens

    def count_retry(self) -> None:
        """Count a request that was tried again."""
        self.num_retries += 1

    def collect(self) -> Iterator[Metric]:
        """Build Prometheus' families of what was counted."""
        answers = CounterMetricFamily(f"{_PREFIX}_requests", "Answers by path and status.", labels=["path", "status"])
        for (path, status), count in self._answers.items():
            answers.add_metric([path, str(status)], count)
        tokens = CounterMetricFamily(f"{_PREFIX}_tokens", "Tokens as the engines count them.", labels=["key", "kind"])
        for labels, count in self._tokens.items():
            tokens.add_metric(list(labels), count)
        yield answers
        # All of them from the start, unlike those by status: a share of failures can be computed before there is one.
        finished = CounterMetricFamily(f"{_PREFIX}_finished_requests", "Requests by outcome.", labels=["outcome"])
        for outcome, count in self.totals.count_outcomes().items():
            finished.add_metric([outcome], count)
        yield finished
        yield self.whole.build_family(f"{_PREFIX}_request_seconds", "From arrival to the end of the answer.")
        yield tokens
        yield CounterMetricFamily(f"{_PREFIX}_retries", "Requests that were tried again.", value=self.num_retries)
        yield self.first_byte.build_family(f"{_PREFIX}_first_byte_seconds", "To the first byte of streamed answers.")
        yield self.waiting.build_family(f"{_PREFIX}_queue_seconds", "Waiting for an engine.")
        for name, text, value in (
            ("open_requests", "Requests at the engines.", self._turnstile.num_open),
            ("waiting_requests", "Requests in the queue.", self._turnstile.num_waiting),
            ("held_requests", "Requests that wait for a first engine.", self._hold.num_held),
            ("hold_timeout_seconds", "Longest wait for a first engine; 0: none waits.", self.hold_timeout_s),
            ("concurrency_limit", "Requests that may be at the engines.", self._turnstile.limit),
            ("upstreams", "Engines.", len(self._pool.upstreams)),
            ("upstreams_left_out", "Engines that their breakers leave out.", self._pool.count_left_out()),
        ):
            yield GaugeMetricFamily(f"{_PREFIX}_{name}", text, value=value)
        yield from self._collect_services()
        if isinstance(self._admission, SharedAdmission):
            text = "1 while limits are counted in Redis, 0 while this gateway allows its share of them."
            yield GaugeMetricFamily(f"{_PREFIX}_limits_shared", text, value=self._admission.is_shared)
            text = "How often Redis could no longer be reached."
            yield CounterMetricFamily(f"{_PREFIX}_redis_losses", text, value=self._admission.num_losses)

    def _collect_services(self) -> Iterator[Metric]:
        sent = CounterMetricFamily(f"{_PREFIX}_upstream_requests", "Requests sent to it.", labels=["upstream"])
        now = GaugeMetricFamily(f"{_PREFIX}_upstream_open_requests", "Requests at its engines.", labels=["upstream"])
        ready = GaugeMetricFamily(f"{_PREFIX}_upstream_ready", "Engines that are ready.", labels=["upstream"])
        for name, service in self._pool.services.items():
            sent.add_metric([name], service.num_sent)
            now.add_metric([name], service.num_open)
            ready.add_metric([name], service.num_ready)
        yield from (sent, now, ready)

    def build_page(self) -> bytes:
        """Build the page for Prometheus."""
        return generate_latest(self._registry)
