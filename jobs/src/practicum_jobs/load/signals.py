"""What servers and client said during one rate, joined into the few numbers that a bottleneck shows in. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import fmean

from practicum_core.stages.load_results import LoadLevel, LoadSample, RequestError, ServerMetrics
from practicum_core.stages.loadtest import Objective

ENGINE, GATEWAY, CPU = "engine:", "gateway", "cpu"
RUNNING, WAITING = "vllm:num_requests_running", "vllm:num_requests_waiting"
KV_USAGE, PREEMPTIONS = "vllm:kv_cache_usage_perc", "vllm:num_preemptions_total"
QUEUE_S, PREFILL_S, DECODE_S = (f"vllm:request_{part}_time_seconds" for part in ("queue", "prefill", "decode"))
LLAMA_NAMES = {RUNNING: "llamacpp:requests_processing", WAITING: "llamacpp:requests_deferred"}
"""What llama.cpp's server calls the same."""
PLACES = "practicum_engine_max_num_seqs"
GATEWAY_WAITING, GATEWAY_OPEN = "practicum_gateway_waiting_requests", "practicum_gateway_open_requests"
GATEWAY_LIMIT, GATEWAY_QUEUE_S = "practicum_gateway_concurrency_limit", "practicum_gateway_queue_seconds"
PERIODS, THROTTLED = "practicum_cpu_periods_total", "practicum_cpu_throttled_periods_total"
_LIMITED, _TURNED_AWAY = "http_429", "http_503"
_UNFINISHED = frozenset({RequestError.OPEN, RequestError.TIMEOUT})


@dataclass(frozen=True)
class Signals:
    """One rate. ``None`` stands for what nobody measured.

    Attributes:
        rate: Requests a second that were asked for.
        refused: Why the client was the limit; empty where it was not.
        dispatch_p99_s: How late it sent requests.
        client_cpu_share: Of one core, of its busiest process.
        num_requests: Measured requests.
        num_good: Those that kept the objective.
        num_limited: Answers with status 429.
        num_turned_away: Answers with status 503.
        num_slow_ttft: Answers whose first token was too late, or had not come when the client gave up.
        num_slow_tpot: Answers whose further tokens were too slow.
        num_slow_e2e: Answers that ended too late, or had begun and not ended when the client gave up.
        gateway_waiting: Requests in the gateway's queue, mean over the seconds.
        gateway_open: Requests that it had at the engines.
        gateway_limit: Requests that it allowed at the engines.
        gateway_queue_s: Mean time that a request waited there.
        engine_waiting: Requests in the engines' queues.
        engine_running: Requests that the engines computed, in the seconds with a queue where there was one.
        engine_places: Requests that the engines compute at the same time at most.
        kv_usage: Share of the KV cache in use, in the same seconds, of the fullest engine.
        num_preemptions: Requests that lost their KV cache and were computed again.
        queue_s: Mean time of a request in the engine's queue.
        prefill_s: Mean time for its prompt.
        decode_s: Mean time for its answer after the first token.
        throttled_share: Periods in which the server's CPU quota was used up.
        throttled_source: Who said so.
        is_llama: Whether an engine is llama.cpp, which calls its metrics otherwise.
    """

    rate: float
    refused: str = ""
    dispatch_p99_s: float = 0.0
    client_cpu_share: float = 0.0
    num_requests: int = 0
    num_good: int = 0
    num_limited: int = 0
    num_turned_away: int = 0
    num_slow_ttft: int = 0
    num_slow_tpot: int = 0
    num_slow_e2e: int = 0
    gateway_waiting: float | None = None
    gateway_open: float | None = None
    gateway_limit: float | None = None
    gateway_queue_s: float | None = None
    engine_waiting: float | None = None
    engine_running: float | None = None
    engine_places: float | None = None
    kv_usage: float | None = None
    num_preemptions: float | None = None
    queue_s: float | None = None
    prefill_s: float | None = None
    decode_s: float | None = None
    throttled_share: float | None = None
    throttled_source: str = ""
    is_llama: bool = False

    @property
    def num_bad(self) -> int:
        """Requests that failed or did not keep the objective."""
        return self.num_requests - self.num_good


def rename_metrics(values: Mapping[str, float]) -> Mapping[str, float]:
    """Give the metrics of llama.cpp vLLM's names as well.

    >>> rename_metrics({"llamacpp:requests_deferred": 3.0})[WAITING]
    3.0
    """
    found = {name: values[other] for name, other in LLAMA_NAMES.items() if other in values}
    return {**values, **found} if found else values


def read_signals(
    level: LoadLevel, samples: Iterable[LoadSample], metrics: Sequence[ServerMetrics], objective: Objective
) -> Signals:
    """Join what was measured at one rate.

    Gauges are taken in the measured part. Counters and histograms are read until its last request has ended, because
    engines count a request when it ends.

    Args:
        level: The rate.
        samples: Of the whole test.
        metrics: Of the whole test.
        objective: The service level objective.
    """
    measured = [one for one in samples if one.load == level.load and one.phase == "measured"]
    answered = [one for one in measured if one.is_ok]
    unfinished = [one for one in measured if one.error in _UNFINISHED]
    num_begun = sum(one.first_token_s is not None for one in unfinished)
    until_s = max((one.ended_s for one in measured), default=level.end_s) + 1
    gauges = _Readings(metrics, level.start_s, level.end_s)
    sums = _Readings(metrics, level.start_s, max(until_s, level.end_s))
    signals = Signals(
        rate=level.rate,
        refused=level.refused,
        dispatch_p99_s=level.dispatch_p99_s,
        client_cpu_share=level.client_cpu_share,
        num_requests=len(measured),
        num_good=sum(objective.is_met_by(one) for one in measured),
        num_limited=sum(one.error == _LIMITED for one in measured),
        num_turned_away=sum(one.error == _TURNED_AWAY for one in measured),
        num_slow_ttft=_count_above([one.ttft_s for one in answered], objective.ttft_s) + len(unfinished) - num_begun,
        num_slow_tpot=_count_above([one.tpot_s for one in answered], objective.tpot_s),
        num_slow_e2e=_count_above([one.e2e_s for one in answered], objective.e2e_s) + num_begun,
        gateway_waiting=gauges.average(GATEWAY, GATEWAY_WAITING),
        gateway_open=gauges.average(GATEWAY, GATEWAY_OPEN),
        gateway_limit=gauges.average(GATEWAY, GATEWAY_LIMIT),
        gateway_queue_s=sums.average_of_histogram(GATEWAY, GATEWAY_QUEUE_S),
        engine_waiting=gauges.average(ENGINE, WAITING),
        engine_places=gauges.average(ENGINE, PLACES),
        num_preemptions=sums.increase(ENGINE, PREEMPTIONS),
        queue_s=sums.average_of_histogram(ENGINE, QUEUE_S),
        prefill_s=sums.average_of_histogram(ENGINE, PREFILL_S),
        decode_s=sums.average_of_histogram(ENGINE, DECODE_S),
    )
    signals = replace(
        signals,
        engine_running=gauges.average(ENGINE, RUNNING, WAITING),
        kv_usage=gauges.find_fullest(ENGINE, KV_USAGE, WAITING),
    )
    source = ENGINE if gauges.increase(ENGINE, PERIODS) is not None else CPU
    share = gauges.compute_ratio(source, THROTTLED, PERIODS)
    return replace(
        signals,
        throttled_share=share,
        throttled_source="" if share is None else source.rstrip(":"),
        is_llama=any(LLAMA_NAMES[RUNNING] in one.values for one in metrics),
    )


@dataclass(frozen=True)
class _Row:
    """What a source said at one moment."""

    at_s: float
    source: str
    values: Mapping[str, float]


class _Readings:
    """Metrics between two times, by source."""

    def __init__(self, metrics: Sequence[ServerMetrics], start_s: float, end_s: float) -> None:
        ordered = sorted(metrics, key=lambda one: one.at_s)
        rows = [_Row(one.at_s, one.source, rename_metrics(one.values)) for one in ordered]
        self._before = [one for one in rows if one.at_s < start_s]
        self._within = [one for one in rows if start_s <= one.at_s <= end_s]

    def average(self, source: str, name: str, while_positive: str = "") -> float | None:
        """Return the mean over time, summed over sources; only of moments at which another metric is above zero.

        Where it never is, all moments count.
        """
        means = [fmean(values) for values in self._list_values(source, name, while_positive)]
        return sum(means) if means else None

    def find_fullest(self, source: str, name: str, while_positive: str) -> float | None:
        """Return the highest mean over time of any source."""
        return max((fmean(values) for values in self._list_values(source, name, while_positive)), default=None)

    def increase(self, source: str, name: str) -> float | None:
        """Return by how much a counter rose, summed over sources; after a restart it counts from zero."""
        rises = []
        for one in self._list_sources(source, name):
            first = [row.values[name] for row in self._before if row.source == one and name in row.values][-1:]
            values = first + [row.values[name] for row in self._within if row.source == one and name in row.values]
            rises.append(sum(b - a if b >= a else b for a, b in pairwise(values)))
        return sum(rises) if rises else None

    def average_of_histogram(self, source: str, name: str) -> float | None:
        """Return the mean of what a histogram observed; ``None`` if that is nothing."""
        return self.compute_ratio(source, f"{name}_sum", f"{name}_count")

    def compute_ratio(self, source: str, name: str, of: str) -> float | None:
        """Return how much one counter rose for each step of another; ``None`` if that did not rise."""
        rise, steps = self.increase(source, name), self.increase(source, of)
        return rise / steps if rise is not None and steps else None

    def _list_sources(self, source: str, name: str) -> list[str]:
        return sorted({row.source for row in self._within if row.source.startswith(source) and name in row.values})

    def _list_values(self, source: str, name: str, while_positive: str) -> list[list[float]]:
        found = []
        for one in self._list_sources(source, name):
            rows = [row.values for row in self._within if row.source == one and name in row.values]
            chosen = [values for values in rows if values.get(while_positive, 0.0) > 0]
            found.append([values[name] for values in chosen or rows])
        return found


def _count_above(values: Iterable[float | None], limit: float | None) -> int:
    return sum(value is not None and limit is not None and value > limit for value in values)
