"""Requests that no client should send: malformed, oversized, slow, half-closed, or with keys that are not valid."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass

from fake_engine import MODEL
from gateway_stand import HELLO

TRAILERS = b"0\r\n" + b"a: b\r\n" * 500
PATHS = ["/v1/chat/completions"] * 6 + [
    "/v1/completions",
    "/v1/embeddings",
    "/v1/models",
    "/metrics",
    "/v1/models/x",
    "/",
    "/v1/chat/%63ompletions",
    "//v1/chat/completions",
    "/v1/chat/completions/../../models",
    "/v1/chat/completions?x=/healthz",
]
VALUES = [
    None,
    True,
    -1,
    0,
    2.0,
    1e308,
    10**30,
    10**4299,
    "",
    "5",
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
    "max_completion_tokens",
    "n",
    "stream",
    "stream_options",
    "temperature",
    "prompt",
    "input",
    "best_of",
    "fault",
]
WRONG_KEYS = (b"", b"Bearer", b"Bearer sk-practicum-wrong", b"Bearer " + b"x" * 600, b"Basic eDp5", b"Bearer \xff\xfe")
_DRIP_S = 0.05


@dataclass
class BadRequest:
    """A request and how it is sent.

    Attributes:
        text: All of it.
        has_key: Whether its key is valid.
        manner: ``whole``, ``split``, ``leave`` (gone without reading), ``half`` (its side closed), or ``drip`` (a byte
            at a time, for as long as it is let).
    """

    text: bytes
    has_key: bool
    manner: str


def build_request(rng, secret):
    """Build a request."""
    manner = rng.choices(("whole", "split", "leave", "half", "drip"), (60, 15, 10, 12, 3))[0]
    has_key = rng.random() < 0.6
    key = b"Bearer " + secret.encode() if has_key else rng.choice(WRONG_KEYS)
    body = _build_body(rng)
    headers = [b"Host: x", b"Content-Type: application/json"]
    if key:
        headers.append(b"Authorization: " + key)
    length = len(body) if rng.random() < 0.9 else rng.choice((0, len(body) + 10, 10**12, -5))
    headers.append(f"Content-Length: {length}".encode())
    body = _harm_headers(rng, headers, body)
    method = rng.choice((b"POST",) * 8 + (b"GET", b"PUT", b"BREW", b"post"))
    version = rng.choice((b"HTTP/1.1",) * 12 + (b"HTTP/1.0", b"HTTP/2.0", b"HTTP/9"))
    path = rng.choice(PATHS).encode()
    text = method + b" " + path + b" " + version + b"\r\n" + b"\r\n".join(headers) + b"\r\n\r\n" + body
    harm = rng.random()
    if harm < 0.1:
        text = text[: rng.randrange(1, len(text))]
    elif harm < 0.13:
        # A question about the state whose body never ends.
        head = b"GET /healthz HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        text = head + rng.choice((b"", b"5\r\nhel"))
    elif harm < 0.15:
        text = rng.randbytes(rng.randrange(1, 300))
    elif harm < 0.18:
        # A second request behind the first, which has another key.
        text += b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"
    return BadRequest(text, has_key, manner)


def _build_body(rng):
    body = {"model": MODEL, "messages": HELLO, "max_tokens": 3}
    if rng.random() < 0.2:
        body["stream"] = True
    for _ in range(rng.choice((0, 0, 1, 2))):
        body[rng.choice(FIELDS)] = rng.choice(VALUES)
    text = json.dumps(body).encode()
    harm = rng.randrange(10)
    if harm == 0:
        return text[: rng.randrange(len(text))]
    if harm == 1:
        place = rng.randrange(len(text))
        return text[:place] + bytes([rng.randrange(256)]) + text[place + 1 :]
    if harm == 2:
        return text + b" " * rng.choice((10, 20_000, 400_000))
    if harm == 3:
        return b"[" * rng.randrange(1, 5000)
    if harm == 4:
        return text[:-1] + b', "max_tokens": 4000000, "max_tokens": 2}'
    return text


def _harm_headers(rng, headers, body):
    """Spoil some headers; return the body that goes with them."""
    harm = rng.randrange(14)
    if harm == 0:
        headers.append(b"X: " + bytes(rng.randrange(32, 256) for _ in range(rng.choice((10, 9000)))))
    elif harm == 1:
        headers += [b"X-Y: 1"] * rng.choice((10, 3000))
    elif harm == 2:
        headers.append(b"x-request-timeout-ms: " + rng.choice((b"-1", b"0", b"1", b"x", b"9" * 40, b"5")))
    elif harm == 3:
        headers[-1] = b"Transfer-Encoding: chunked"
        return rng.choice((b"zz\r\n", b"5\r\nhello\r\n0\r\n\r\n", b"fffffffff\r\n", b"0\r\n\r\n", TRAILERS))
    elif harm == 4:
        # Which of both says where the next request begins?
        headers.append(b"Transfer-Encoding: chunked")
    elif harm == 5:
        headers.append(b"Content-Length: 4")
    elif harm == 6:
        headers.append(rng.choice((b"Upgrade: websocket\r\nConnection: Upgrade", b"Expect: 100-continue", b"No colon")))
    return body


async def send(port, request, timeout_s=8.0):
    """Send a request in its manner; return the status of the answer, 0 where there was none."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        async with asyncio.timeout(timeout_s):
            if request.manner == "drip":
                return await _drip(reader, writer, request.text)
            pieces = [request.text[:20], request.text[20:]] if request.manner == "split" else [request.text]
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0)
            if request.manner == "leave":
                return 0
            if request.manner == "half":
                writer.write_eof()
            return _read_status(await reader.readline())
    except OSError:
        return 0
    finally:
        writer.close()


async def _drip(reader, writer, text):
    answer = asyncio.create_task(reader.readline())
    try:
        for place in range(len(text)):
            if answer.done():
                break
            writer.write(text[place : place + 1])
            await writer.drain()
            await asyncio.sleep(_DRIP_S)
        return _read_status(await answer)
    finally:
        answer.cancel()


def _read_status(line):
    return int(line.split()[1]) if line else 0
