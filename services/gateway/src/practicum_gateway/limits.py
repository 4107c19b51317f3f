"""Limits of one key: tokens and requests a minute, and requests at the same time. Pure, with an injected clock.

A request reserves the most tokens that it can use before it is let in, and is charged what it used when it ends. At
every moment the open reservations and what was charged within the last minute are at most the limit. Whatever a request
uses lies between its start and its end, so no minute, wherever it begins, holds more than the limit.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

from practicum_core.api_keys import KeyLimits
from practicum_gateway.clock import Clock

WINDOW_S = 60.0
_SLOT_S = 0.1
_POLL_S = 1.0
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

    def reserve(self, amount: int) -> bool:
        """Hold an amount, where it fits."""
        self._expire()
        if self._charged + self.reserved + amount > self.limit:
            return False
        self.reserved += amount
        return True

    def settle(self, reserved: int, used: int) -> None:
        """Charge what was used in place of a reservation."""
        self._expire()
        self.reserved -= reserved
        if used <= 0:
            return
        self._charged += used
        expires_s = (math.floor(self._clock() / _SLOT_S) + 1) * _SLOT_S + self._window_s
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
        return _POLL_S

    def _expire(self) -> None:
        now_s = self._clock()
        while self._slots and self._slots[0].expires_s <= now_s:
            self._charged -= self._slots.popleft().amount


@dataclass(frozen=True)
class Denial:
    """Why a request is not let in. ``retry_after_s`` is ``None`` where it can never be."""

    code: str
    message: str
    retry_after_s: float | None


class Grant:
    """A request that was let in. It is settled once; every later call does nothing.

    Args:
        meter: Of the key.
        reserved: Tokens that it may use.
    """

    def __init__(self, meter: KeyMeter, reserved: int) -> None:
        self._meter = meter
        self.reserved = reserved
        self.is_settled = False

    def settle(self, used: int | None) -> None:
        """End the request.

        Args:
            used: Tokens that it used; ``None`` where nobody knows, which charges all that it might have used.
        """
        if not self.is_settled:
            self.is_settled = True
            self._meter.end(self.reserved, self.reserved if used is None else used)


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
        denial = self._find_denial(tokens)
        if denial is not None:
            return denial
        self._num_open += 1
        # Kept without a limit too: one may be set while requests are open.
        self._tokens.reserved += tokens
        self._requests.settle(0, 1)
        return Grant(self, tokens)

    def end(self, reserved: int, used: int) -> None:
        """Take back the reservation of a request that ended, and charge what it used."""
        self._num_open -= 1
        self._tokens.settle(reserved, used)

    def list_headers(self) -> list[tuple[bytes, bytes]]:
        """List what is left, in the headers that OpenAI's API has for it."""
        headers = []
        for name, limit, window in (
            (b"tokens", self._limits.tokens_per_minute, self._tokens),
            (b"requests", self._limits.requests_per_minute, self._requests),
        ):
            if limit is not None:
                headers.append((b"x-ratelimit-limit-" + name, str(limit).encode()))
                headers.append((b"x-ratelimit-remaining-" + name, str(window.remaining).encode()))
        return headers

    def _find_denial(self, tokens: int) -> Denial | None:
        limits = self._limits
        if limits.concurrent_requests is not None and self._num_open >= limits.concurrent_requests:
            text = f"{self._num_open} requests of this key are open; its limit is {limits.concurrent_requests}"
            return Denial("concurrency_limit_exceeded", text, _POLL_S)
        limit = limits.requests_per_minute
        if limit is not None and self._requests.remaining < 1:
            wait_s = self._requests.get_wait_s(1)
            return Denial("rate_limit_exceeded", f"this key may make {limit} requests a minute", wait_s)
        limit = limits.tokens_per_minute
        if limit is None:
            return None
        if tokens > limit:
            text = f"this request may use {tokens} tokens, more than the {limit} a minute of this key: lower max_tokens"
            return Denial("request_above_limit", text, None)
        left = self._tokens.remaining
        if left < tokens:
            text = f"this request may use {tokens} tokens; {left} of {limit} a minute are left"
            return Denial("rate_limit_exceeded", text, self._tokens.get_wait_s(tokens))
        return None
