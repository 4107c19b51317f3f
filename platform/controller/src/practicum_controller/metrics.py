"""The series that the controller shows Prometheus."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

REGISTRY = CollectorRegistry()
WEEK_JOBS = Gauge("practicum_week_jobs", "Week jobs by phase.", ["phase"], registry=REGISTRY)
QUEUE_WAIT_S = Histogram(
    "practicum_queue_wait_seconds",
    "Time from a child's making to its admission.",
    buckets=(1, 5, 15, 60, 300, 900, 3600, 4 * 3600, 24 * 3600),
    registry=REGISTRY,
)
GPU_HOURS = Gauge(
    "practicum_gpu_hours", "GPU hours used since the budget's last reset.", ["course", "student"], registry=REGISTRY
)
PROGRESS = Gauge(
    "practicum_progress_ratio",
    "Share done of each week job that runs, 0 to 1.",
    ["namespace", "week_job", "unit"],
    registry=REGISTRY,
)
RECONCILE_S = Histogram(
    "practicum_reconcile_seconds",
    "Time of one reconciliation.",
    buckets=(0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10),
    registry=REGISTRY,
)
RECONCILE_FAULTS = Counter(
    "practicum_reconcile_faults_total",
    "Reconciliations that failed and are tried again.",
    ["reason"],
    registry=REGISTRY,
)
REPORTS = Counter("practicum_reports_total", "Reports of stages by answer.", ["status"], registry=REGISTRY)
STRANGERS = Counter(
    "practicum_foreign_objects_total",
    "Objects that bear the controller's labels and are not its own, or that it cannot read.",
    ["kind"],
    registry=REGISTRY,
)
LOOP_RESTARTS = Counter(
    "practicum_loop_restarts_total", "Loops of the controller that ended by a fault.", ["loop"], registry=REGISTRY
)
QUEUE_LENGTH = Gauge("practicum_work_queue_length", "Week jobs that wait for a look.", registry=REGISTRY)
IS_LEADER = Gauge("practicum_is_leader", "1 in the replica that works.", registry=REGISTRY)


@contextlib.contextmanager
def time_reconcile() -> Iterator[None]:
    """Measure one reconciliation."""
    started_s = time.perf_counter()
    try:
        yield
    finally:
        RECONCILE_S.observe(time.perf_counter() - started_s)


def count_fault(reason: str) -> None:
    """Count a reconciliation that failed."""
    RECONCILE_FAULTS.labels(reason).inc()


def set_phases(counts: Mapping[str, int]) -> None:
    """Show how many week jobs stand in each phase."""
    for phase, count in counts.items():
        WEEK_JOBS.labels(phase).set(count)


def set_progress(shares: Mapping[tuple[str, str, str], float]) -> None:
    """Show how far the week jobs are that run, and those alone."""
    PROGRESS.clear()
    for names, share in shares.items():
        PROGRESS.labels(*names).set(share)


def render() -> bytes:
    """Return every series in Prometheus' text format."""
    return generate_latest(REGISTRY)
