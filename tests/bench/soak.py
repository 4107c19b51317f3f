"""Steady load on a gateway for minutes, with a fault every few: what grows that must not, and whether tokens add up.

Engine (the tests' own), fault proxy and gateway are processes of their own. Their memory is compared between the calm
times at the beginning and at the end, under load; their connections and open files between two moments without any
load, after a warm-up and after all. The client adds up the tokens of whole answers, and the gateway's own count must be
the same number.

Usage: python soak.py [--minutes M] [--rate N] [--every S] [--fault-seconds S]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import random
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import psutil
import uvicorn

from gateway_stand import NOW, find_port
from practicum_core.api_keys import KeyLimits, change_key_file, make_key
from practicum_core.stages.gateway import GatewayConfig
from practicum_gateway.app import Gateway
from practicum_gateway.stage import build_admission, build_server_config, serve
from practicum_jobs.faultproxy.listener import serve_proxy
from practicum_jobs.faultproxy.proxy import FaultProxy

ENGINE = Path(__file__).parents[1] / "stand" / "fake_engine.py"
SAMPLE_S = 5.0
WARMUP_S = 20.0
IDLE_S = 10.0
"""Until connections that nobody uses are closed: the gateway keeps those to engines for four seconds."""
CALM_S = 40.0
"""After a fault: for the ladder to come back and connections to end."""
OWN_SHAPE = ('{"error"', '{"message"')
FAULTS: tuple[dict[str, object] | str, ...] = (
    {"kind": "errors"},
    "kill",
    {"kind": "stall", "after_chunks": 0},
    {"kind": "cut", "every": 2},
    "hang",
    {"kind": "refused"},
    {"kind": "malformed", "every": 2},
    {"kind": "latency", "delay_s": 0.3},
    {"kind": "reset", "every": 2},
)
"""One after another: a fault of the proxy, or a signal to the engine."""


class Forever:
    experiments = Path()
    is_stop_requested = False


def run_gateway(port: int, upstream: str, folder: Path) -> None:
    config = GatewayConfig(
        upstreams=[{"name": "engine", "url": upstream}],
        ladder=True,
        knowledge="builtin:tickets",
        request_timeout_s=10.0,
        queue_timeout_s=5.0,
        ladder_up_s=3.0,
        ladder_settle_s=10.0,
        probe_timeout_s=2.0,
    )
    gateway = Gateway(config, [folder / "keys.json"], admission=build_admission(config), pin_file=folder / "rung.json")
    server = uvicorn.Server(build_server_config(gateway, config, "127.0.0.1", port))
    asyncio.run(serve(gateway, server, Forever()))


def run_proxy(port: int, upstream: str) -> None:
    async def run() -> None:
        async with serve_proxy(FaultProxy(upstream), "127.0.0.1", port):
            await asyncio.Event().wait()

    asyncio.run(run())


@dataclass
class Tally:
    """What clients got."""

    outcomes: Counter[str] = field(default_factory=Counter)
    prompt_tokens: int = 0
    completion_tokens: int = 0
    lost: list[str] = field(default_factory=list)
    lost_by_kind: Counter[str] = field(default_factory=Counter)

    def add(self, usage: dict[str, int]) -> None:
        self.prompt_tokens += usage["prompt_tokens"]
        self.completion_tokens += usage["completion_tokens"]


class Client:
    """Sends requests at a rate, each second one whole and one streamed."""

    def __init__(self, session: aiohttp.ClientSession, url: str, secret: str) -> None:
        self.session = session
        self.url = f"{url}/v1/chat/completions"
        self.headers = {"authorization": f"Bearer {secret}"}
        self.tally = Tally()
        self._random = random.Random(7)

    async def send(self, rate: float, until_s: float) -> None:
        tasks: set[asyncio.Task[None]] = set()
        due_s = time.monotonic()
        for number in itertools.count():
            due_s += self._random.expovariate(rate)
            if due_s >= until_s:
                break
            await asyncio.sleep(due_s - time.monotonic())
            tasks.add(asyncio.create_task(self._ask(number % 2 == 0)))
            tasks = {one for one in tasks if not one.done()}
        await asyncio.gather(*tasks)

    async def _ask(self, is_streamed: bool) -> None:
        body = {
            "model": "fake",
            "messages": [{"role": "user", "content": "How long does a refund take? " + "word " * 20}],
            "max_tokens": self._random.randint(4, 24),
        }
        if is_streamed:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        try:
            async with self.session.post(self.url, json=body, headers=self.headers) as answer:
                text = (await answer.read()).decode()
                self._take(answer, text, is_streamed=is_streamed)
        except (aiohttp.ClientError, TimeoutError) as error:
            self._lose(repr(error), type(error).__name__)
        except Exception as error:  # noqa: BLE001 - nobody waits for a request alone: it would be missing in silence
            self._lose(f"an answer that the client cannot read: {error!r}", type(error).__name__)

    def _take(self, answer: aiohttp.ClientResponse, text: str, *, is_streamed: bool) -> None:
        rung = answer.headers.get("x-practicum-degraded", "full")
        if not answer.ok:
            if text.startswith(OWN_SHAPE):
                self.tally.outcomes["error"] += 1
            else:
                self._lose(text[:200], f"status {answer.status} of another shape")
            return
        lines = [line[6:] for line in text.splitlines() if line.startswith("data: ")] if is_streamed else [text]
        if is_streamed and (not lines or lines[-1] != "[DONE]" or any('"error"' in line for line in lines)):
            is_told = any(line.startswith(OWN_SHAPE) for line in lines)
            self.tally.outcomes["error"] += is_told
            if not is_told:
                self._lose(text[-200:], "broken stream")
            return
        pages = [json.loads(line) for line in lines if line != "[DONE]"]
        self.tally.outcomes[f"answered by {rung}"] += 1
        for page in pages:
            if page.get("usage") and not str(page.get("model")).startswith("practicum-"):
                self.tally.add(page["usage"])

    def _lose(self, what: str, kind: str) -> None:
        self.tally.outcomes["lost"] += 1
        self.tally.lost_by_kind[kind] += 1
        self.tally.lost.append(what)


@dataclass
class Sample:
    at_s: float
    is_calm: bool
    figures: dict[str, float]


class Engine:
    """The tests' engine as a process that can be killed and started again on its port."""

    def __init__(self) -> None:
        self.port = find_port()
        self.start()

    def start(self) -> None:
        command = [sys.executable, str(ENGINE), str(self.port), "0.01"]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


async def make_fault(session: aiohttp.ClientSession, proxy: str, engine: Engine, fault, seconds: float) -> None:
    if fault == "kill":
        engine.stop()
        await asyncio.sleep(seconds)
        engine.start()
    elif fault == "hang":
        engine.process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(seconds)
        engine.process.send_signal(signal.SIGCONT)
    else:
        body = {**fault, "for_s": seconds}
        async with session.put(f"{proxy}/faults", json=body) as answer:
            answer.raise_for_status()
        await asyncio.sleep(seconds)


def measure(gateway: psutil.Process, proxy: psutil.Process) -> dict[str, float]:
    found = {}
    for name, process in (("gateway", gateway), ("proxy", proxy)):
        found[f"{name}_mib"] = process.memory_info().rss / 2**20
        found[f"{name}_files"] = process.num_fds()
        found[f"{name}_connections"] = len(process.net_connections("tcp"))
    return found


async def soak(options: argparse.Namespace, client: Client, proxy: str, engine: Engine, processes):
    """Send the load and make the faults; return the samples under load, and the figures without it before and after."""
    await client.send(options.rate, time.monotonic() + WARMUP_S)
    idle = await idle_down(processes)
    started_s = time.monotonic()
    ends_s = started_s + options.minutes * 60
    samples: list[Sample] = []
    calm_from_s = started_s + CALM_S

    async def watch() -> None:
        while True:
            now_s = time.monotonic()
            samples.append(Sample(now_s - started_s, now_s >= calm_from_s, measure(*processes)))
            await asyncio.sleep(SAMPLE_S)

    async def disturb() -> None:
        nonlocal calm_from_s
        for fault in itertools.cycle(FAULTS):
            await asyncio.sleep(options.every - options.fault_seconds)
            if time.monotonic() + options.fault_seconds + CALM_S > ends_s:
                return
            sys.stderr.write(f"{time.monotonic() - started_s:6.0f} s: {fault}; {dict(client.tally.outcomes)}\n")
            calm_from_s = float("inf")
            await make_fault(client.session, proxy, engine, fault, options.fault_seconds)
            client.tally.outcomes["faults"] += 1
            calm_from_s = time.monotonic() + CALM_S

    helpers = [asyncio.create_task(watch()), asyncio.create_task(disturb())]
    await client.send(options.rate, ends_s)
    for task in helpers:
        task.cancel()
    for ended in await asyncio.gather(*helpers, return_exceptions=True):
        # A fault that could not be made would leave a soak without any, and that passes.
        if isinstance(ended, Exception):
            raise ended
    return samples, (idle, await idle_down(processes))


async def idle_down(processes) -> dict[str, float]:
    """Wait until nothing is open that nobody uses, and measure."""
    await asyncio.sleep(IDLE_S)
    found = []
    for _ in range(9):
        found.append(measure(*processes))
        await asyncio.sleep(0.3)
    # The ladder's probes come and go.
    return {name: statistics.median(one[name] for one in found) for name in found[0]}


async def count_tokens(session: aiohttp.ClientSession, url: str) -> dict[str, int]:
    """Return the gateway's own count of tokens by kind."""
    async with session.get(f"{url}/metrics") as answer:
        page = await answer.text()
    found = re.findall(r'^practicum_gateway_tokens_total\{[^}]*kind="(\w+)"[^}]*\} ([0-9.e+]+)', page, re.MULTILINE)
    return {kind: int(float(value)) for kind, value in found}


def judge(samples: list[Sample], idle, tally: Tally, counted: dict[str, int], minutes: float) -> dict[str, dict]:
    calm = [one for one in samples if one.is_calm]
    part = max(len(calm) // 4, 1)
    results: dict[str, dict] = {}
    for name in calm[0].figures:
        is_memory = name.endswith("_mib")
        first, last = (one[name] for one in idle)
        if is_memory:
            first = statistics.median(one.figures[name] for one in calm[:part])
            last = statistics.median(one.figures[name] for one in calm[-part:])
        bound, unit = (5.0, "MiB") if is_memory else (1.0, "count")
        grown = round(last - first, 2)
        row = {"value": grown, "unit": unit, "goal": f"<= {bound:g}", "met": grown <= bound}
        results[f"{name}_grown"] = {**row, "first": round(first, 1), "last": round(last, 1)}
    for kind, own in (("prompt", tally.prompt_tokens), ("completion", tally.completion_tokens)):
        off = counted.get(kind, 0) - own
        results[f"{kind}_tokens_off"] = {"value": off, "unit": "tokens", "goal": "0", "met": off == 0, "counted": own}
    lost = tally.outcomes["lost"]
    results["lost"] = {"value": lost, "unit": "requests", "goal": "0", "met": lost == 0, "by_kind": tally.lost_by_kind}
    number = sum(tally.outcomes.values()) - tally.outcomes["faults"]
    results["requests"] = {"value": number, "unit": "requests", "goal": "> 0", "met": number > 0}
    results["faults"] = {"value": tally.outcomes["faults"], "unit": "count", "goal": ">= 0", "met": True}
    results["minutes"] = {"value": minutes, "unit": "min", "goal": "> 0", "met": True}
    return results


@contextlib.contextmanager
def start_role(*words: object) -> Iterator[psutil.Process]:
    with subprocess.Popen([sys.executable, __file__, "--role", *map(str, words)]) as process:
        try:
            yield psutil.Process(process.pid)
        finally:
            process.kill()


async def wait_until_ready(session: aiohttp.ClientSession, url: str) -> None:
    async with asyncio.timeout(60):
        while True:
            with contextlib.suppress(aiohttp.ClientError):
                async with session.get(f"{url}/readyz") as answer:
                    if answer.ok:
                        return
            await asyncio.sleep(0.1)


async def run(options: argparse.Namespace, folder: Path) -> dict[str, dict]:
    secret, key = make_key("student-01", KeyLimits(tokens_per_minute=10_000_000), NOW)
    change_key_file(folder / "keys.json", lambda file: file.add(key))
    engine = Engine()
    ports = find_port(), find_port()
    urls = [f"http://127.0.0.1:{port}" for port in ports]
    timeout = aiohttp.ClientTimeout(total=30)
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=2)
    try:
        with (
            start_role("proxy", ports[0], f"http://127.0.0.1:{engine.port}") as proxy,
            start_role("gateway", ports[1], urls[0], folder) as gateway,
        ):
            async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
                await wait_until_ready(session, urls[1])
                client = Client(session, urls[1], secret)
                samples, idle = await soak(options, client, urls[0], engine, (gateway, proxy))
                counted = await count_tokens(session, urls[1])
                sys.stderr.write(f"{dict(client.tally.outcomes)} {client.tally.lost[:3]}\n")
                return judge(samples, idle, client.tally, counted, options.minutes)
    finally:
        engine.stop()


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--rate", type=float, default=5.0)
    parser.add_argument("--every", type=float, default=180.0)
    parser.add_argument("--fault-seconds", type=float, default=8.0)
    parser.add_argument("--role", nargs="+")
    options = parser.parse_args()
    if options.role:
        role, port, upstream, *rest = options.role
        if role == "gateway":
            run_gateway(int(port), upstream, Path(rest[0]))
        else:
            run_proxy(int(port), upstream)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        results = asyncio.run(run(options, Path(folder)))
    sys.stdout.write(json.dumps({"bench": "soak", "results": results}) + "\n")
    return 0 if all(one["met"] for one in results.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
