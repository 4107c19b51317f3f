"""What the gateway adds to a request: the engine asked directly, through a bare pass-through, and through the gateway.

The engine answers at once with the same bytes, so that only the way to it is measured. The bare pass-through is the
same server (uvicorn on httptools and uvloop) and client (aiohttp) without any policy. Each runs in a process of its
own; rounds alternate between the three. All policies of the gateway are on: key, token limit, queue, breaker, usage.

Usage: python bench_gateway.py [--rounds N] [--requests N] [--seconds S]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import aiohttp
import psutil
import uvicorn
import uvloop

from gateway_stand import NOW, find_port
from practicum_core.api_keys import KeyLimits, change_key_file, make_key
from practicum_core.stages.gateway import GatewayConfig
from practicum_gateway.app import Gateway
from practicum_gateway.stage import build_server_config, raise_file_limit, serve

PATHS = ("direct", "bare", "gateway")
CHUNKS = 8
NUM_STREAMS = 2000
HELD_S = 1.0
"""Pause between two chunks of a stream that stays open."""
BODY = {"model": "m", "messages": [{"role": "user", "content": "hello " * 20}], "max_tokens": 16}
USAGE = {"prompt_tokens": 30, "completion_tokens": 16, "total_tokens": 46}
ANSWER = json.dumps(
    {
        "id": "1",
        "object": "chat.completion",
        "created": 0,
        "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "t " * 16}, "finish_reason": "length"}],
        "usage": USAGE,
    }
).encode()
CHUNK = {
    "id": "1",
    "object": "chat.completion.chunk",
    "model": "m",
    "choices": [{"index": 0, "delta": {"content": "t "}}],
}
EVENT = b"data: " + json.dumps(CHUNK).encode() + b"\n\n"
LAST = b"data: " + json.dumps({"id": "1", "choices": [], "usage": USAGE}).encode() + b"\n\ndata: [DONE]\n\n"
MODELS = json.dumps({"data": [{"id": "m", "max_model_len": 4096}]}).encode()


async def answer_as_engine(scope, receive, send) -> None:
    sent = await read_body(receive)
    if scope["path"] == "/v1/models":
        await respond(send, b"application/json", MODELS)
    elif b'"stream"' in sent and json.loads(sent)["stream"]:
        await start(send, b"text/event-stream")
        pause_s = HELD_S if b'"held"' in sent else 0
        for _ in range(CHUNKS):
            await send({"type": "http.response.body", "body": EVENT, "more_body": True})
            await asyncio.sleep(pause_s)
        await send({"type": "http.response.body", "body": LAST})
    else:
        await respond(send, b"application/json", ANSWER)


async def read_body(receive) -> bytes:
    parts = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


async def start(send, kind: bytes, length: int | None = None) -> None:
    headers = [(b"content-type", kind)]
    if length is not None:
        headers.append((b"content-length", str(length).encode()))
    await send({"type": "http.response.start", "status": 200, "headers": headers})


async def respond(send, kind: bytes, body: bytes) -> None:
    await start(send, kind, len(body))
    await send({"type": "http.response.body", "body": body})


class Bare:
    """Passes a request on and its answer back, chunk by chunk."""

    def __init__(self, upstream: str) -> None:
        self.upstream = upstream
        self.session: aiohttp.ClientSession | None = None

    async def __call__(self, scope, receive, send) -> None:
        if self.session is None:
            self.session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), auto_decompress=False)
        sent = await read_body(receive)
        headers = {"content-type": "application/json"}
        async with self.session.post(self.upstream + scope["path"], data=sent, headers=headers) as answer:
            kind = answer.headers["content-type"].encode()
            await send({"type": "http.response.start", "status": answer.status, "headers": [(b"content-type", kind)]})
            async for chunk in answer.content.iter_any():
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


class Forever:
    """The run of a gateway that nobody stops."""

    experiments = Path()
    is_stop_requested = False


def run_server(role: str, port: int, upstream: str, keys: str) -> None:
    """Serve one of the three until killed."""
    upstreams = [{"name": "engine", "url": upstream}]
    config = GatewayConfig(upstreams=upstreams, initial_concurrency=4096, max_concurrency=4096)
    raise_file_limit()
    if role == "gateway":
        gateway = Gateway(config, Path(keys))
        server = uvicorn.Server(build_server_config(gateway, config, "127.0.0.1", port))
        uvloop.run(serve(gateway, server, Forever()))
        return
    app = answer_as_engine if role == "engine" else Bare(upstream)
    options = {"access_log": False, "log_level": "warning", "lifespan": "off", "ws": "none", "http": "httptools"}
    uvicorn.run(app, host="127.0.0.1", port=port, loop="uvloop", date_header=False, server_header=False, **options)


class Caller:
    """Asks one of the three."""

    def __init__(self, session: aiohttp.ClientSession, url: str, secret: str) -> None:
        self.session = session
        self.url = f"{url}/v1/chat/completions"
        self.headers = {"authorization": f"Bearer {secret}", "content-type": "application/json"}
        self.whole = json.dumps(BODY).encode()
        self.streamed = json.dumps({**BODY, "stream": True}).encode()

    async def ask(self) -> float:
        started_s = time.perf_counter()
        async with self.session.post(self.url, data=self.whole, headers=self.headers) as answer:
            body = await answer.read()
        elapsed_s = time.perf_counter() - started_s
        assert answer.status == 200, body
        return elapsed_s

    async def ask_streamed(self) -> tuple[float, float]:
        """Return the seconds to the first byte and to the end."""
        started_s = time.perf_counter()
        async with self.session.post(self.url, data=self.streamed, headers=self.headers) as answer:
            first = await answer.content.readany()
            first_s = time.perf_counter() - started_s
            rest = await answer.content.read()
        elapsed_s = time.perf_counter() - started_s
        assert b"[DONE]" in first + rest, first
        return first_s, elapsed_s


async def measure_sequential(caller: Caller, num_requests: int) -> list[float]:
    return [await caller.ask() for _ in range(num_requests)]


async def measure_concurrent(caller: Caller, concurrency: int, seconds: float) -> tuple[float, int]:
    """Return the requests per second of so many clients that each ask again at once, and how many there were."""
    end_s = time.perf_counter() + seconds
    counts = [0] * concurrency

    async def loop(number: int) -> None:
        while time.perf_counter() < end_s:
            await caller.ask()
            counts[number] += 1

    started_s = time.perf_counter()
    await asyncio.gather(*(loop(number) for number in range(concurrency)))
    return sum(counts) / (time.perf_counter() - started_s), sum(counts)


async def measure_streams(caller: Caller, process: int) -> tuple[int, float]:
    """Hold many streams open at once; return how many ended well, and the most memory of the gateway in MiB."""
    num_whole, most = 0, 0.0
    body = json.dumps({**BODY, "stream": True, "user": "held"}).encode()

    async def read_one() -> None:
        nonlocal num_whole
        async with caller.session.post(caller.url, data=body, headers=caller.headers) as answer:
            text = await answer.read()
            assert b"[DONE]" in text, text[:200]
            num_whole += 1

    streams = asyncio.gather(*(read_one() for _ in range(NUM_STREAMS)))
    while not streams.done():
        most = max(most, psutil.Process(process).memory_info().rss / (1 << 20))
        await asyncio.sleep(0.2)
    await streams
    return num_whole, most


async def wait_for(session: aiohttp.ClientSession, url: str, secret: str) -> None:
    deadline_s = time.monotonic() + 30
    while time.monotonic() < deadline_s:
        with contextlib.suppress(aiohttp.ClientError):
            async with session.get(f"{url}/v1/models", headers={"authorization": f"Bearer {secret}"}) as answer:
                if answer.status == 200:
                    return
        await asyncio.sleep(0.05)
    raise TimeoutError(url)


def count_cpu_s(process: int | None) -> float:
    """Return the processor time that a process has taken; 0 for none."""
    return sum(psutil.Process(process).cpu_times()[:2]) if process is not None else 0.0


async def measure(
    urls: dict[str, str], processes: dict[str, int], secret: str, options: argparse.Namespace
) -> dict[str, dict[str, list[float]]]:
    figures = {path: {"p50": [], "p99": [], "first": [], "rate": [], "cpu": []} for path in PATHS}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        callers = {path: Caller(session, url, secret) for path, url in urls.items()}
        for path, url in urls.items():
            await wait_for(session, url, secret)
            await measure_sequential(callers[path], 200)
        start_mib = psutil.Process(processes["gateway"]).memory_info().rss / (1 << 20)
        for _ in range(options.rounds):
            for path, caller in callers.items():
                found = figures[path]
                times = sorted(await measure_sequential(caller, options.requests))
                found["p50"].append(statistics.median(times))
                found["p99"].append(times[int(0.99 * len(times))])
                streams = [await caller.ask_streamed() for _ in range(options.requests // 4)]
                found["first"].append(statistics.median(first for first, _ in streams))
                cpu_s = count_cpu_s(processes.get(path))
                rate, count = await measure_concurrent(caller, 32, options.seconds)
                found["rate"].append(rate)
                found["cpu"].append((count_cpu_s(processes.get(path)) - cpu_s) / count)
        end_mib = psutil.Process(processes["gateway"]).memory_info().rss / (1 << 20)
        num_whole, most_mib = await measure_streams(callers["gateway"], processes["gateway"])
    assert num_whole == NUM_STREAMS, num_whole
    figures["gateway"] |= {"growth": [end_mib - start_mib], "streams": [most_mib]}
    return figures


def judge(figures: dict[str, dict[str, list[float]]]) -> dict[str, dict[str, object]]:
    """Name the figures with their goals; medians over the rounds, differences within each round."""

    def add(name: str, other: str) -> float:
        pairs = zip(figures["gateway"][name], figures[other][name], strict=True)
        return 1000 * statistics.median(one - base for one, base in pairs)

    bare_pairs = zip(figures["bare"]["p50"], figures["direct"]["p50"], strict=True)
    bare_ms = 1000 * statistics.median(one - base for one, base in bare_pairs)
    rates = {path: statistics.median(found["rate"]) for path, found in figures.items()}
    rows = {
        "added_p50_c1": (add("p50", "direct"), "ms", "< 1.0", lambda value: value < 1.0),
        "added_p50_c1_over_bare": (add("p50", "direct") / bare_ms, "ratio", "<= 2.0", lambda value: value <= 2.0),
        "added_p99_c1": (add("p99", "direct"), "ms", "< 2.5", lambda value: value < 2.5),
        "added_first_byte_over_bare": (add("first", "bare"), "ms", "<= 0.3", lambda value: value <= 0.3),
        "rate_c32_over_bare": (rates["gateway"] / rates["bare"], "ratio", ">= 0.6", lambda value: value >= 0.6),
        "memory_of_2000_streams": (figures["gateway"]["streams"][0], "MiB", "<= 300", lambda value: value <= 300),
        "memory_growth": (figures["gateway"]["growth"][0], "MiB", "", None),
        "direct_p50_c1": (1000 * statistics.median(figures["direct"]["p50"]), "ms", "", None),
        "bare_added_p50_c1": (bare_ms, "ms", "", None),
        **{f"{path}_rate_c32": (rate, "1/s", "", None) for path, rate in rates.items()},
        **{
            f"{path}_cpu_per_request": (1000 * statistics.median(figures[path]["cpu"]), "ms", "", None)
            for path in ("bare", "gateway")
        },
    }
    return {
        name: {"value": round(value, 3), "unit": unit, **({"goal": goal, "met": met(value)} if met else {})}
        for name, (value, unit, goal, met) in rows.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--role", nargs=4, metavar=("ROLE", "PORT", "UPSTREAM", "KEYS"))
    options = parser.parse_args()
    if options.role:
        role, port, upstream, keys = options.role
        run_server(role, int(port), upstream, keys)
        return
    raise_file_limit()
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        keys = Path(folder) / "keys.json"
        secret, key = make_key("bench", KeyLimits(tokens_per_minute=10**9, requests_per_minute=10**8), NOW)
        change_key_file(keys, lambda file: file.add(key))
        processes: dict[str, int] = {}
        ports = {role: find_port() for role in ("engine", "bare", "gateway")}
        urls = {role: f"http://127.0.0.1:{port}" for role, port in ports.items()}
        for role, port in ports.items():
            command = [sys.executable, __file__, "--role", role, str(port), urls["engine"], str(keys)]
            process = subprocess.Popen(command, env=os.environ)
            stack.callback(process.wait)
            stack.callback(process.kill)
            processes[role] = process.pid
        asked = {"direct": urls["engine"], "bare": urls["bare"], "gateway": urls["gateway"]}
        figures = uvloop.run(measure(asked, processes, secret, options))
    load = os.getloadavg()[0]
    print(json.dumps({"bench": "gateway", "load": round(load, 2), "results": judge(figures)}))


if __name__ == "__main__":
    main()
