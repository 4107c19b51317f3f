"""Requests that no client should send, many at a time: none is answered with a fault of the gateway's, nothing leaks.

``PRACTICUM_FUZZ_REQUESTS=24000`` sends that many instead of 1,500.
"""

from __future__ import annotations

import asyncio
import collections
import json
import os
import random

from fake_engine import MODEL, Settings
from gateway_stand import HELLO, build_stand

NUM_REQUESTS = int(os.environ.get("PRACTICUM_FUZZ_REQUESTS", "1500"))
NUM_AT_ONCE = 48
TRAILERS = b"0\r\n" + b"a: b\r\n" * 500
BOUNDS = {"max_header_bytes": 8192, "max_body_bytes": 16384, "header_timeout_s": 0.5, "body_timeout_s": 0.5}
LIMITS = {"tokens_per_minute": 10**9}
PATHS = ["/v1/chat/completions"] * 6 + [
    "/v1/completions",
    "/v1/embeddings",
    "/v1/models",
    "/metrics",
    "/v1/models/x",
    "/",
]
VALUES = [
    None,
    True,
    -1,
    0,
    1e308,
    10**30,
    10**4299,
    "",
    "x" * 3000,
    [],
    [[]],
    {},
    {"a": {"b": []}},
    "\ud800",
    "\0",
    float("nan"),
]
FIELDS = [
    "model",
    "messages",
    "max_tokens",
    "n",
    "stream",
    "stream_options",
    "temperature",
    "prompt",
    "best_of",
    "fault",
]


def build_body(rng):
    body = {"model": MODEL, "messages": HELLO, "max_tokens": 3}
    if rng.random() < 0.2:
        body["stream"] = True
    for _ in range(rng.choice((0, 0, 1, 2))):
        body[rng.choice(FIELDS)] = rng.choice(VALUES)
    text = json.dumps(body).encode()
    harm = rng.randrange(8)
    if harm == 0:
        return text[: rng.randrange(len(text))]
    if harm == 1:
        place = rng.randrange(len(text))
        return text[:place] + bytes([rng.randrange(256)]) + text[place + 1 :]
    if harm == 2:
        return text + b" " * rng.choice((10, 20_000, 400_000))
    if harm == 3:
        return b"[" * rng.randrange(1, 5000)
    return text


def build_request(rng, secret):
    body = build_body(rng)
    key = rng.choice((secret,) * 5 + ("", "sk-practicum-wrong", "x" * 600))
    headers = [b"Host: x", b"Content-Type: application/json", f"Authorization: Bearer {key}".encode()]
    length = len(body) if rng.random() < 0.9 else rng.choice((0, len(body) + 10, 10**12, -5))
    headers.append(f"Content-Length: {length}".encode())
    harm = rng.randrange(12)
    if harm == 0:
        headers.append(b"X: " + bytes(rng.randrange(32, 256) for _ in range(rng.choice((10, 9000)))))
    elif harm == 1:
        headers += [b"X-Y: 1"] * rng.choice((10, 3000))
    elif harm == 2:
        headers.append(b"x-request-timeout-ms: " + rng.choice((b"-1", b"0", b"1", b"x", b"9" * 40, b"5")))
    elif harm == 3:
        headers[-1] = b"Transfer-Encoding: chunked"
        body = rng.choice((b"zz\r\n", b"5\r\nhello\r\n0\r\n\r\n", b"fffffffff\r\n", b"0\r\n\r\n", TRAILERS))
    elif harm == 4:
        # A question about the state whose body never ends.
        head = b"GET /healthz HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        return head + rng.choice((b"", b"5\r\nhel"))
    method = rng.choice((b"POST",) * 6 + (b"GET", b"PUT", b"BREW"))
    path = rng.choice(PATHS).encode()
    text = method + b" " + path + b" HTTP/1.1\r\n" + b"\r\n".join(headers) + b"\r\n\r\n" + body
    return text[: rng.randrange(1, len(text))] if rng.random() < 0.1 else text


async def send(port, rng, text):
    """Send one request in some way; return the status of the answer, 0 where there was none."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        pieces = [text] if rng.random() < 0.8 else [text[:20], text[20:]]
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        end = rng.random()
        if end < 0.1:
            return 0
        if end < 0.2:
            writer.write_eof()
        async with asyncio.timeout(5):
            line = await reader.readline()
        return int(line.split()[1]) if line else 0
    except (ConnectionError, OSError):
        return 0
    finally:
        writer.close()


def test_no_request_makes_the_gateway_fail_or_leak(tmp_path):
    statuses = collections.Counter()

    async def worker(stand, seed, count):
        rng = random.Random(seed)
        for _ in range(count):
            text = build_request(rng, stand.secret)
            status = await send(stand.port, rng, text)
            statuses[status] += 1
            assert status < 500 or status == 504, text

    async def run():
        async with build_stand(tmp_path, Settings(step_s=0.001), limits=LIMITS, **BOUNDS) as stand:
            await asyncio.gather(*(worker(stand, seed, NUM_REQUESTS // NUM_AT_ONCE) for seed in range(NUM_AT_ONCE)))
            await stand.wait_until_idle(5.0)
            await asyncio.sleep(1.2)
            meter = stand.gateway._keys.authenticate(f"Bearer {stand.secret}".encode()).meter
            left = (meter.num_open, meter.reserved_tokens, stand.gateway.turnstile.num_open)
            assert (left, stand.gateway.turnstile.num_waiting) == ((0, 0, 0), 0)
            assert stand.gateway._budget.num_open == stand.gateway.pool.upstreams[0].num_open == 0
            assert not stand.server.server_state.connections
            answer = await stand.client().chat.completions.create(model=MODEL, messages=HELLO, max_tokens=2)
            assert answer.usage.completion_tokens == 2

    asyncio.run(run())
    # Every kind of refusal was met, and requests that were right were answered.
    assert statuses[200] > NUM_REQUESTS / 20
    assert {0, 400, 401, 404, 405, 408, 413, 431} <= set(statuses), statuses
