"""A load test in the form of guidellm's JSON report (guidellm 0.8.1, report version 2). Pure.

As there, latencies count from the moment of sending; ``request_dispatch_delay`` and ``request_scheduled_latency`` tell
what lies before it. Rates over time are counted by second, and guidellm's own figures of words, characters and round
trips are left empty. Times of the clock are those of the step's start, a few seconds before the first request.

Source: ``guidellm/benchmark/schemas``.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from practicum_core.stages.loadtest import LoadLevel, LoadSample, LoadtestRecord

_VERSION = "0.8.1"
_SHARES = {
    "p001": 0.1, "p01": 1, "p05": 5, "p10": 10, "p25": 25, "p50": 50, "p75": 75, "p90": 90, "p95": 95, "p99": 99,
    "p999": 99.9,
}  # fmt: skip
_PARTS = ("input", "output", "total")
_ABSENT = {f"{part}{kind}": None for part in _PARTS for kind in ("", "_per_second", "_concurrency")}
_MODALITIES = {
    "image": ("tokens", "images", "pixels", "bytes"),
    "video": ("tokens", "frames", "seconds", "bytes"),
    "audio": ("tokens", "samples", "seconds", "bytes"),
    "tool_call": ("tokens", "mixed_tokens", "count"),
}


def build_guidellm_report(record: LoadtestRecord, samples: Sequence[LoadSample]) -> dict[str, Any]:
    """Build the report of a test; a rate that was refused is left out.

    Args:
        record: Of the test.
        samples: All of its requests; those of warm-ups are left out.
    """
    kept = [level for level in record.levels if not level.refused]
    profile = {"kind": "poisson" if record.load == "poisson" else "constant", "rate": [level.rate for level in kept]}
    spec = {
        "backend": _describe_backend(record),
        "profile": profile,
        "data": [{"kind": "in_memory_item_list", "data": []}],
    }
    return {
        "metadata": {"version": 2, "guidellm_version": _VERSION},
        "config": {"metadata": {"labels": {"written_by": "practicum"}}, "spec": spec},
        "benchmarks": [_build_benchmark(record, number, level, samples) for number, level in enumerate(kept)],
        "conclusions": [],
    }


def _build_benchmark(
    record: LoadtestRecord, number: int, level: LoadLevel, samples: Sequence[LoadSample]
) -> dict[str, Any]:
    ours = [one for one in samples if one.load == level.load and one.phase == "measured"]
    zero_s = dt.datetime.fromisoformat(record.started_at).timestamp()
    start_s, end_s = zero_s + level.start_s, zero_s + level.end_s
    kind = "poisson" if record.load == "poisson" else "constant"
    totals = _count(ours)
    return {
        "type_": "generative_benchmark",
        "config": {
            "run_id": record.schedule_sha256,
            "run_index": number,
            "strategy": {"type_": kind, "worker_count": record.num_clients, "rate": level.rate},
            "constraints": {},
            "profile": {"kind": kind, "rate": [level.rate]},
            "requests": {},
            "backend": _describe_backend(record),
            "environment": {},
        },
        "scheduler_state": {
            "num_processes": record.num_clients,
            "start_time": start_s,
            "end_time": end_s,
            "created_requests": level.num_requests,
            "processed_requests": level.num_requests,
            "successful_requests": level.num_ok,
            "errored_requests": level.num_failed,
        },
        "scheduler_metrics": _build_scheduler_metrics(ours, totals, start_s, end_s),
        "metrics": _build_metrics(level, ours, totals),
        "requests": {
            "successful": [_describe_request(one, zero_s) for one in ours if one.is_ok],
            "errored": [_describe_request(one, zero_s) for one in ours if not one.is_ok],
            "incomplete": [],
            "total": None,
        },
    }


def _describe_backend(record: LoadtestRecord) -> dict[str, Any]:
    path = "/v1/chat/completions" if record.endpoint == "chat" else "/v1/completions"
    return {"kind": "openai_http", "target": record.url, "model": record.model, "request_format": path}


def _build_scheduler_metrics(
    samples: Sequence[LoadSample], totals: Mapping[str, int], start_s: float, end_s: float
) -> dict[str, Any]:
    delay_s = float(np.mean([one.dispatch_s for one in samples]))
    request_s = float(np.mean([one.ended_s - one.sent_s for one in samples]))
    names = (
        "queued_time_avg", "resolve_start_delay_avg", "request_start_delay_avg", "resolve_end_delay_avg",
        "finalized_delay_avg", "processed_delay_avg",
    )  # fmt: skip
    return {
        "start_time": start_s,
        "request_start_time": start_s,
        "measure_start_time": start_s,
        "measure_end_time": end_s,
        "request_end_time": end_s,
        "end_time": end_s,
        "requests_made": dict(totals),
        **dict.fromkeys(names, 0.0),
        "resolve_targeted_start_delay_avg": delay_s,
        "request_targeted_start_delay_avg": delay_s,
        "request_time_avg": request_s,
        "resolve_time_avg": request_s,
    }


def _build_metrics(level: LoadLevel, samples: Sequence[LoadSample], totals: Mapping[str, int]) -> dict[str, Any]:
    def measure(read: Callable[[LoadSample], float | None], scale: float = 1.0) -> dict[str, Any]:
        return _split(samples, lambda some: [scale * value for one in some if (value := read(one)) is not None])

    def count_by_second(read: Callable[[LoadSample], float]) -> dict[str, Any]:
        return _split(samples, lambda some: _sum_by_second(level, some, read))

    def read_total(one: LoadSample) -> int:
        return one.prompt_tokens + one.completion_tokens

    empty = _split((), lambda _: [])
    first = measure(lambda one: None if one.first_token_s is None else one.first_token_s - one.sent_s, 1000)
    tokens = {
        "input": measure(lambda one: one.prompt_tokens),
        "output": measure(lambda one: one.completion_tokens),
        "total": measure(read_total),
        "input_per_second": count_by_second(lambda one: one.prompt_tokens),
        "output_per_second": count_by_second(lambda one: one.completion_tokens),
        "total_per_second": count_by_second(read_total),
    }
    return {
        "request_totals": dict(totals),
        "requests_per_second": count_by_second(lambda _: 1),
        "request_concurrency": _split(samples, lambda some: _count_open_by_second(level, some)),
        "request_latency": measure(lambda one: one.ended_s - one.sent_s),
        "request_dispatch_delay": measure(lambda one: one.dispatch_s),
        "request_scheduled_latency": measure(lambda one: one.e2e_s),
        "request_streaming_iterations_count": measure(lambda one: one.num_chunks),
        "prompt_token_count": tokens["input"],
        "output_token_count": tokens["output"],
        "total_token_count": tokens["total"],
        "time_to_first_token_ms": first,
        "time_to_first_output_token_ms": first,
        "time_per_output_token_ms": measure(_get_time_per_token, 1000),
        "inter_token_latency_ms": measure(lambda one: one.tpot_s, 1000),
        "time_to_last_round_trip_ms": empty,
        "avg_round_trip_time_ms": empty,
        "prompt_tokens_per_second": tokens["input_per_second"],
        "output_tokens_per_second": tokens["output_per_second"],
        "tokens_per_second": tokens["total_per_second"],
        "output_tokens_per_iteration": measure(
            lambda one: one.completion_tokens / one.num_chunks if one.num_chunks else None
        ),
        "iter_tokens_per_iteration": measure(
            lambda one: (one.completion_tokens - 1) / (one.num_chunks - 1) if one.num_chunks > 1 else None
        ),
        "text": {"tokens": {**_ABSENT, **tokens}, "words": _ABSENT, "characters": _ABSENT},
        **{name: dict.fromkeys(units, _ABSENT) for name, units in _MODALITIES.items()},
        "slo_attainment": level.good_share.value if level.good_share else None,
        "slo_determined_requests": level.num_requests,
    }


def _get_time_per_token(one: LoadSample) -> float | None:
    """Return guidellm's time per output token, which has the first one in it."""
    if one.last_token_s is None or not one.completion_tokens:
        return None
    return (one.last_token_s - one.sent_s) / one.completion_tokens


def _describe_request(one: LoadSample, zero_s: float) -> dict[str, Any]:
    def tell(at_s: float | None) -> float | None:
        return None if at_s is None else zero_s + at_s

    first_s, last_s = tell(one.first_token_s), tell(one.last_token_s)
    return {
        "type_": "generative_request_stats",
        "request_id": one.id,
        "info": {
            "request_id": one.id,
            "status": "completed" if one.is_ok else "errored",
            "scheduler_process_id": one.client,
            "timings": {
                "targeted_start": tell(one.scheduled_s),
                "scheduled_at": tell(one.sent_s),
                "resolve_start": tell(one.sent_s),
                "request_start": tell(one.sent_s),
                "first_request_iteration": first_s,
                "first_token_iteration": first_s,
                "first_output_token_iteration": first_s,
                "last_token_iteration": last_s,
                "last_request_iteration": last_s,
                "request_iterations": one.num_chunks,
                "token_iterations": one.num_chunks,
                "request_end": tell(one.ended_s),
                "resolve_end": tell(one.ended_s),
            },
            "error": f"{one.error}: {one.error_text}" if one.error else None,
        },
        "input_metrics": {"text_tokens": one.prompt_tokens},
        "output_metrics": {"text_tokens": one.completion_tokens},
    }


def _count(samples: Sequence[LoadSample]) -> dict[str, int]:
    well = sum(one.is_ok for one in samples)
    return {"successful": well, "errored": len(samples) - well, "incomplete": 0, "total": len(samples)}


def _split(
    samples: Sequence[LoadSample], list_values: Callable[[Sequence[LoadSample]], Sequence[float]]
) -> dict[str, Any]:
    """Summarize values of the requests that ended well, of the others, and of all."""
    well = [one for one in samples if one.is_ok]
    failed = [one for one in samples if not one.is_ok]
    groups = {"successful": well, "errored": failed, "incomplete": [], "total": samples}
    return {name: _summarize(list_values(some) if some else []) for name, some in groups.items()}


def _summarize(values: Sequence[float]) -> dict[str, Any]:
    array = np.asarray(values or [0.0], dtype=float)
    found, counts = np.unique(array, return_counts=True)
    return {
        "mean": float(array.mean()),
        "median": float(np.median(array)),
        "mode": float(found[np.argmax(counts)]),
        "variance": float(array.var()),
        "std_dev": float(array.std()),
        "min": float(array.min()),
        "max": float(array.max()),
        "count": len(values),
        "total_sum": float(array.sum()),
        "percentiles": {name: float(np.percentile(array, share)) for name, share in _SHARES.items()},
    }


def _sum_by_second(level: LoadLevel, samples: Sequence[LoadSample], read: Callable[[LoadSample], float]) -> list[float]:
    """Return the sum in each second of the level; each request counts when it was due."""
    length_s = level.end_s - level.start_s
    seconds = [0.0] * max(math.ceil(length_s), 1)
    for one in samples:
        seconds[min(max(int(one.scheduled_s - level.start_s), 0), len(seconds) - 1)] += read(one)
    # A last second that is cut short counts as much for its length.
    seconds[-1] /= length_s - len(seconds) + 1 or 1
    return seconds


def _count_open_by_second(level: LoadLevel, samples: Sequence[LoadSample]) -> list[float]:
    """Return how many requests were under way at each full second of the level."""
    moments = np.arange(level.start_s, level.end_s, 1.0)
    return [float(sum(one.sent_s <= moment < one.ended_s for one in samples)) for moment in moments]
