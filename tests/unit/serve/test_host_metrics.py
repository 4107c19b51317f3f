"""What a server says beside its engine's metrics: its limit of requests, and its CPU quota where it has one."""

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from practicum_core.throttling import CpuThrottling
from practicum_jobs.adapters import host_metrics
from practicum_jobs.load.signals import PERIODS, PLACES, THROTTLED


@pytest.mark.parametrize(
    ("found", "lines"),
    [
        (None, [f"{PLACES} 16.0"]),
        (
            CpuThrottling(40, 10, 2.5),
            [
                f"{PLACES} 16.0",
                f"{PERIODS} 40.0",
                f"{THROTTLED} 10.0",
                "practicum_cpu_throttled_seconds_total 2.5",
            ],
        ),
    ],
)
def test_a_page_says_what_the_verdict_reads(monkeypatch, found: CpuThrottling | None, lines: list[str]) -> None:
    monkeypatch.setattr(host_metrics, "read_throttling", lambda: found)
    registry = CollectorRegistry()
    registry.register(host_metrics.HostMetrics(16))
    page = generate_latest(registry).decode()
    assert [line for line in page.splitlines() if not line.startswith("#")] == lines
