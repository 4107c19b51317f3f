"""The client processes of a load test: started, told what to send at which rate, and ended."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from practicum_core.errors import PlatformError, Reason
from practicum_jobs.load.orders import Assignment, Finished, RateOrder, Sent, Start
from practicum_jobs.load.prompts import Prompt
from practicum_jobs.load.schedule import RateStep

_LINE_LIMIT = 1 << 26
LEAD_S = 0.3
"""From the word to start until the first request: the word reaches every process in this time."""
_END_S = 5.0
_PROGRAM = ("-P", "-m", "practicum_jobs.load.client")


@dataclass(frozen=True)
class Target:
    """Where requests go, and what is the same in all of them.

    Attributes:
        url: With the path.
        key: Bearer token; empty for none.
        model: Name at the server.
        is_chat: Whether prompts are sent as messages.
        ignore_eos: Whether answers are asked to be as long as they may.
        timeout_s: For a whole request.
        is_traced: Whether each request names a trace of its own.
    """

    url: str
    key: str
    model: str
    is_chat: bool
    ignore_eos: bool
    timeout_s: float
    is_traced: bool = False

    def __repr__(self) -> str:
        """Leave out the key: a trace may show this object."""
        return f"Target({self.url!r}, {self.model!r})"

    def build_assignment(self, zero_s: float, client: int) -> Assignment:
        """Build what a client process is told."""
        body = {
            "model": self.model,
            "stream": True,
            "stream_options": {"include_usage": True},
            "temperature": 0,
            **({"ignore_eos": True} if self.ignore_eos else {}),
        }
        prompt_field = "messages" if self.is_chat else "prompt"
        return Assignment(zero_s, client, self.url, self.key, self.timeout_s, body, prompt_field, self.is_traced)

    def encode_prompt(self, prompt: Prompt) -> str:
        """Return the JSON of a prompt in a request."""
        return json.dumps(list(prompt.messages) if self.is_chat else prompt.text, ensure_ascii=False)


@dataclass(frozen=True)
class Sending:
    """What the client processes saw at one rate.

    Attributes:
        start_s: When the rate started, from the start of the test.
        requests: By number within the rate: the process, and what it saw.
        seconds: Processor time by process and second: its end, and the share of a core.
    """

    start_s: float
    requests: dict[int, tuple[int, Sent]]
    seconds: list[list[tuple[float, float]]]


class Fleet:
    """Running client processes.

    Args:
        processes: Which have been told where requests go; those of a new start take their places in this list.
        target: Where that is.
        zero_s: Start of the test on the monotonic clock.
    """

    def __init__(self, processes: list[asyncio.subprocess.Process], target: Target, zero_s: float) -> None:
        self._processes = processes
        self._target = target
        self._zero_s = zero_s

    async def send_rate(self, load: int, step: RateStep, prompts: Sequence[Prompt], settle_s: float) -> Sending:
        """Send the requests of a rate, and wait until all have ended.

        Raises:
            PlatformError: A client process died.
        """
        count = len(self._processes)
        orders = [
            self._build_order(load, step, prompts, settle_s, slice(client, None, count)) for client in range(count)
        ]
        for process, order in zip(self._processes, orders, strict=True):
            await _write(process, order.encode())
        for process in self._processes:
            await _read(process)
        start_s = round(time.monotonic() - self._zero_s + LEAD_S, 6)
        for process in self._processes:
            await _write(process, Start(start_s).encode())
        found = await asyncio.gather(*(_collect(process) for process in self._processes))
        requests = {one.number: (client, one) for client, (sent, _) in enumerate(found) for one in sent}
        return Sending(start_s, requests, [finished.seconds for _, finished in found])

    async def restart(self) -> None:
        """Start the processes anew: one that still sends a rate that nobody waits for takes no other order.

        Raises:
            PlatformError: One cannot be started.
        """
        num_clients = len(self._processes)
        await _end_all(self._processes)
        await _start_all(self._processes, num_clients, self._target, self._zero_s)

    def _build_order(
        self, load: int, step: RateStep, prompts: Sequence[Prompt], settle_s: float, share: slice
    ) -> RateOrder:
        named = step.prompts[share]
        return RateOrder(
            load=load,
            numbers=list(range(len(step.at_s)))[share],
            at_s=step.at_s[share],
            prompts=named,
            max_tokens=step.max_tokens[share],
            texts={str(number): self._target.encode_prompt(prompts[number]) for number in set(named)},
            length_s=step.duration_s,
            settle_s=settle_s,
        )


@contextlib.asynccontextmanager
async def start_fleet(target: Target, num_clients: int, zero_s: float) -> AsyncIterator[Fleet]:
    """Start client processes, wait until they listen, and end them at the end.

    Raises:
        PlatformError: One cannot be started.
    """
    processes: list[asyncio.subprocess.Process] = []
    try:
        await _start_all(processes, num_clients, target, zero_s)
        yield Fleet(processes, target, zero_s)
    finally:
        await _end_all(processes)


async def _start_all(
    processes: list[asyncio.subprocess.Process], num_clients: int, target: Target, zero_s: float
) -> None:
    for client in range(num_clients):
        process = await _start()
        processes.append(process)
        await _write(process, target.build_assignment(zero_s, client).encode())
    for process in processes:
        await _read(process)


async def _end_all(processes: list[asyncio.subprocess.Process]) -> None:
    ending = list(processes)
    processes.clear()
    await asyncio.gather(*(_end(process) for process in ending))


async def _start() -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    try:
        return await asyncio.create_subprocess_exec(
            sys.executable, *_PROGRAM, stdin=pipe, stdout=pipe, limit=_LINE_LIMIT, env=os.environ
        )
    except OSError as error:
        raise PlatformError(
            Reason.STAGE_CRASHED, f"a client process cannot be started: {error}", "set loadtest.num_clients lower"
        ) from error


async def _end(process: asyncio.subprocess.Process) -> None:
    """End a process: without input it stops by itself."""
    if process.stdin is not None:
        process.stdin.close()
    try:
        async with asyncio.timeout(_END_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


async def _write(process: asyncio.subprocess.Process, line: bytes) -> None:
    if process.stdin is None:
        raise TypeError("a client process without an input")
    try:
        process.stdin.write(line)
        await process.stdin.drain()
    except ConnectionError as error:
        raise await _explain_end(process) from error


async def _read(process: asyncio.subprocess.Process) -> bytes:
    if process.stdout is None:
        raise TypeError("a client process without an output")
    line = await process.stdout.readline()
    if not line.endswith(b"\n"):
        raise await _explain_end(process)
    return line


async def _collect(process: asyncio.subprocess.Process) -> tuple[list[Sent], Finished]:
    lines: list[bytes] = []
    while True:
        line = await _read(process)
        if line.startswith(b'{"num_sent"'):
            break
        lines.append(line)
    finished = Finished.decode(line)
    return [Sent.decode(line) for line in lines], finished


async def _explain_end(process: asyncio.subprocess.Process) -> PlatformError:
    code = await process.wait()
    return PlatformError(
        Reason.STAGE_CRASHED, f"a client process ended with {code}", "read its message in the step's log, or try again"
    )
