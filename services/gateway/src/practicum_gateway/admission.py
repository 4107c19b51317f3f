"""Whether the limits of a key let a request in: counted in this process, or in Redis for several gateways together."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass
from importlib import resources
from typing import Any, Protocol

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from practicum_core.api_keys import KeyLimits
from practicum_gateway.clock import Clock
from practicum_gateway.key_ring import Caller
from practicum_gateway.limits import (
    POLL_S,
    SLOT_S,
    WINDOW_S,
    Denial,
    Grant,
    Headers,
    find_denial,
    list_headers,
)

LEASE_S = 15.0
"""Seconds after which what a gateway reserved is charged, where nothing was heard of it."""
_TIMEOUT_S = 2.0
_RECONNECT_S = 1.0
_MAX_CONNECTIONS = 32
_NO_LIMIT = -1
_SHARE_HEADER = (b"x-practicum-limits", b"share")
_LOG = logging.getLogger(__name__)


class Admission(Protocol):
    """Lets requests in within the limits of their keys."""

    async def admit(self, caller: Caller, tokens: int) -> tuple[Grant | Denial, Headers]:
        """Let a request in that uses ``tokens`` at most, or say why not, with headers that tell what is left."""
        ...

    async def start(self) -> None:
        """Begin."""
        ...

    async def close(self) -> None:
        """End, once all requests have."""
        ...


class LocalAdmission:
    """Limits of this process alone."""

    async def admit(self, caller: Caller, tokens: int) -> tuple[Grant | Denial, Headers]:
        """Let a request in that uses ``tokens`` at most, or say why not."""
        verdict = caller.meter.admit(tokens)
        return verdict, caller.meter.list_headers()

    async def start(self) -> None:
        """Nothing has to begin."""

    async def close(self) -> None:
        """Nothing has to end."""


@dataclass(frozen=True)
class _Counted:
    """What Redis answered of one window."""

    left: int
    wait_ms: int

    @property
    def remaining(self) -> int:
        return max(self.left, 0)

    def get_wait_s(self, _amount: int) -> float:
        return POLL_S if self.wait_ms < 0 else self.wait_ms / 1000


class SharedAdmission:
    """Limits that several gateways hold together in Redis (``limits.lua``).

    While Redis cannot be reached each gateway allows its share of every limit. Its own requests are always counted
    against that share too. After Redis came back a request needs room both there and in the share, until a minute
    after the end of all requests of which Redis may not know. A key without limits is not counted in Redis.

    Args:
        url: Of Redis.
        password: Of Redis; empty where it has none.
        clock: Monotonic seconds.
        read_now_s: Seconds of a clock that all gateways share; ``None`` takes that of Redis.
        lease_s: See :data:`LEASE_S`.

    Attributes:
        is_shared: Whether Redis is asked now.
        num_losses: How often it could no longer be reached.
    """

    def __init__(
        self,
        url: str,
        password: str,
        clock: Clock,
        read_now_s: Clock | None = None,
        lease_s: float = LEASE_S,
    ) -> None:
        self._clock = clock
        self._read_now_s = read_now_s
        self._lease_s = lease_s
        self._redis: Redis = Redis.from_url(
            url,
            password=password or None,
            socket_timeout=_TIMEOUT_S,
            socket_connect_timeout=_TIMEOUT_S,
            # A reservation that is sent twice would count twice.
            retry=Retry(NoBackoff(), 0),
            decode_responses=True,
        )
        text = resources.files("practicum_gateway").joinpath("limits.lua").read_text(encoding="utf-8")
        self._script = self._redis.register_script(text)
        self._places = asyncio.Semaphore(_MAX_CONNECTIONS)
        self.is_shared = False
        self.num_losses = 0
        self._id = ""
        self._open_by_key: Counter[str] = Counter()
        self._num_open = 0
        self._num_unknown = 0
        self._doubted_until_s = 0.0
        self._tasks: set[asyncio.Task[None]] = set()
        self._keeper: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Connect. Redis may be away."""
        await self._connect(doubt_s=0.0)
        if not self.is_shared:
            self.num_losses += 1
            _LOG.warning("Redis does not answer: this gateway allows its share of each limit")
        self._keeper = asyncio.create_task(self._keep())

    async def close(self) -> None:
        """Tell Redis the rest, and disconnect."""
        if self._keeper is not None:
            self._keeper.cancel()
        await self.flush()
        await self._redis.aclose()

    async def flush(self) -> None:
        """Wait until Redis was told of every request that ended."""
        await asyncio.gather(*self._tasks)

    async def admit(self, caller: Caller, tokens: int) -> tuple[Grant | Denial, Headers]:
        """Let a request in that uses ``tokens`` at most, or say why not."""
        limits = caller.key.limits
        if not _has_limits(limits):
            return caller.meter.hold(tokens), []
        denial = caller.meter.find_denial(tokens) if self._is_doubted or not self.is_shared else None
        if denial is None and self.is_shared:
            with contextlib.suppress(RedisError, OSError, TimeoutError):
                return await self._ask(caller, tokens)
            denial = caller.meter.find_denial(tokens)
        headers = [*caller.meter.list_headers(), _SHARE_HEADER]
        if denial is not None:
            return _explain(denial, tokens, limits), headers
        return self._grant(caller, tokens, "", ""), [*caller.meter.list_headers(), _SHARE_HEADER]

    @property
    def _is_doubted(self) -> bool:
        """Whether Redis may not know all that counts."""
        return self._num_unknown > 0 or self._clock() < self._doubted_until_s

    async def _ask(self, caller: Caller, tokens: int) -> tuple[Grant | Denial, Headers]:
        limits, gateway = caller.key.limits, self._id
        bounds = (limits.tokens_per_minute, limits.requests_per_minute, limits.concurrent_requests)
        numbers = [_NO_LIMIT if bound is None else bound for bound in bounds]
        answer = await self._call(caller.key.id, "admit", gateway, tokens, *numbers)
        is_admitted, num_open, tokens_left, requests_left, tokens_wait_ms, requests_wait_ms, since = answer
        of_tokens, of_requests = _Counted(tokens_left, tokens_wait_ms), _Counted(requests_left, requests_wait_ms)
        headers = list_headers(limits, of_requests, of_tokens)
        if not is_admitted:
            denial = find_denial(limits, tokens, num_open, of_requests, of_tokens)
            if denial is None:
                raise RuntimeError(f"the script refused what fits: {answer}")
            return denial, headers
        return self._grant(caller, tokens, gateway, since), headers

    def _grant(self, caller: Caller, tokens: int, gateway: str, since: str) -> Grant:
        """Count a request that was let in here; ``gateway`` is the name under which Redis knows it, if it does."""
        held, key = caller.meter.hold(tokens), caller.key.id
        self._num_open += 1
        self._open_by_key[key] += gateway == self._id
        # Redis answered, was lost, and is back: it may have forgotten this one.
        self._num_unknown += self.is_shared and gateway != self._id

        def end(used: int) -> None:
            held.settle(used)
            self._num_open -= 1
            if gateway == self._id:
                self._open_by_key[key] -= 1
            elif self.is_shared:
                self._num_unknown -= 1
                self._doubted_until_s = self._clock() + WINDOW_S
            if gateway:
                self._start(self._settle(key, gateway, since, tokens, used))

        return Grant(tokens, end)

    async def _settle(self, key: str, gateway: str, since: str, reserved: int, used: int) -> None:
        # Where Redis is away, the whole reservation is charged when its lease ends.
        with contextlib.suppress(RedisError, OSError, TimeoutError):
            await self._call(key, "settle", gateway, since, reserved, used)

    async def _call(self, key: str, action: str, gateway: str, *arguments: int | str) -> list[Any]:
        now_ms = _NO_LIMIT if self._read_now_s is None else round(1000 * self._read_now_s())
        spans = (round(1000 * seconds) for seconds in (WINDOW_S, SLOT_S, self._lease_s))
        # Braces keep the three in one slot of a Redis cluster.
        names = [f"practicum:limits:{{{key}}}{suffix}" for suffix in ("", ":tokens", ":requests")]
        try:
            async with self._places:
                if not self.is_shared:
                    raise RedisConnectionError("Redis is away")
                answer: list[Any] = await self._script(names, [action, now_ms, *spans, gateway, *arguments])
        except (RedisError, OSError, TimeoutError) as error:
            self._lose(gateway, error)
            raise
        return answer

    def _lose(self, gateway: str, error: Exception) -> None:
        if not self.is_shared or gateway != self._id:
            return
        _LOG.warning("Redis was lost (%s): this gateway allows its share of each limit", error)
        self.is_shared = False
        self.num_losses += 1

    async def _connect(self, doubt_s: float) -> None:
        try:
            await self._redis.ping()
        except (RedisError, OSError, TimeoutError):
            return
        # A new name: what was reserved under the last one, and could not be settled, is charged when its lease ends.
        self._id = secrets.token_hex(6)
        self._open_by_key.clear()
        self._num_unknown = self._num_open
        self._doubted_until_s = self._clock() + doubt_s
        self.is_shared = True

    async def _keep(self) -> None:
        """Connect again, and renew the leases, until cancelled."""
        renewed_s = self._clock()
        while True:
            await asyncio.sleep(_RECONNECT_S)
            if not self.is_shared:
                await self._connect(WINDOW_S)
                if self.is_shared:
                    _LOG.warning("Redis answers again: limits are shared")
            elif self._clock() - renewed_s >= self._lease_s / 3:
                renewed_s = self._clock()
                await self._renew()

    async def _renew(self) -> None:
        self._open_by_key = +self._open_by_key
        for key in list(self._open_by_key):
            with contextlib.suppress(RedisError, OSError, TimeoutError):
                await self._call(key, "touch", self._id)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _explain(denial: Denial, tokens: int, limits: KeyLimits) -> Denial:
    """Say of a request that is above the share, but not above the limit, that it may be tried later."""
    limit = limits.tokens_per_minute
    if denial.retry_after_s is not None or limit is None or tokens > limit:
        return denial
    text = (
        f"this request may use {tokens} tokens, more than one gateway's share of {limit} a minute while Redis is away"
    )
    return Denial("rate_limit_exceeded", text, LEASE_S)


def _has_limits(limits: KeyLimits) -> bool:
    bounds = (limits.tokens_per_minute, limits.requests_per_minute, limits.concurrent_requests)
    return any(bound is not None for bound in bounds)
