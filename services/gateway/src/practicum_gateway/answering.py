"""Whether the engines answer requests: by the last answer that ended well, a client's or one that is asked for here.

An engine that hangs accepts connections and may still tell its models. Nothing is asked while clients get answers, and
nothing unless somebody wants to know, so that an engine without clients is left alone between two questions.
"""

from __future__ import annotations

import asyncio

import aiohttp

from practicum_gateway.clock import Clock
from practicum_gateway.prober import ask_first_token
from practicum_gateway.upstream import UpstreamPool

FRESH_S = 10.0
"""How long an answer is taken to say that there will be another."""
_FIRST_WAIT_S = 1.5
"""Longest wait for the first answer of all; less than a probe of readiness waits (2 s on a laptop, 5 s in a pod)."""


class Answering:
    """What is known of the answers of the engines.

    Args:
        pool: The engines.
        timeout_s: For the first token of an answer that is asked for.
        clock: Monotonic seconds.
    """

    def __init__(self, pool: UpstreamPool, timeout_s: float, clock: Clock) -> None:
        self._pool = pool
        self._timeout_s = timeout_s
        self._clock = clock
        self._asked_well: bool | None = None
        self._question: asyncio.Task[None] | None = None

    async def check(self, session: aiohttp.ClientSession) -> bool:
        """Whether an engine answered lately, or did when it was last asked."""
        if self._is_fresh:
            self._asked_well = True
            return True
        if self._question is None or self._question.done():
            self._question = asyncio.create_task(self._ask(session))
        if not self._asked_well:
            # Whoever waits for a first engine, or for one to come back, learns of it at once.
            await asyncio.wait({self._question}, timeout=_FIRST_WAIT_S)
        return bool(self._asked_well)

    @property
    def _is_fresh(self) -> bool:
        answered_s = [one.breaker.answered_s for one in self._pool.upstreams if one.breaker.answered_s is not None]
        return bool(answered_s) and self._clock() - max(answered_s) < FRESH_S

    async def _ask(self, session: aiohttp.ClientSession) -> None:
        self._asked_well = await ask_first_token(session, self._pool, self._timeout_s, self._clock) is not None

    async def close(self) -> None:
        """Ask no more."""
        if self._question is not None:
            self._question.cancel()
            await asyncio.gather(self._question, return_exceptions=True)
