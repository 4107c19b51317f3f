"""The first bottleneck of a load test, and the metrics that prove it. Pure.

It is looked for at the lowest rate that surely did not meet the objective (by the whole interval of its good share),
along the way of a request, and named only where a metric of the component itself shows it:

- client: it refused its own figures, because it could not keep the schedule;
- rate limit: at least half of the bad requests were answered with status 429;
- CPU quota: in a quarter of the periods or more, the server's control group had used up its quota. Everything behind
  the processor is slow then, so it comes before the queues that this makes;
- KV cache: requests lost theirs (preemption), or waited in the engine while it had no room for another;
- engine queue: requests waited in the engine, and as many as it computes at the same time (max_num_seqs) were running;
- gateway queue: requests waited in the gateway and not in the engine, or were turned away by its queue;
- prefill, decode: nothing waited for a place, and prompts, or the tokens after the first, took too long.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from practicum_core.stages.load_results import Bottleneck, BottleneckName, LoadLevel, LoadSample, Proof, ServerMetrics
from practicum_core.stages.loadtest import Objective
from practicum_jobs.load import proofs
from practicum_jobs.load.signals import LLAMA_NAMES, Signals, read_signals

HALF = 0.5
MIN_WAITING = 1.0
"""Mean number of waiting requests from which they are a queue: between two steps of an engine, some always wait."""
MIN_THROTTLED = 0.25
MIN_PREEMPTED = 0.02
"""Preemptions for each request from which they count."""
FULL = 0.75
"""Share of the engine's places from which they are taken: where several requests end in one step, vLLM's gauge says
fewer for a moment, so that its mean under a long queue was 14.2 of 16."""


def find_bottleneck(
    levels: Sequence[LoadLevel],
    samples: Iterable[LoadSample],
    metrics: Sequence[ServerMetrics],
    objective: Objective,
) -> Bottleneck:
    """Name what the lowest rate that surely failed waited for first.

    Where no metric shows it at that rate, the next higher one is looked at, and then those that failed by chance
    perhaps: a few slow requests of a small load say little.

    Args:
        levels: All rates of the test.
        samples: All requests of the test.
        metrics: All that servers and client said.
        objective: The service level objective.

    Returns:
        The bottleneck; ``none`` where every rate met the objective, and ``unknown`` where no metric shows it.
    """
    ordered = sorted(levels, key=lambda level: level.rate)
    failing = [level for level in ordered if level.refused or not level.meets_slo]
    kept = list(samples)
    if not failing:
        highest = ordered[-1] if ordered else None
        proven = [proofs.say_nothing_failed(read_signals(highest, kept, metrics, objective))] if highest else []
        return Bottleneck(name=BottleneckName.NONE, rate=highest.rate if highest else None, proofs=proven)
    failing.sort(key=lambda level: not _failed_surely(level, objective))
    for level in failing:
        found = judge(read_signals(level, kept, metrics, objective))
        if found.name is not BottleneckName.UNKNOWN:
            return found
    return judge(read_signals(failing[0], kept, metrics, objective))


def _failed_surely(level: LoadLevel, objective: Objective) -> bool:
    share = level.good_share
    return share is None or share.high is None or share.high < objective.share


def judge(one: Signals) -> Bottleneck:
    """Name the first bottleneck that one rate shows."""
    shown = {name: _rename(proven, one) for name, rule in _RULES.items() if (proven := rule(one))}
    if not shown:
        return Bottleneck(name=BottleneckName.UNKNOWN, rate=one.rate, proofs=[proofs.say_bad_share(one)])
    first, *others = shown
    # Slow prompts and tokens follow from every other bottleneck.
    others = [name for name in others if name not in (BottleneckName.PREFILL, BottleneckName.DECODE)]
    if first is BottleneckName.CLIENT:
        others = []
    return Bottleneck(name=first, rate=one.rate, proofs=shown[first], others=others)


def _rename(proven: list[Proof], one: Signals) -> list[Proof]:
    """Name the metrics as the engine does."""
    names = LLAMA_NAMES if one.is_llama else {}
    return [proof.model_copy(update={"metric": names.get(proof.metric, proof.metric)}) for proof in proven]


def _see_client(one: Signals) -> list[Proof]:
    return proofs.list_client(one) if one.refused else []


def _see_rate_limit(one: Signals) -> list[Proof]:
    return [proofs.say_limited(one)] if one.num_limited and one.num_limited >= HALF * one.num_bad else []


def _see_cpu_quota(one: Signals) -> list[Proof]:
    is_throttled = one.throttled_share is not None and one.throttled_share >= MIN_THROTTLED
    return [proofs.say_throttled(one, MIN_THROTTLED)] if is_throttled else []


def _see_kv_cache(one: Signals) -> list[Proof]:
    has_preempted = (one.num_preemptions or 0) >= max(MIN_PREEMPTED * one.num_requests, 1)
    is_full = has_queue(one) and one.kv_usage is not None and _add_one_request(one) >= 1
    return proofs.list_kv_cache(one) if has_preempted or is_full else []


def _add_one_request(one: Signals) -> float:
    """Return the share of the cache that would be in use with one more request of the mean size."""
    return (one.kv_usage or 0.0) * (1 + 1 / max(one.engine_running or 1.0, 1.0))


def _see_engine_queue(one: Signals) -> list[Proof]:
    if not has_queue(one) or not _has_late_start(one):
        return []
    is_full = one.engine_places is None or (one.engine_running or 0.0) >= FULL * one.engine_places
    return proofs.list_engine_queue(one) if is_full else []


def _see_gateway_queue(one: Signals) -> list[Proof]:
    has_waiting = (one.gateway_waiting or 0.0) >= MIN_WAITING and _has_late_start(one)
    was_turned_away = one.num_turned_away > 0 and one.num_turned_away >= HALF * one.num_bad
    return proofs.list_gateway_queue(one) if has_waiting or (was_turned_away and one.gateway_waiting) else []


def _see_prefill(one: Signals) -> list[Proof]:
    if one.prefill_s is None or not (one.num_slow_ttft or one.num_slow_e2e):
        return []
    is_slow = one.num_slow_ttft >= max(one.num_slow_tpot, one.num_slow_e2e) or one.prefill_s > (one.decode_s or 0.0)
    is_most = one.prefill_s >= (one.queue_s or 0.0) + (one.gateway_queue_s or 0.0) or has_queue(one)
    return [proofs.say_prefill(one)] if is_slow and is_most else []


def _see_decode(one: Signals) -> list[Proof]:
    is_slow = one.num_slow_tpot or one.num_slow_e2e
    return proofs.list_decode(one) if is_slow else []


def _has_late_start(one: Signals) -> bool:
    """Whether requests were bad in a way that waiting for a place can make: not by slow tokens alone."""
    return one.num_slow_tpot < one.num_bad or bool(one.num_slow_ttft or one.num_slow_e2e)


def has_queue(one: Signals) -> bool:
    """Whether requests waited in the engine."""
    return (one.engine_waiting or 0.0) >= MIN_WAITING


_RULES: dict[BottleneckName, Callable[[Signals], list[Proof]]] = {
    BottleneckName.CLIENT: _see_client,
    BottleneckName.RATE_LIMIT: _see_rate_limit,
    BottleneckName.CPU_QUOTA: _see_cpu_quota,
    BottleneckName.KV_CACHE: _see_kv_cache,
    BottleneckName.ENGINE_QUEUE: _see_engine_queue,
    BottleneckName.GATEWAY_QUEUE: _see_gateway_queue,
    BottleneckName.PREFILL: _see_prefill,
    BottleneckName.DECODE: _see_decode,
}
"""In the order in which they are looked for."""
