"""Sentences that prove a bottleneck: a metric, its value, what it is held against, and what that means. Pure."""

from __future__ import annotations

from practicum_core.stages.load_results import Proof
from practicum_core.texts import Bilingual as B  # noqa: N817 - a short name keeps the texts readable
from practicum_jobs.load.signals import (
    DECODE_S,
    ENGINE,
    GATEWAY,
    GATEWAY_OPEN,
    GATEWAY_QUEUE_S,
    GATEWAY_WAITING,
    KV_USAGE,
    PREEMPTIONS,
    PREFILL_S,
    QUEUE_S,
    RUNNING,
    THROTTLED,
    WAITING,
    Signals,
)

_REQUESTS, _CLIENT, _ENGINE = "requests", "client", ENGINE.rstrip(":")
_LATE = B("The client sent 1 of 100 requests {ms:.0f} ms late or later", "客户端有 1% 的请求至少晚发 {ms:.0f} 毫秒")
_BUSY = B("The busiest client process used {share:.0%} of a core", "最忙的客户端进程占用 {share:.0%} 个核")
_LIMITED = B(
    "{count} of {total} requests were refused with status 429 (a limit of the key)",
    "{total} 个请求中有 {count} 个因密钥限额被拒绝（状态码 429）",
)
_TURNED_AWAY = B(
    "{count} of {total} requests were turned away with status 503", "{total} 个请求中有 {count} 个被拒绝（状态码 503）"
)
_THROTTLED = B(
    "In {share:.0%} of the periods, the CPU quota was used up and the server stood still",
    "{share:.0%} 的调度周期内 CPU 配额耗尽，服务被迫暂停",
)
_PREEMPTED = B(
    "{count:.0f} times the engine took a request's KV cache away and computed it again later",
    "引擎有 {count:.0f} 次收回请求的 KV 缓存，之后重新计算",
)
_KV_FULL = B(
    "{share:.0%} of the KV cache was in use by {running:.1f} requests while others waited",
    "有请求排队时，{running:.1f} 个请求已占用 {share:.0%} 的 KV 缓存",
)
_WAITING = B("{count:.1f} requests waited in the engine on average", "引擎内平均有 {count:.1f} 个请求排队")
_QUEUED = B(
    "A request waited {seconds:.2f} s in the engine's queue on average", "请求在引擎队列中平均等待 {seconds:.2f} 秒"
)
_RUNNING = B(
    "{count:.1f} requests were computed at the same time while others waited", "排队期间同时计算的请求数为 {count:.1f}"
)
_RUNNING_OF = B(
    "{count:.1f} requests were computed at the same time while others waited; {places:.0f} are allowed (max_num_seqs)",
    "排队期间同时计算的请求数为 {count:.1f}，上限为 {places:.0f}（max_num_seqs）",
)
_AT_GATEWAY = B("{count:.1f} requests waited in the gateway on average", "网关内平均有 {count:.1f} 个请求排队")
_QUEUED_AT_GATEWAY = B(
    "A request waited {seconds:.2f} s in the gateway on average", "请求在网关中平均等待 {seconds:.2f} 秒"
)
_OPEN = B(
    "The gateway had {count:.1f} requests at the engines and allowed {limit:.0f}",
    "网关向引擎转发的并发请求为 {count:.1f}，允许 {limit:.0f}",
)
_PREFILL = B(
    "A prompt took {seconds:.2f} s to compute on average, and {count} answers began too late",
    "提示词平均计算 {seconds:.2f} 秒，{count} 个回答的首个词元超时",
)
_DECODE = B(
    "An answer took {seconds:.2f} s after its first token on average, and {count} answers were too slow",
    "首个词元之后平均还需 {seconds:.2f} 秒，{count} 个回答过慢",
)
_TOGETHER = B("{count:.1f} requests were computed at the same time on average", "平均同时计算 {count:.1f} 个请求")
_BAD = B(
    "{count} of {total} requests did not meet the SLO, and no metric of a server says why",
    "{total} 个请求中有 {count} 个未达到 SLO，服务端指标未显示原因",
)
_GOOD = B(
    "{count} of {total} requests met the SLO at the highest rate", "最高速率下 {total} 个请求中有 {count} 个达到 SLO"
)


def list_client(one: Signals) -> list[Proof]:
    """List how late and how busy the client was."""
    return [
        _prove("dispatch_p99_s", _CLIENT, one.dispatch_p99_s, _LATE.format(ms=1000 * one.dispatch_p99_s)),
        _prove("cpu_share", _CLIENT, one.client_cpu_share, _BUSY.format(share=one.client_cpu_share)),
    ]


def say_limited(one: Signals) -> Proof:
    """Say how many requests a limit of the key refused."""
    text = _LIMITED.format(count=one.num_limited, total=one.num_requests)
    return _prove("http_429", _REQUESTS, one.num_limited, text)


def say_throttled(one: Signals, limit: float) -> Proof:
    """Say how often the quota was used up."""
    share = one.throttled_share or 0.0
    return _prove(THROTTLED, one.throttled_source, share, _THROTTLED.format(share=share), limit)


def list_kv_cache(one: Signals) -> list[Proof]:
    """List what shows that the KV cache was full."""
    found = []
    if one.num_preemptions:
        text = _PREEMPTED.format(count=one.num_preemptions)
        found.append(_prove(PREEMPTIONS, _ENGINE, one.num_preemptions, text))
    if one.kv_usage is not None:
        text = _KV_FULL.format(share=one.kv_usage, running=one.engine_running or 0.0)
        found.append(_prove(KV_USAGE, _ENGINE, one.kv_usage, text, 1.0))
    return [*found, *_list_waiting(one)]


def list_engine_queue(one: Signals) -> list[Proof]:
    """List what shows that requests waited in the engine for a place."""
    running = one.engine_running or 0.0
    text = (
        _RUNNING.format(count=running)
        if one.engine_places is None
        else _RUNNING_OF.format(count=running, places=one.engine_places)
    )
    return [*_list_waiting(one), _prove(RUNNING, _ENGINE, running, text, one.engine_places)]


def list_gateway_queue(one: Signals) -> list[Proof]:
    """List what shows that requests waited in the gateway, and what it allowed."""
    waiting = one.gateway_waiting or 0.0
    found = [_prove(GATEWAY_WAITING, GATEWAY, waiting, _AT_GATEWAY.format(count=waiting))]
    if one.gateway_queue_s is not None:
        text = _QUEUED_AT_GATEWAY.format(seconds=one.gateway_queue_s)
        found.append(_prove(GATEWAY_QUEUE_S, GATEWAY, one.gateway_queue_s, text))
    if one.gateway_open is not None and one.gateway_limit is not None:
        text = _OPEN.format(count=one.gateway_open, limit=one.gateway_limit)
        found.append(_prove(GATEWAY_OPEN, GATEWAY, one.gateway_open, text, one.gateway_limit))
    if one.num_turned_away:
        text = _TURNED_AWAY.format(count=one.num_turned_away, total=one.num_requests)
        found.append(_prove("http_503", _REQUESTS, one.num_turned_away, text))
    return found


def say_prefill(one: Signals) -> Proof:
    """Say how long prompts took."""
    seconds = one.prefill_s or 0.0
    return _prove(PREFILL_S, _ENGINE, seconds, _PREFILL.format(seconds=seconds, count=one.num_slow_ttft))


def list_decode(one: Signals) -> list[Proof]:
    """List how long answers took, and how many were computed at the same time."""
    found = []
    if one.decode_s is not None:
        count = max(one.num_slow_tpot, one.num_slow_e2e)
        text = _DECODE.format(seconds=one.decode_s, count=count)
        found.append(_prove(DECODE_S, _ENGINE, one.decode_s, text))
    if one.engine_running is not None:
        text = _TOGETHER.format(count=one.engine_running)
        found.append(_prove(RUNNING, _ENGINE, one.engine_running, text, one.engine_places))
    return found


def say_bad_share(one: Signals) -> Proof:
    """Say how many requests did not meet the objective, where no server says why."""
    text = _BAD.format(count=one.num_bad, total=one.num_requests)
    return _prove("not_met", _REQUESTS, one.num_bad, text)


def say_nothing_failed(one: Signals) -> Proof:
    """Say how many requests met the objective at the highest rate."""
    text = _GOOD.format(count=one.num_good, total=one.num_requests)
    return _prove("met", _REQUESTS, one.num_good, text)


def _list_waiting(one: Signals) -> list[Proof]:
    found = []
    if one.engine_waiting is not None:
        text = _WAITING.format(count=one.engine_waiting)
        found.append(_prove(WAITING, _ENGINE, one.engine_waiting, text))
    if one.queue_s is not None:
        found.append(_prove(QUEUE_S, _ENGINE, one.queue_s, _QUEUED.format(seconds=one.queue_s)))
    return found


def _prove(metric: str, source: str, value: float, text: B, limit: float | None = None) -> Proof:
    return Proof(metric=metric, source=source, value=value, limit=limit, text_en=text.en, text_zh=text.zh)
