"""What one connection may leave open: bodies, trailers, requests behind one another, and answers that nobody reads."""

from __future__ import annotations

import asyncio
import json
import time

import pytest

from fake_engine import MODEL, Settings
from gateway_stand import HELLO, build_stand

BOUNDS = {"body_timeout_s": 0.3, "header_timeout_s": 0.3, "max_header_bytes": 4096}


async def talk(port, *texts, timeout_s=3.0):
    """Send texts one after another, and return all that comes back until the gateway closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for text in texts:
            writer.write(text)
            await asyncio.sleep(0.02)
        async with asyncio.timeout(timeout_s):
            return await reader.read()
    finally:
        writer.close()


async def wait_for(is_so, timeout_s):
    started_s = time.monotonic()
    while not is_so():
        assert time.monotonic() - started_s < timeout_s
        await asyncio.sleep(0.01)


def run_on_stand(folder, test, **options):
    async def run():
        async with build_stand(folder, **{**BOUNDS, **options}) as stand:
            return await test(stand)

    return asyncio.run(run())


@pytest.mark.parametrize("header", [b"transfer-encoding: chunked", b"content-length: 10"])
def test_an_answer_before_the_end_of_the_body_ends_the_connection(tmp_path, header):
    async def test(stand):
        return await talk(stand.port, b"GET /healthz HTTP/1.1\r\nhost: x\r\n" + header + b"\r\n\r\n")

    # A connection that stays open is a TimeoutError.
    answer = run_on_stand(tmp_path, test)
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"connection: close" in answer


def test_trailers_are_refused(tmp_path):
    async def test(stand):
        head = f"POST /v1/completions HTTP/1.1\r\nauthorization: Bearer {stand.secret}\r\n".encode()
        trailers = b"a: b\r\n" * 3
        return await talk(stand.port, head + b"transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n", trailers)

    assert run_on_stand(tmp_path, test, body_timeout_s=20).startswith(b"HTTP/1.1 400")


def build_request(stand, max_tokens):
    body = json.dumps({"model": MODEL, "messages": HELLO, "max_tokens": max_tokens, "stream": True}).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nauthorization: Bearer {stand.secret}\r\n"
    return head.encode() + f"content-length: {len(body)}\r\n\r\n".encode() + body


def test_a_request_before_the_answer_to_the_last_one_ends_both(tmp_path):
    async def test(stand):
        # A connection that stays open is a TimeoutError.
        await talk(stand.port, build_request(stand, 1000), b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        await stand.wait_until_idle()

    run_on_stand(tmp_path, test, settings=Settings(step_s=0.05))


def test_a_client_that_neither_reads_nor_speaks_http_is_cut_off(tmp_path):
    async def test(stand):
        stand.engine.settings.max_model_tokens = 10**8
        _, writer = await asyncio.open_connection("127.0.0.1", stand.port, limit=1024)
        writer.write(build_request(stand, 9_000_000))
        connections = stand.server.server_state.connections
        await wait_for(lambda: any(one._write_timer for one in connections), 20)
        writer.write(b"no HTTP\r\n\r\n")
        await wait_for(lambda: not connections, 20)
        writer.close()

    run_on_stand(tmp_path, test, settings=Settings(step_s=0.0), write_timeout_s=60)
