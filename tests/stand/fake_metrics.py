"""Metrics of the tests' own engine, with names, labels and buckets of vLLM 0.32 (``vllm/v1/metrics/loggers.py``)."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from fake_scheduler import Job, Scheduler, Step
from practicum_jobs.adapters.host_metrics import HostMetrics

_FIRST_TOKEN_S = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
_FIRST_TOKEN_S += (20, 40, 80, 160, 640, 2560)
_BETWEEN_TOKENS_S = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80)
_LATENCY_S = (0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960, 1920, 7680)
_STEP_TOKENS = (1, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384)
_PREEMPTIONS = (1, 2, 3, 4, 5, 10, 20)
_HISTOGRAMS = {
    "time_to_first_token_seconds": _FIRST_TOKEN_S,
    "inter_token_latency_seconds": _BETWEEN_TOKENS_S,
    "request_time_per_output_token_seconds": _BETWEEN_TOKENS_S,
    "e2e_request_latency_seconds": _LATENCY_S,
    "request_queue_time_seconds": _LATENCY_S,
    "request_inference_time_seconds": _LATENCY_S,
    "request_prefill_time_seconds": _LATENCY_S,
    "request_decode_time_seconds": _LATENCY_S,
    "iteration_tokens_total": _STEP_TOKENS,
    "request_num_preemptions": _PREEMPTIONS,
}
_COUNTERS = ("num_preemptions", "prompt_tokens", "generation_tokens", "prefix_cache_queries", "prefix_cache_hits")
_GAUGES = ("num_requests_running", "num_requests_waiting", "kv_cache_usage_perc")


class EngineMetrics:
    """What the engine did so far.

    Args:
        model: Name of the model, the value of a label.
    """

    def __init__(self, model: str) -> None:
        self._registry = CollectorRegistry()
        label_names, self._labels = ("model_name", "engine"), (model, "0")

        def make(kind, name, **options):
            return kind(f"vllm:{name}", name, label_names, registry=self._registry, **options).labels(*self._labels)

        self._gauges = {name: make(Gauge, name) for name in _GAUGES}
        self._counters = {name: make(Counter, name) for name in _COUNTERS}
        self._histograms = {name: make(Histogram, name, buckets=buckets) for name, buckets in _HISTOGRAMS.items()}
        by_reason = (*label_names, "reason")
        self._waiting = Gauge("vllm:num_requests_waiting_by_reason", "by reason", by_reason, registry=self._registry)
        self._ended = Counter(
            "vllm:request_success", "ended", (*label_names, "finished_reason"), registry=self._registry
        )
        self._host: HostMetrics | None = None
        self._rejected = Counter(
            "vllm:admission_rejections", "rejected", ("model_name", "reason"), registry=self._registry
        )
        for reason in ("stop", "length", "abort", "error"):
            self._ended.labels(*self._labels, reason)

    def count_step(self, step: Step, gained: list[Job], now_s: float) -> None:
        """Count one step: its tokens, its preemptions and the pauses between tokens."""
        self._counters["num_preemptions"].inc(step.num_preempted)
        self._counters["generation_tokens"].inc(len(gained))
        self._histograms["iteration_tokens_total"].observe(step.num_prefill_tokens + len(gained))
        for job in gained:
            if job.first_token_s is None:
                job.first_token_s = now_s
                self._counters["prompt_tokens"].inc(job.prompt_tokens)
                self._counters["prefix_cache_queries"].inc(job.prompt_tokens)
                self._counters["prefix_cache_hits"].inc(job.num_cached)
                self._histograms["time_to_first_token_seconds"].observe(now_s - job.arrived_s)
            else:
                self._histograms["inter_token_latency_seconds"].observe(now_s - job.last_token_s)
            job.last_token_s = now_s

    def count_end(self, job: Job, reason: str, now_s: float) -> None:
        """Count a request that ended. One that was aborted has no times."""
        self._ended.labels(*self._labels, reason).inc()
        if reason == "abort":
            return
        first_s, scheduled_s = job.first_token_s, job.scheduled_s
        times = {
            "e2e_request_latency": now_s - job.arrived_s,
            "request_queue_time": scheduled_s - job.arrived_s,
            "request_inference_time": now_s - scheduled_s,
            "request_prefill_time": first_s - scheduled_s,
            "request_decode_time": now_s - first_s,
            "request_time_per_output_token": (now_s - first_s) / max(job.num_tokens - 1, 1),
        }
        for name, seconds in times.items():
            self._histograms[f"{name}_seconds"].observe(seconds)
        self._histograms["request_num_preemptions"].observe(job.num_preemptions)

    def count_rejection(self) -> None:
        """Count a request that the queue had no place for."""
        self._rejected.labels(self._labels[0], "max_num_queued_reqs").inc()

    def build_page(self, scheduler: Scheduler) -> bytes:
        """Build the page ``/metrics``."""
        self._gauges["num_requests_running"].set(len(scheduler.running))
        self._gauges["num_requests_waiting"].set(len(scheduler.waiting))
        self._gauges["kv_cache_usage_perc"].set(scheduler.num_used_blocks / scheduler.num_blocks)
        if self._host is None:  # as the stage serve adds them
            self._host = HostMetrics(scheduler.settings.max_running)
            self._registry.register(self._host)
        for reason, count in {"capacity": len(scheduler.waiting), "deferred": 0}.items():
            self._waiting.labels(*self._labels, reason).set(count)
        return generate_latest(self._registry)
