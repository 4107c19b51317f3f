"""What a server adds to its engine's metrics: its limits, and how its CPU quota held it up."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import REGISTRY
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from practicum_core.throttling import read_throttling


class HostMetrics(Collector):
    """A collector of Prometheus' client.

    Args:
        max_num_seqs: Requests that the engine computes at the same time at most; it says so nowhere itself.
    """

    def __init__(self, max_num_seqs: int) -> None:
        self._max_num_seqs = max_num_seqs

    def collect(self) -> Iterator[Metric]:
        """Build the families, read anew each time."""
        yield GaugeMetricFamily(
            "practicum_engine_max_num_seqs", "Requests computed at the same time at most.", value=self._max_num_seqs
        )
        found = read_throttling()
        if found is None:
            return
        for name, text, value in (
            ("periods", "Periods of the CPU quota.", found.num_periods),
            ("throttled_periods", "Periods in which the CPU quota was used up.", found.num_throttled),
            ("throttled_seconds", "Time without the processor for the CPU quota.", found.throttled_s),
        ):
            yield CounterMetricFamily(f"practicum_cpu_{name}", text, value=value)


def register_host_metrics(max_num_seqs: int) -> None:
    """Add the metrics to those that this process serves."""
    REGISTRY.register(HostMetrics(max_num_seqs))
