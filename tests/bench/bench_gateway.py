"""What the gateway adds to a request, beside a bare pass-through and LiteLLM's proxy before the same engine.

Rounds alternate between the ways. All policies of the gateway are on: key, limits, queue, breaker, usage. Two gateways
that share limits in Redis are compared with one, each held to a fifth of a processor, or client and engine would take
what the second needs.

Usage: python bench_gateway.py [--rounds N] [--requests N] [--seconds S] [--many N] [--only-traces]
       $PEERS_GATEWAY is the environment with LiteLLM.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import os
import statistics
import sys
import tempfile
import time
import timeit
from collections.abc import Callable
from pathlib import Path

import aiohttp
import psutil
import pytest
import uvloop
from gateway_ways import TRACED_SHARES, start_litellm, start_way

from cpu_quota import make_quota_group
from gateway_stand import NOW
from practicum_core.api_keys import KeyLimits, change_key_file, make_key
from practicum_gateway.exchange import Exchange
from practicum_gateway.stage import raise_file_limit
from redis_server import serve_redis

NUM_STREAMS = 2000
CONCURRENCY = 32
VLLM_RATE = 10.0
"""Requests of 32 tokens that vLLM answers in a second with SmolLM2-135M on two cores (329 tokens)."""
QUOTA = 0.2
START_S = 180.0
TIMED_S, TIMED_ROUNDS = 6.0, 3
LITELLM_SHARE = 20
"""LiteLLM gets one request where the others get so many: it takes that much longer."""
BODY = {"model": "m", "messages": [{"role": "user", "content": "hello " * 20}], "max_tokens": 16}
Figures = dict[str, dict[str, list[float]]]


class Caller:
    """Asks one of the ways; with several addresses, one after the other."""

    def __init__(self, session: aiohttp.ClientSession, secret: str, *urls: str) -> None:
        self.session = session
        self.urls = itertools.cycle([f"{url}/v1/chat/completions" for url in urls])
        self.headers = {"authorization": f"Bearer {secret}", "content-type": "application/json"}
        self.whole = json.dumps(BODY).encode()
        self.streamed = json.dumps({**BODY, "stream": True}).encode()
        self.held = json.dumps({**BODY, "stream": True, "user": "held"}).encode()

    async def ask(self) -> float:
        started_s = time.perf_counter()
        async with self.session.post(next(self.urls), data=self.whole, headers=self.headers) as answer:
            body = await answer.read()
        elapsed_s = time.perf_counter() - started_s
        assert answer.status == 200, body
        return elapsed_s

    async def ask_streamed(self) -> float:
        """Return the seconds to the first byte."""
        started_s = time.perf_counter()
        async with self.session.post(next(self.urls), data=self.streamed, headers=self.headers) as answer:
            first = await answer.content.readany()
            first_s = time.perf_counter() - started_s
            rest = await answer.content.read()
        assert b"[DONE]" in first + rest, first
        return first_s

    async def hold_stream(self) -> None:
        async with self.session.post(next(self.urls), data=self.held, headers=self.headers) as answer:
            text = await answer.read()
        assert b"[DONE]" in text, text[:200]

    async def wait_until_ready(self) -> None:
        deadline_s = time.monotonic() + START_S
        while time.monotonic() < deadline_s:
            with contextlib.suppress(aiohttp.ClientError, AssertionError):
                await self.ask()
                return
            await asyncio.sleep(0.1)
        raise TimeoutError("a way does not answer")


async def ask_at_once(caller: Caller, until: Callable[[int], bool]) -> tuple[float, int]:
    """Ask with 32 clients, each again at once, until that is said of their number of requests.

    Returns:
        Requests per second, and how many there were.
    """
    count = 0

    async def loop() -> None:
        nonlocal count
        while not until(count):
            await caller.ask()
            count += 1

    started_s = time.perf_counter()
    await asyncio.gather(*(loop() for _ in range(CONCURRENCY)))
    return count / (time.perf_counter() - started_s), count


def during(seconds: float) -> Callable[[int], bool]:
    ends_s = time.perf_counter() + seconds
    return lambda _count: time.perf_counter() >= ends_s


async def measure_round(caller: Caller, process: int, num_requests: int, seconds: float) -> dict[str, float]:
    """Measure one way once: one client, streams, and 32 clients."""
    times = sorted([await caller.ask() for _ in range(num_requests)])
    firsts = [await caller.ask_streamed() for _ in range(max(num_requests // 4, 5))]
    cpu_s = count_cpu_s(process)
    rate, count = await ask_at_once(caller, during(seconds))
    return {
        "p50": statistics.median(times),
        "p99": times[int(0.99 * len(times))],
        "first": statistics.median(firsts),
        "rate": rate,
        "cpu": (count_cpu_s(process) - cpu_s) / count,
    }


async def measure_memory(caller: Caller, process: int, many: int) -> dict[str, float]:
    """Return the growth of the gateway's memory over many requests and its most with many streams, in MiB."""
    await ask_at_once(caller, lambda count: count >= many // 10)
    start_mib = read_mib(process)
    await ask_at_once(caller, lambda count: count >= many)
    growth_mib, most_mib = read_mib(process) - start_mib, 0.0
    streams = asyncio.gather(*(caller.hold_stream() for _ in range(NUM_STREAMS)))
    while not streams.done():
        most_mib = max(most_mib, read_mib(process))
        await asyncio.sleep(0.2)
    await streams
    return {"growth": growth_mib, "streams": most_mib}


def measure_pair(engine: str, keys: Path, secret: str, seconds: float, rounds: int) -> list[tuple[float, float]]:
    """Return the requests per second of one gateway, and of two that share limits in Redis, in each round."""

    async def measure(first: str, second: str) -> list[tuple[float, float]]:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            one, both = Caller(session, secret, first), Caller(session, secret, first, second)
            for caller in (one, both, both):
                await caller.wait_until_ready()
                await ask_at_once(caller, during(1.0))
            return [
                ((await ask_at_once(one, during(seconds)))[0], (await ask_at_once(both, during(seconds)))[0])
                for _ in range(rounds)
            ]

    with contextlib.ExitStack() as stack:
        redis = stack.enter_context(serve_redis())
        urls = []
        for _ in range(2):
            group = stack.enter_context(make_quota_group(QUOTA))
            url, process = stack.enter_context(start_way("gateway", engine, keys, redis.url))
            group.add(process)
            urls.append(url)
        return uvloop.run(measure(*urls))


def count_cpu_s(process: int) -> float:
    """Return the processor time that a process has taken."""
    return sum(psutil.Process(process).cpu_times()[:2])


def read_mib(process: int) -> float:
    return psutil.Process(process).memory_info().rss / (1 << 20)


async def measure(ways: dict[str, tuple[str, int]], secret: str, options: argparse.Namespace) -> Figures:
    figures: Figures = {way: {} for way in ways}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        callers = {way: Caller(session, secret, url) for way, (url, _) in ways.items()}
        for caller in callers.values():
            await caller.wait_until_ready()
            await ask_at_once(caller, during(0.5))
        for number in range(options.rounds):
            for way, caller in callers.items():
                is_slow = way == "litellm"
                if is_slow and number:
                    continue
                num_requests = options.requests // LITELLM_SHARE if is_slow else options.requests
                found = await measure_round(caller, ways[way][1], num_requests, options.seconds)
                for name, value in found.items():
                    figures[way].setdefault(name, []).append(value)
        if options.only_traces:
            return figures
        for name, value in (await measure_memory(callers["gateway"], ways["gateway"][1], options.many)).items():
            figures["gateway"][name] = [value]
    return figures


def judge(figures: Figures, pair: list[tuple[float, float]], many: int) -> dict[str, dict[str, object]]:
    """Name the figures with their goals; medians over the rounds, differences within each round."""

    def add(way: str, name: str, other: str) -> float:
        pairs = zip(figures[way][name], figures[other][name], strict=True)
        return 1000 * statistics.median(one - base for one, base in pairs)

    bare_ms = add("bare", "p50", "direct")
    rates = {way: statistics.median(found["rate"]) for way, found in figures.items()}
    own = figures["gateway"]
    rows = {
        "added_p50_c1": (add("gateway", "p50", "direct"), "ms", "<", 1.0),
        "added_p50_c1_over_bare": (add("gateway", "p50", "direct") / bare_ms, "ratio", "<=", 2.0),
        "added_p99_c1": (add("gateway", "p99", "direct"), "ms", "<", 2.5),
        "added_first_byte_over_bare": (add("gateway", "first", "bare"), "ms", "<=", 0.3),
        "rate_c32_over_bare": (rates["gateway"] / rates["bare"], "ratio", ">=", 0.6),
        "memory_of_2000_streams": (own["streams"][0], "MiB", "<=", 300),
        f"memory_growth_over_{many}": (own["growth"][0], "MiB", "<=", 5),
        "direct_p50_c1": (1000 * statistics.median(figures["direct"]["p50"]), "ms", "", 0),
        "bare_added_p50_c1": (bare_ms, "ms", "", 0),
        **{f"{way}_rate_c32": (rate, "1/s", "", 0) for way, rate in rates.items()},
        **{f"{way}_cpu_per_request": (1000 * statistics.median(figures[way]["cpu"]), "ms", "", 0) for way in figures},
    }
    if "litellm" in figures:
        added_ms = 1000 * (figures["litellm"]["p50"][0] - figures["direct"]["p50"][0])
        rows["rate_c32_over_litellm"] = (rates["gateway"] / rates["litellm"], "ratio", ">=", 20)
        rows["litellm_added_p50_c1"] = (added_ms, "ms", "", 0)
    if pair:
        rows["two_over_one"] = (statistics.median(both / one for one, both in pair), "ratio", ">=", 1.7)
        rows["one_rate_in_a_fifth"] = (statistics.median(one for one, _ in pair), "1/s", "", 0)
    return {name: build_row(*row) for name, row in rows.items()}


async def measure_timed(urls: dict[str, str], secret: str, options: argparse.Namespace) -> dict[str, list[float]]:
    """Return the requests per second of gateways before an engine with vLLM's times, in each round."""
    rates: dict[str, list[float]] = {way: [] for way in urls}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        callers = {way: Caller(session, secret, url) for way, url in urls.items()}
        for caller in callers.values():
            await caller.wait_until_ready()
        for _ in range(min(options.rounds, TIMED_ROUNDS)):
            for way, caller in callers.items():
                rates[way].append((await ask_at_once(caller, during(TIMED_S)))[0])
    return rates


def judge_traces(figures: Figures, timed: dict[str, list[float]]) -> dict[str, dict[str, object]]:
    """Say what a trace of each request costs, of every tenth, and what the code costs that writes none.

    Client, gateway and engine share the cores, and what a trace costs is missing where all are busy: before an engine
    that answers at once. Before one with vLLM's times most of both cores is idle.
    """
    ways = ("gateway", *TRACED_SHARES)
    cpu_us = {way: 1e6 * statistics.median(figures[way]["cpu"]) for way in ways}
    untraced_us = measure_untraced_us()
    rows = {}
    for way in TRACED_SHARES:
        rates = zip(figures[way]["rate"], figures["gateway"]["rate"], strict=True)
        rows[f"{way}_rate_over_untraced"] = build_row(
            statistics.median(one / base for one, base in rates), "ratio", ">=", 0.9
        )
    pairs = zip(timed["traced"], timed["gateway"], strict=True)
    share = (cpu_us["traced"] - cpu_us["gateway"]) * VLLM_RATE / 1e6
    return {
        **rows,
        "traced_rate_over_untraced_with_vllm_times": build_row(
            statistics.median(one / base for one, base in pairs), "ratio", ">=", 0.9
        ),
        **{
            f"{way}_rate_with_vllm_times": build_row(statistics.median(rates), "1/s", "", 0)
            for way, rates in timed.items()
        },
        "trace_share_before_vllm": build_row(share, "ratio", "<=", 0.1),
        "untraced_share_of_request": build_row(untraced_us / cpu_us["gateway"], "ratio", "<=", 0.01),
        "untraced_code": build_row(untraced_us, "us", "", 0),
        **{f"{way}_cpu_per_request": build_row(value, "us", "", 0) for way, value in cpu_us.items()},
        **{f"{way}_rate_c32": build_row(statistics.median(figures[way]["rate"]), "1/s", "", 0) for way in ways},
    }


def measure_untraced_us() -> float:
    """Return what a request without a trace spends on asking for one: a block and five looks."""
    exchange = Exchange({"method": "POST", "path": "/v1/chat/completions", "headers": []}, None, None)

    def ask() -> None:
        with exchange.span("wait"):
            pass
        for _ in range(5):
            if exchange.trace is not None:
                raise AssertionError

    return 1e6 * min(timeit.repeat(ask, number=10_000, repeat=5)) / 10_000


def build_row(value: float, unit: str, sign: str, bound: float) -> dict[str, object]:
    row: dict[str, object] = {"value": round(value, 3), "unit": unit}
    if sign:
        met = {"<": value < bound, "<=": value <= bound, ">=": value >= bound}[sign]
        row |= {"goal": f"{sign} {bound}", "met": met}
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--many", type=int, default=200_000)
    parser.add_argument("--only-traces", action="store_true", help="what traces cost, and nothing else")
    options = parser.parse_args()
    raise_file_limit()
    without, pair = [], []
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        keys = Path(folder) / "keys.json"
        secret, key = make_key("bench", KeyLimits(tokens_per_minute=10**9, requests_per_minute=10**8), NOW)
        change_key_file(keys, lambda file: file.add(key))
        ways = {"direct": stack.enter_context(start_way("engine", "-", keys))}
        engine = ways["direct"][0]
        for way in ("gateway", *TRACED_SHARES) if options.only_traces else ("bare", "gateway"):
            ways[way] = stack.enter_context(start_way(way, engine, keys))
        peer = "" if options.only_traces else os.environ.get("PEERS_GATEWAY")
        if peer:
            ways["litellm"] = stack.enter_context(start_litellm(Path(peer), engine, Path(folder)))
        else:
            without.append("LiteLLM: $PEERS_GATEWAY is not set")
        figures = uvloop.run(measure(ways, secret, options))
        if options.only_traces:
            timed_engine = stack.enter_context(start_way("timed-engine", "-", keys))[0]
            urls = {way: stack.enter_context(start_way(way, timed_engine, keys))[0] for way in ("gateway", "traced")}
            timed = uvloop.run(measure_timed(urls, secret, options))
            line = {"bench": "traces", "load": round(os.getloadavg()[0], 2), "results": judge_traces(figures, timed)}
            sys.stdout.write(json.dumps(line) + "\n")
            return
        try:
            pair = measure_pair(engine, keys, secret, options.seconds, options.rounds)
        except pytest.skip.Exception as error:
            without.append(f"two gateways: {error}")
    line = {"bench": "gateway", "load": round(os.getloadavg()[0], 2), "results": judge(figures, pair, options.many)}
    if without:
        line["without"] = "; ".join(without)
    sys.stdout.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
