"""One client process of a load test: sends requests when they are due, and notes when each part of an answer came.

It reads its orders from standard input and writes what it saw to standard output, after each rate, so that nothing is
written while requests are under way. When its input ends, it stops.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import json
import resource
import secrets
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import BinaryIO

import aiohttp

from practicum_core.stages.load_results import HTTP_OK, RequestError
from practicum_jobs.load.event_stream import StreamReader
from practicum_jobs.load.orders import Assignment, Finished, RateOrder, Sent, Start
from practicum_jobs.load.quantile import find_quantile

_KEEPALIVE_S = 2.0
"""Shorter than the 5 s after which uvicorn ends a connection: a request on one that just ends would fail."""
_SHOWN_BYTES = 300
_GC_THRESHOLD = 100_000
_EVENTS = "text/event-stream"
_DNS_TTL_S = 300
_OWN_FAULTS = frozenset({errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL, errno.ENOBUFS, errno.ENOMEM})
"""What the system says of a connection for which this machine has nothing left."""
_RUNG_HEADER = "x-practicum-degraded"


class Client:
    """Sends the requests of one rate after another.

    Args:
        assignment: What the process was told at its start.
    """

    def __init__(self, assignment: Assignment) -> None:
        self._assignment = assignment
        self._zero_s = assignment.zero_s
        # Everything of a body but prompt and max_tokens is encoded once.
        self._head = json.dumps(assignment.body)[:-1].encode()
        self._headers = {"Content-Type": "application/json", "Accept": _EVENTS}
        if assignment.key:
            self._headers["Authorization"] = f"Bearer {assignment.key}"

    async def send_rate(self, order: RateOrder, start_s: float, stdin: BinaryIO) -> tuple[list[Sent], Finished]:
        """Send the requests of a rate; return each, and the processor time that it took.

        Args:
            order: The requests.
            start_s: Start of the rate, from the start of the test.
            stdin: Where orders come from; its end stops the rate.
        """
        seconds: list[tuple[float, float]] = []
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEPALIVE_S, ttl_dns_cache=_DNS_TTL_S)
        timeout = aiohttp.ClientTimeout(total=self._assignment.timeout_s)
        loop = asyncio.get_running_loop()
        async with aiohttp.ClientSession(connector=connector, timeout=timeout, trust_env=False) as session:
            watch = asyncio.create_task(self._watch_processor(seconds))
            loop.add_reader(stdin, _stop)
            try:
                sent = await self._send_all(session, order, start_s)
            finally:
                loop.remove_reader(stdin)
                watch.cancel()
        return sent, Finished(len(sent), seconds)

    async def _send_all(self, session: aiohttp.ClientSession, order: RateOrder, start_s: float) -> list[Sent]:
        texts = {int(number): text.encode() for number, text in order.texts.items()}
        field = f', "{self._assignment.prompt_field}": '.encode()
        rows = zip(order.numbers, order.at_s, order.prompts, order.max_tokens, strict=True)
        tasks: list[asyncio.Task[Sent]] = []
        for number, at_s, prompt, max_tokens in rows:
            due_s = start_s + at_s
            delay_s = due_s - self._tell_s()
            if delay_s > 0:
                await asyncio.sleep(delay_s)
            body = b'%b, "max_tokens": %d%b%b}' % (self._head, max_tokens, field, texts[prompt])
            tasks.append(asyncio.create_task(self._send(session, number, due_s, prompt, body)))
        left_s = start_s + order.length_s + order.settle_s - self._tell_s()
        if tasks:
            _, still_open = await asyncio.wait(tasks, timeout=max(left_s, 0))
            for task in still_open:
                task.cancel()
        return list(await asyncio.gather(*tasks))

    async def _send(self, session: aiohttp.ClientSession, number: int, due_s: float, prompt: int, body: bytes) -> Sent:
        sent_s, sent_at_s = self._tell_s(), time.time()
        reader = StreamReader()
        status, kind, text, rung = 0, "", "", ""
        traced = name_trace() if self._assignment.is_traced else {}
        try:
            async with session.post(
                self._assignment.url, data=body, headers={**self._headers, **traced}, allow_redirects=False
            ) as response:
                status = response.status
                rung = response.headers.get(_RUNG_HEADER, "")
                if status != HTTP_OK:
                    kind, text = f"http_{status}", _shorten(await response.content.read(_SHOWN_BYTES))
                elif response.content_type != _EVENTS:
                    kind, text = RequestError.NOT_A_STREAM, _shorten(await response.content.read(_SHOWN_BYTES))
                else:
                    async for data in response.content.iter_any():
                        reader.feed(data, self._tell_s())
                    kind, text = reader.find_problem()
        except asyncio.CancelledError:
            kind, text = RequestError.OPEN, "still open when its rate was over"
        except TimeoutError:
            kind, text = RequestError.TIMEOUT, f"no end within {self._assignment.timeout_s:g} s"
        except aiohttp.ClientConnectorError as error:
            is_own = error.os_error.errno in _OWN_FAULTS
            kind, text = RequestError.CLIENT if is_own else RequestError.CONNECT, str(error)
        except (aiohttp.ClientError, OSError) as error:
            kind, text = RequestError.LOST, str(error) or type(error).__name__
        ended_s = self._tell_s()
        seen = _describe(reader, number, (due_s, sent_s, ended_s), prompt, (status, str(kind), text, rung))
        if not traced:
            return seen
        return replace(seen, traceparent=traced["traceparent"], sent_at_s=round(sent_at_s, 6))

    async def _watch_processor(self, seconds: list[tuple[float, float]]) -> None:
        wall_s, busy_s = time.monotonic(), time.process_time()
        while True:
            await asyncio.sleep(1.0)
            now_s, used_s = time.monotonic(), time.process_time()
            seconds.append((round(now_s - self._zero_s, 3), round((used_s - busy_s) / (now_s - wall_s), 4)))
            wall_s, busy_s = now_s, used_s

    def _tell_s(self) -> float:
        return time.monotonic() - self._zero_s


def name_trace() -> dict[str, str]:
    """Name a trace and its first span, for a request that shall be traced (W3C Trace Context, version 00).

    The request has the id of the trace, so that lines of logs are found by it too.
    """
    trace = secrets.token_hex(16)
    return {"traceparent": f"00-{trace}-{secrets.token_hex(8)}-01", "x-request-id": trace}


def _describe(
    reader: StreamReader,
    number: int,
    times: tuple[float, float, float],
    prompt: int,
    outcome: tuple[int, str, str, str],
) -> Sent:
    due_s, sent_s, ended_s = times
    status, kind, text, rung = outcome
    came = reader.times_s
    gaps = sorted(second - first for first, second in pairwise(came))
    return Sent(
        number=number,
        scheduled_s=round(due_s, 6),
        sent_s=round(sent_s, 6),
        first_token_s=round(came[0], 6) if came else None,
        last_token_s=round(came[-1], 6) if came else None,
        ended_s=round(ended_s, 6),
        status=status,
        error=kind,
        error_text=text,
        prompt_index=prompt,
        prompt_tokens=reader.prompt_tokens,
        completion_tokens=reader.completion_tokens or len(came),
        num_chunks=len(came),
        itl_p50_s=_take_quantile(gaps, 0.5),
        itl_p99_s=_take_quantile(gaps, 0.99),
        itl_max_s=_take_quantile(gaps, 1.0),
        rung=rung,
    )


def _take_quantile(values: Sequence[float], share: float) -> float | None:
    """Return a quantile of sorted values; ``None`` for none."""
    return round(find_quantile(values, share), 6) if values else None


def _shorten(body: bytes) -> str:
    return " ".join(body.decode(errors="replace").split())[:200]


def _stop() -> None:
    """End the process: its input has ended, or speaks out of turn, so that nobody waits for what it saw."""
    sys.exit(1)


def _raise_file_limit() -> None:
    """Allow as many open connections as the system does: the usual limit is 1,024 files."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _say_ready(stdout: BinaryIO) -> None:
    stdout.write(b"ready\n")
    stdout.flush()


def main() -> None:
    """Follow the orders on standard input."""
    stdin, stdout = sys.stdin.buffer, sys.stdout.buffer
    line = stdin.readline()
    if not line:
        return
    _raise_file_limit()
    client = Client(Assignment.decode(line))
    _say_ready(stdout)
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GC_THRESHOLD, 20, 100)
    with asyncio.Runner() as runner:
        while line := stdin.readline():
            order = RateOrder.decode(line)
            _say_ready(stdout)
            start = Start.decode(stdin.readline())
            sent, finished = runner.run(client.send_rate(order, start.start_s, stdin))
            stdout.write(b"".join(one.encode() for one in sent) + finished.encode())
            stdout.flush()
            gc.collect()


if __name__ == "__main__":
    main()
