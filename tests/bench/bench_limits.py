"""A limit of 10,000 tokens a minute under 64 racing clients: this gateway, two of them over Redis, and LiteLLM.

Every token is noted where it is used, at the engine: those of a prompt when the request arrives there, each of an
answer when it is generated. Clients draw the length of each answer and wait as long as Retry-After says. LiteLLM's
proxy is asked in the same minutes, with a key of the same limit.

Usage: python bench_limits.py [--minutes N]        $PEERS_GATEWAY is the environment with LiteLLM.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import secrets
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from fake_engine import MODEL, FakeEngine, serve_engine
from fake_scheduler import Settings
from gateway_stand import HELLO, build_stand, find_port
from limit_race import LIMIT, MINUTE_S, NUM_CLIENTS, find_busiest_minute
from redis_server import serve_redis

STEP_S = 0.025
START_S = 120.0
LITELLM = """\
model_list:
  - model_name: {model}
    litellm_params: {{model: openai/{model}, api_base: "{engine}/v1", api_key: none}}
general_settings: {{custom_auth: bench_auth.user_api_key_auth}}
litellm_settings: {{num_retries: 0, telemetry: false}}
"""
LITELLM_KEYS = f"""\
from litellm.proxy._types import UserAPIKeyAuth


async def user_api_key_auth(request, api_key):
    return UserAPIKeyAuth(api_key=api_key, tpm_limit={LIMIT})
"""


@dataclass
class Way:
    """One way to an engine, and what was seen of it: tokens used (seconds, number) and answers by status."""

    name: str
    urls: list[str]
    secret: str
    engines: list[FakeEngine]
    spent: list[tuple[float, int]] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)

    def record(self) -> None:
        """Note each token that the engines use from now on."""
        for engine in self.engines:
            self._record(engine)

    def _record(self, engine: FakeEngine) -> None:
        count_step, build_job = engine.metrics.count_step, engine._build_job

        def count(step, gained, now_s):
            count_step(step, gained, now_s)
            self.spent.append((time.monotonic(), len(gained)))

        def build(body):
            job = build_job(body)
            self.spent.append((time.monotonic(), job.prompt_tokens))
            return job

        engine.metrics.count_step, engine._build_job = count, build


async def call(way: Way, session: aiohttp.ClientSession, number: int, ends_s: float) -> None:
    """Ask again and again, as one client."""
    rng = random.Random(number)
    url = f"{way.urls[number % len(way.urls)]}/v1/chat/completions"
    headers = {"authorization": f"Bearer {way.secret}"}
    await asyncio.sleep(rng.random())
    while time.monotonic() < ends_s:
        body = {"model": MODEL, "messages": HELLO, "max_tokens": rng.randrange(1, 400), "stream": rng.random() < 0.5}
        async with session.post(url, json=body, headers=headers) as answer:
            way.statuses[answer.status] = way.statuses.get(answer.status, 0) + 1
            await answer.read()
            wait_s = rng.expovariate(5.0)
            if answer.status != 200:
                milliseconds, seconds = (answer.headers.get(name) for name in ("retry-after-ms", "retry-after"))
                told_s = int(milliseconds) / 1000 if milliseconds else float(seconds or 1)
                wait_s = told_s * (1 + rng.random() / 4)
        await asyncio.sleep(min(wait_s, max(ends_s - time.monotonic(), 0)))


@contextlib.asynccontextmanager
async def serve_litellm(folder: Path, environment: Path):
    """Serve LiteLLM's proxy before an engine of its own; gives the way."""
    engine, port = FakeEngine(Settings(step_s=STEP_S)), find_port()
    async with serve_engine(engine) as url:
        (folder / "config.yaml").write_text(LITELLM.format(model=MODEL, engine=url))
        (folder / "bench_auth.py").write_text(LITELLM_KEYS)
        command = [environment / "bin/litellm", "--config", "config.yaml", "--host", "127.0.0.1", "--port", str(port)]
        variables = {**os.environ, "LITELLM_MASTER_KEY": f"sk-{secrets.token_urlsafe(24)}"}
        with (folder / "log").open("w") as log:
            process = await asyncio.create_subprocess_exec(
                *command, cwd=folder, env=variables, stdout=log, stderr=subprocess.STDOUT
            )
        address = f"http://127.0.0.1:{port}"
        try:
            await wait_until_alive(f"{address}/health/liveliness")
            yield Way("litellm", [address], "sk-1", [engine])
        finally:
            process.terminate()
            await process.wait()


async def wait_until_alive(url: str) -> None:
    async with asyncio.timeout(START_S), aiohttp.ClientSession() as session:
        while True:
            with contextlib.suppress(aiohttp.ClientError):
                async with session.get(url) as answer:
                    if answer.status == 200:
                        return
            await asyncio.sleep(0.2)


async def race(minutes: float, peer: str | None) -> list[Way]:
    """Let the clients of all ways race at the same time."""
    settings, limits = Settings(step_s=STEP_S), {"tokens_per_minute": LIMIT}
    async with contextlib.AsyncExitStack() as stack:
        folders = [Path(stack.enter_context(tempfile.TemporaryDirectory())) for _ in range(3)]
        redis = stack.enter_context(serve_redis())
        alone = await stack.enter_async_context(build_stand(folders[0], settings, limits=limits))
        shared = {"redis_url": redis.url, "num_replicas": 2}
        pair = [
            await stack.enter_async_context(build_stand(folders[1], settings, limits=limits, **shared))
            for _ in range(2)
        ]
        ways = [
            Way("gateway", [alone.url], alone.secret, alone.engines),
            Way("redis", [one.url for one in pair], pair[0].secret, [one.engine for one in pair]),
        ]
        if peer:
            ways.append(await stack.enter_async_context(serve_litellm(folders[2], Path(peer))))
        connector = aiohttp.TCPConnector(limit=0)
        session = await stack.enter_async_context(aiohttp.ClientSession(connector=connector))
        for way in ways:
            way.record()
        ends_s = time.monotonic() + minutes * MINUTE_S
        await asyncio.gather(*(call(way, session, number, ends_s) for way in ways for number in range(NUM_CLIENTS)))
        for way in ways:
            # What requests that were open at the end used later belongs to no whole minute.
            way.spent = [(when_s, tokens) for when_s, tokens in way.spent if when_s <= ends_s]
        return ways


def build_results(ways: list[Way], minutes: float) -> dict[str, dict]:
    """Build the figures of the bench's last line."""
    results = {}
    for way in ways:
        busiest, used = find_busiest_minute(way.spent), sum(tokens for _, tokens in way.spent)
        share = used / (minutes * LIMIT)
        is_ours = way.name != "litellm"
        for name, value, unit, goal, met in (
            ("busiest_minute", busiest, "tokens", f"<= {LIMIT}", busiest <= LIMIT),
            ("used", round(share, 4), "of the limit", ">= 0.95", share >= 0.95),
        ):
            goals = {"goal": goal, "met": met} if is_ours else {}
            results[f"{way.name}_{name}"] = {"value": value, "unit": unit, **goals}
        sys.stderr.write(f"{way.name}: {dict(sorted(way.statuses.items()))}\n")
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=2.0)
    minutes = parser.parse_args().minutes
    peer = os.environ.get("PEERS_GATEWAY")
    ways = asyncio.run(race(minutes, peer))
    line = {"bench": "limits", "results": build_results(ways, minutes)}
    if not peer:
        line["without"] = "LiteLLM: $PEERS_GATEWAY is not set"
    sys.stdout.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
