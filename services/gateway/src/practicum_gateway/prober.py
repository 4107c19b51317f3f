"""Probes of the engines: a completion of one token, as users ask for them, and how full the KV cache is.

A port that answers proves nothing: an engine that hangs still accepts connections.
"""

from __future__ import annotations

import asyncio
import json
import re

import aiohttp

from practicum_gateway.breaker import Outcome
from practicum_gateway.clock import Clock
from practicum_gateway.errors import ApiError
from practicum_gateway.upstream import Upstream, UpstreamPool

_KV_USE = re.compile(rb"^vllm:kv_cache_usage_perc(?:\{[^}]*\})?\s+([0-9.eE+-]+)", re.MULTILINE)
_UNSUITED = (400, 404, 405, 422)
"""What an engine answers that has no completions, such as one for embeddings: it works, and says no to this."""
_OK = 200


async def ask_first_token(
    session: aiohttp.ClientSession, pool: UpstreamPool, timeout_s: float, clock: Clock
) -> float | None:
    """Ask an engine for one token, as its breaker allows; its end counts for the breaker as a request's does.

    Returns:
        Seconds to the first byte of the answer; ``None`` where none came in time.
    """
    try:
        call = pool.call()
    except ApiError:
        return None
    outcome = Outcome.UNCOUNTED
    try:
        async with asyncio.timeout(timeout_s):
            seconds = await _ask(session, call.upstream, clock)
        outcome = Outcome.FAILED if seconds is None else Outcome.GOOD
    except (aiohttp.ClientError, OSError):
        outcome = Outcome.FAILED
        return None
    except TimeoutError:
        outcome = Outcome.SLOW
        return None
    else:
        return seconds
    finally:
        call.end(outcome)


async def _ask(session: aiohttp.ClientSession, upstream: Upstream, clock: Clock) -> float | None:
    model = next(iter(upstream.models or {}), "")
    body = json.dumps({"model": model, "prompt": "ok", "max_tokens": 1, "stream": True}).encode()
    started_s = clock()
    headers = {"content-type": "application/json", "x-request-id": "practicum-probe"}
    address = f"{upstream.url}/v1/completions"
    async with session.post(address, data=body, headers=headers, allow_redirects=False) as response:
        if response.status not in (_OK, *_UNSUITED):
            return None
        chunk = await response.content.readany()
        seconds = clock() - started_s
        await response.read()
        return seconds if chunk else None


async def ask_kv_use(session: aiohttp.ClientSession, pool: UpstreamPool, timeout_s: float) -> float:
    """Return the share of the KV cache in use, of the fullest engine; 0 where none says it."""
    found = [0.0]
    for upstream in pool.upstreams:
        try:
            async with asyncio.timeout(timeout_s), session.get(f"{upstream.url}/metrics") as response:
                found += [float(match) for match in _KV_USE.findall(await response.read())]
        except (aiohttp.ClientError, OSError, ValueError):  # TimeoutError is an OSError
            continue
    return max(found)
