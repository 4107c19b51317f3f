"""Limits of one key: tokens and requests a minute, and requests at the same time. Pure, with an injected clock.

A request reserves the most tokens that it can use before it is let in, and is charged what it used when it ends. At
every moment the open reservations and what was charged within the last minute are at most the limit. Whatever a request
uses lies between its start and its end, so no minute, wherever it begins, holds more than the limit.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from practicum_core.api_keys import KeyLimits
from practicum_gateway.clock import Clock

Headers = list[tuple[bytes, bytes]]
WINDOW_S = 60.0
SLOT_S = 0.1
POLL_S = 1.0
"""Seconds to wait where room depends on requests that have not ended, of which nobody knows how long they take."""


@dataclass
class _Slot:
    """What was charged within one slot, and when all of it has left the window."""

    expires_s: float
    amount: int


class SlidingWindow:
    """An amount that must not pass ``limit`` within any ``window_s`` seconds.

    Charges are kept in slots of a tenth of a second, which leave the window a little late and never early.

    Args:
        limit: The amount.
        clock: Monotonic seconds.
        window_s: Length of the window.

    Attributes:
        limit: The amount; may be changed.
        reserved: Held by requests that have not ended.
    """

    def __init__(self, limit: int, clock: Clock, window_s: float = WINDOW_S) -> None:
        self.limit = limit
        self.reserved = 0
        self._clock = clock
        self._window_s = window_s
        self._charged = 0
        self._slots: deque[_Slot] = deque()

    @property
    def remaining(self) -> int:
        """What can be reserved now."""
        self._expire()
        return max(self.limit - self._charged - self.reserved, 0)

    def settle(self, reserved: int, used: int) -> None:
        """Charge what was used in place of a reservation."""
        self._expire()
        self.reserved -= reserved
        if used <= 0:
            return
        self._charged += used
        expires_s = (math.floor(self._clock() / SLOT_S) + 1) * SLOT_S + self._window_s
        if self._slots and self._slots[-1].expires_s >= expires_s:
            self._slots[-1].amount += used
        else:
            self._slots.append(_Slot(expires_s, used))

    def get_wait_s(self, amount: int) -> float:
        """Return the seconds after which an amount may fit, from what is charged now.

        Where it only fits once open requests have ended, that is a guess of one second.
        """
        self._expire()
        missing = self._charged + self.reserved + amount - self.limit
        if missing <= 0:
            return 0.0
        now_s = self._clock()
        for slot in self._slots:
            missing -= slot.amount
            if missing <= 0:
                return max(slot.expires_s - now_s, 0.0)
        return POLL_S

    def _expire(self) -> None:
        now_s = self._clock()
        while self._slots and self._slots[0].expires_s <= now_s:
            self._charged -= self._slots.popleft().amount


class Window(Protocol):
    """What is left of an amount a minute, counted here or elsewhere."""

    @property
    def remaining(self) -> int:
        """What can be reserved now."""
        ...

    def get_wait_s(self, amount: int) -> float:
        """Return the seconds after which an amount may fit."""
        ...


@dataclass(frozen=True)
class Denial:
    """Why a request is not let in.

    Attributes:
        code: Stable word for machines.
        message: What happened and what to do.
        retry_after_s: ``None`` where it can never be let in.
    """

    code: str
    message: str
    retry_after_s: float | None


class Grant:
    """A request that was let in. It is settled once; every later call does nothing.

    Args:
        reserved: Tokens that it may use.
        end: Called once with the tokens that are charged.
    """

    def __init__(self, reserved: int, end: Callable[[int], None]) -> None:
        self.reserved = reserved
        self.is_settled = False
        self._end = end

    def settle(self, used: int | None) -> None:
        """End the request.

        Args:
            used: Tokens that it used; ``None`` where nobody knows, which charges all that it might have used.
        """
        if not self.is_settled:
            self.is_settled = True
            self._end(self.reserved if used is None else used)


class KeyMeter:
    """What one key has used of its limits.

    Args:
        limits: Of the key; :meth:`update` changes them.
        clock: Monotonic seconds.
    """

    def __init__(self, limits: KeyLimits, clock: Clock) -> None:
        self._clock = clock
        self._num_open = 0
        self._limits = limits
        self._tokens = SlidingWindow(limits.tokens_per_minute or 0, clock)
        self._requests = SlidingWindow(limits.requests_per_minute or 0, clock)

    @property
    def limits(self) -> KeyLimits:
        """Limits of the key."""
        return self._limits

    @property
    def num_open(self) -> int:
        """Requests that have not ended."""
        return self._num_open

    @property
    def reserved_tokens(self) -> int:
        """Tokens that requests which have not ended may use."""
        return self._tokens.reserved

    def update(self, limits: KeyLimits) -> None:
        """Take other limits from now on; what was used counts."""
        self._limits = limits
        self._tokens.limit = limits.tokens_per_minute or 0
        self._requests.limit = limits.requests_per_minute or 0

    def admit(self, tokens: int) -> Grant | Denial:
        """Let a request in that uses ``tokens`` at most, or say why not."""
        return self.find_denial(tokens) or self.hold(tokens)

    def find_denial(self, tokens: int) -> Denial | None:
        """Say why a request that uses ``tokens`` at most is not let in now; ``None`` where it is."""
        return find_denial(self._limits, tokens, self._num_open, self._requests, self._tokens)

    def hold(self, tokens: int) -> Grant:
        """Reserve for a request, whether it fits or not."""
        self._num_open += 1
        # Kept without a limit too: one may be set while requests are open.
        self._tokens.reserved += tokens
        self._requests.settle(0, 1)

        def end(used: int) -> None:
            self._num_open -= 1
            self._tokens.settle(tokens, used)

        return Grant(tokens, end)

    def list_headers(self) -> Headers:
        """List what is left."""
        return list_headers(self._limits, self._requests, self._tokens)


def find_denial(limits: KeyLimits, amount: int, num_open: int, requests: Window, tokens: Window) -> Denial | None:
    """Say why a request is not let in; ``None`` where it is.

    Args:
        limits: Of its key.
        amount: Tokens that it may use.
        num_open: Requests of the key that have not ended.
        requests: What is left of the requests a minute.
        tokens: What is left of the tokens a minute.
    """
    if limits.concurrent_requests is not None and num_open >= limits.concurrent_requests:
        text = f"{num_open} requests of this key are open; its limit is {limits.concurrent_requests}"
        return Denial("concurrency_limit_exceeded", text, POLL_S)
    limit = limits.requests_per_minute
    if limit is not None and requests.remaining < 1:
        return Denial("rate_limit_exceeded", f"this key may make {limit} requests a minute", requests.get_wait_s(1))
    limit = limits.tokens_per_minute
    if limit is None:
        return None
    if amount > limit:
        text = f"this request may use {amount} tokens, more than the {limit} a minute of this key: lower max_tokens"
        return Denial("request_above_limit", text, None)
    left = tokens.remaining
    if left < amount:
        text = f"this request may use {amount} tokens; {left} of {limit} a minute are left"
        return Denial("rate_limit_exceeded", text, tokens.get_wait_s(amount))
    return None


def list_headers(limits: KeyLimits, requests: Window, tokens: Window) -> Headers:
    """List what is left of the limits, in the headers that OpenAI's API has for it."""
    headers: Headers = []
    for name, limit, window in (
        (b"tokens", limits.tokens_per_minute, tokens),
        (b"requests", limits.requests_per_minute, requests),
    ):
        if limit is not None:
            headers.append((b"x-ratelimit-limit-" + name, str(limit).encode()))
            headers.append((b"x-ratelimit-remaining-" + name, str(window.remaining).encode()))
    return headers


def divide_limits(limits: KeyLimits, num_shares: int) -> KeyLimits:
    """Return the share of each of several gateways that cannot ask one another; at least one of everything.

    >>> divide_limits(KeyLimits(tokens_per_minute=1001, concurrent_requests=1), 2)
    KeyLimits(tokens_per_minute=500, requests_per_minute=None, concurrent_requests=1, priority=5)
    """
    names = ("tokens_per_minute", "requests_per_minute", "concurrent_requests")
    whole = {name: getattr(limits, name) for name in names}
    shares = {name: max(limit // num_shares, 1) for name, limit in whole.items() if limit is not None}
    return limits.model_copy(update=shares)
