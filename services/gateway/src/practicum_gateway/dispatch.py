"""The way of an admitted request to an engine: held while none is ready, then its turn, then it is sent."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from practicum_core import trace_names
from practicum_core.rungs import Rung
from practicum_core.stages.gateway import GatewayConfig
from practicum_gateway.clock import Clock
from practicum_gateway.counters import Counters
from practicum_gateway.errors import SERVER, ApiError
from practicum_gateway.exchange import Exchange
from practicum_gateway.gradient import count_units
from practicum_gateway.hold import Hold
from practicum_gateway.key_ring import Caller
from practicum_gateway.relay import Passage, Relay
from practicum_gateway.scaling import Demand
from practicum_gateway.turnstile import Turnstile
from practicum_gateway.upstream import NoReplica, Route, Service

_TIMEOUT_HEADER = b"x-request-timeout-ms"


@dataclass(slots=True)
class Turn:
    """What the wait of a request goes by.

    Attributes:
        owner: Whose it is.
        priority: 0 comes first.
        service: Whose demand it is.
        ends_s: When the answer has to be complete.
        longest_wait_s: In the queue; that of all without it.
    """

    owner: str
    priority: int
    service: str
    ends_s: float
    longest_wait_s: float | None = None


class Dispatcher:
    """Sends requests on when it is their turn.

    Args:
        config: How long they wait.
        hold: Where they wait for a first engine.
        turnstile: Where they wait for their turn.
        counters: Told every wait.
        clock: Monotonic seconds.

    Attributes:
        relays: What sends a request, by rung; all but ``SMALL`` are sent by that of ``FULL``.
        wait_observers: Told the seconds that each request waited for its turn.
        num_queued: Requests in the queue, by service.
    """

    def __init__(
        self, config: GatewayConfig, hold: Hold, turnstile: Turnstile, counters: Counters, clock: Clock
    ) -> None:
        self._config = config
        self._hold = hold
        self._turnstile = turnstile
        self._clock = clock
        self.relays: dict[Rung, Relay] = {}
        self.wait_observers: list[Callable[[float], None]] = [counters.waiting.observe]
        self.num_queued: Counter[str] = Counter()

    def count_demand(self, service: Service) -> Demand:
        """Count the requests of this gateway for a service of engines."""
        name = service.config.name
        return Demand(self._hold.count(name), self.num_queued[name], service.num_open)

    async def pass_on(self, exchange: Exchange, caller: Caller, passage: Passage, route: Route) -> None:
        """Have an engine answer a request.

        Raises:
            ApiError: Its deadline passed, or no engine answered it.
        """
        config = self._config
        timeout_s = self._read_timeout_s(exchange)
        asked_s = self._clock()
        turn = Turn(caller.key.owner, caller.meter.limits.priority, route.service, asked_s + timeout_s)
        missing = None if route.engines else route.service
        held_until_s = asked_s + min(timeout_s, config.hold_timeout_s)
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    if missing is not None:
                        if not config.hold_timeout_s:
                            raise NoReplica(missing)
                        with exchange.span(trace_names.HOLD_SPAN):
                            await self._hold.wait(missing, turn.owner, turn.priority, held_until_s - self._clock())
                        # All that were held come at once now, and none shall be lost to the queue's shorter wait.
                        turn.longest_wait_s = max(held_until_s - self._clock(), config.queue_timeout_s)
                    try:
                        await self._take_turn(exchange, passage, turn)
                    except NoReplica as error:
                        missing = error.service
                    else:
                        return
        except TimeoutError:
            text = f"the answer was not complete within {timeout_s:g} s"
            raise ApiError(504, "deadline_exceeded", text, SERVER) from None

    async def _take_turn(self, exchange: Exchange, passage: Passage, turn: Turn) -> None:
        asked_s = self._clock()
        self.num_queued[turn.service] += 1
        try:
            with exchange.span(trace_names.QUEUE_SPAN):
                await self._turnstile.enter(turn.owner, turn.priority, turn.ends_s - asked_s, turn.longest_wait_s)
        finally:
            self.num_queued[turn.service] -= 1
        entered_s = self._clock()
        for observe in self.wait_observers:
            observe(entered_s - asked_s)
        passage.headers["x-request-timeout-ms"] = str(int(1000 * (turn.ends_s - entered_s)))
        per_unit_s: float | None = None
        try:
            await self._get_relay(passage.rung).forward(exchange, passage)
            if passage.usage is not None and passage.usage.total_tokens and passage.end_s is not None:
                units = count_units(passage.usage.prompt_tokens, passage.usage.completion_tokens)
                per_unit_s = (passage.end_s - passage.sent_s) / units
        finally:
            self._turnstile.leave(per_unit_s)

    def _get_relay(self, rung: Rung) -> Relay:
        if not self.relays:
            raise RuntimeError("the gateway was not started")
        return self.relays[Rung.SMALL if rung is Rung.SMALL else Rung.FULL]

    def _read_timeout_s(self, exchange: Exchange) -> float:
        """Return the seconds that a request has: the gateway's, or fewer where it says so."""
        text = exchange.headers.get(_TIMEOUT_HEADER)
        if text is None:
            return self._config.request_timeout_s
        if not (text.isdigit() and 0 < len(text) <= 12 and int(text) > 0):  # noqa: PLR2004 - digits of 30 years
            raise ApiError(
                400, "invalid_value", "x-request-timeout-ms: expected milliseconds", param="x-request-timeout-ms"
            )
        return min(int(text) / 1000, self._config.request_timeout_s)
