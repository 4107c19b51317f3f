"""The ladder joined with the requests: which rung a request gets, and the answers that no engine gives."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp

from practicum_core.rungs import Rung
from practicum_core.stages.gateway import GatewayConfig
from practicum_gateway.breaker import BreakerState
from practicum_gateway.clock import Clock
from practicum_gateway.errors import SERVER, ApiError
from practicum_gateway.exchange import Exchange
from practicum_gateway.knowledge import KnowledgeOutError
from practicum_gateway.ladder import Ladder, LadderSettings, Threshold
from practicum_gateway.ladder_history import LadderHistory
from practicum_gateway.pin_file import PinFile
from practicum_gateway.prober import ask_first_token, ask_kv_use
from practicum_gateway.relay import Passage
from practicum_gateway.shortening import shorten_body
from practicum_gateway.signals import Reading, Signals
from practicum_gateway.stand_in import Asked, build_answer, read_asked
from practicum_gateway.upstream import UpstreamPool

if TYPE_CHECKING:
    from practicum_gateway.knowledge_base import KnowledgeBase

HEADER, REASON_HEADER = b"x-practicum-degraded", b"x-practicum-degraded-reason"
_TICK_S = 0.25
_RETRY_AFTER_S = 5.0
_KV_CALM = 0.85
_WAITED_IN_VAIN = frozenset({"queue_full", "queue_timeout", "hold_full", "hold_timeout"})
_FAILED = frozenset(
    {
        "deadline_exceeded",
        "hold_full",
        "hold_timeout",
        "no_upstream",
        "not_ready",
        "upstream_broke_off",
        "upstream_failed",
        "upstream_invalid",
        "upstream_unreachable",
    }
)
_REPLACED = (_FAILED | _WAITED_IN_VAIN | {"upstream_busy"}) - {"deadline_exceeded", "upstream_broke_off"}
"""Errors in whose place an answer without an engine is given; after the others it would come too late."""
_LOG = logging.getLogger(__name__)


class Degradation:
    """The ladder of one gateway, between :meth:`watch` and its cancellation.

    Args:
        config: When it moves, and what its rungs offer.
        pool: The engines.
        small_pool: The engine of the smaller model; empty where there is none.
        knowledge: What extracts and stored answers come from; ``None`` without one.
        pin_file: Names the rung that is kept; looked at again and again.
        clock: Monotonic seconds.

    Attributes:
        signals: Filled by the way of the requests.
        ladder: The rung now.
        history: What became of it.
    """

    def __init__(
        self,
        config: GatewayConfig,
        pool: UpstreamPool,
        small_pool: UpstreamPool,
        knowledge: KnowledgeBase | None,
        pin_file: Path,
        clock: Clock,
    ) -> None:
        self._config = config
        self._pool = pool
        self._small_pool = small_pool
        self._pin_file = PinFile(pin_file, clock)
        self._clock = clock
        self._knowledge = knowledge
        self.signals = Signals(config.ladder_window_s, config.ladder_min_requests, config.probe_misses, clock)
        self.ladder = Ladder(_build_settings(config, self._list_rungs()), clock)
        self.history = LadderHistory(self.ladder, self.read, clock)
        self._pinned: Rung | None = None

    def _list_rungs(self) -> tuple[Rung, ...]:
        has = {
            Rung.SMALL: bool(self._small_pool.upstreams),
            Rung.EXTRACT: self._knowledge is not None,
            Rung.FAQ: self._knowledge is not None and len(self._knowledge.stored) > 0,
        }
        return tuple(rung for rung in Rung if has.get(rung, True))

    def read(self) -> Reading:
        """Return the signals now."""
        engines = self._pool.upstreams
        # Scaled to zero, none is out.
        are_out = bool(engines) and all(one.breaker.state is BreakerState.OPEN for one in engines)
        return self.signals.read(are_all_left_out=are_out)

    def choose(self) -> Rung:
        """Return the rung of a request that comes now."""
        rung = self.ladder.decide(self.read())
        self.history.follow()
        return rung

    def shorten(self, body: bytes, rung: Rung) -> bytes:
        """Return a body that asks for what ``SHORT`` or ``SMALL`` offers."""
        models = self._small_pool.list_models() if rung is Rung.SMALL else []
        model = str(models[0].get("id", "")) if models else ""
        return shorten_body(body, self._config.short_max_tokens, self._config.short_messages, model)

    async def guide(self, exchange: Exchange, passage: Passage, ask_engine: Callable[[], Awaitable[None]]) -> None:
        """Have a request answered by its rung, and by a lower one where its engine fails before the first byte.

        Args:
            exchange: Of the request.
            passage: What an engine would be sent.
            ask_engine: Has an engine answer.

        Raises:
            ApiError: Nothing answers it.
        """
        self._mark(exchange, passage.rung, self.ladder.reason)
        num_steps = self.ladder.num_changes
        try:
            if not passage.rung.uses_engine:
                await self._answer(exchange, passage.body, self.ladder.reason)
                return
            try:
                await ask_engine()
            except ApiError as error:
                self._observe_error(error)
                await self._replace(exchange, passage.body, error)
            else:
                self._observe_answer(passage)
        finally:
            headers = dict(exchange.extra_headers)
            if HEADER in headers:
                rung, reason = headers[HEADER].decode(), headers[REASON_HEADER].decode()
                exchange.facts |= {"rung": rung, "reason": reason}
                self.history.count_answer(rung, reason)
                if exchange.trace is not None:
                    # The step that led to this answer, where it was made before, and those that were made meanwhile.
                    num_told = self.ladder.num_changes - num_steps + 1
                    steps = [one for one in self.ladder.changes[-num_told:] if one.after is not Rung.FULL]
                    exchange.trace.note_degraded(rung, reason, steps)

    def _mark(self, exchange: Exchange, rung: Rung, reason: str) -> None:
        """Say in the headers of an answer that it is one of a lower rung."""
        if rung is Rung.FULL:
            return
        kept = [header for header in exchange.extra_headers if header[0] not in (HEADER, REASON_HEADER)]
        exchange.extra_headers = [*kept, (HEADER, rung.encode()), (REASON_HEADER, reason.encode())]

    async def _answer(self, exchange: Exchange, body: bytes, reason: str) -> None:
        """Answer a request without an engine, by the best rung that has something to say.

        Raises:
            ApiError: None has: the apology.
        """
        asked = read_asked(exchange.path, body)
        rung, text = self._find_text(asked)
        self._mark(exchange, rung, reason)
        if rung is Rung.APOLOGY:
            raise ApiError(
                503,
                "degraded",
                f"the service is in trouble ({reason}) and nothing but the model could answer this; try again later. "
                f"服务暂时不可用，请稍后重试。",
                SERVER,
                retry_after_s=_RETRY_AFTER_S,
            )
        kind, answer = build_answer(
            asked, text, f"practicum-{rung}", exchange.request_id.decode("latin-1"), int(time.time())
        )
        await exchange.respond(200, [(b"content-type", kind)], answer)

    def _find_text(self, asked: Asked) -> tuple[Rung, str]:
        """Return the best rung without an engine that has an answer and may give it, and the answer."""
        if self.ladder.rung is Rung.APOLOGY:
            return Rung.APOLOGY, ""
        knowledge = self._knowledge
        if knowledge is None or not asked.question:
            return Rung.APOLOGY, ""
        if self.ladder.rung is not Rung.FAQ:
            # The probes find out whether all searches fail.
            with contextlib.suppress(KnowledgeOutError):
                extract = knowledge.extract(asked.question)
                if extract is not None:
                    return Rung.EXTRACT, extract.text
        article = knowledge.stored.find(asked.question)
        if article is not None:
            return Rung.FAQ, f"{article.text} [{article.id}: {article.title}]"
        return Rung.APOLOGY, ""

    async def _replace(self, exchange: Exchange, body: bytes, error: ApiError) -> None:
        """Answer without an engine in the place of an error.

        Raises:
            ApiError: The error itself, where nothing can take its place.
        """
        if exchange.status or error.code not in _REPLACED or self._find_text(read_asked(exchange.path, body))[1] == "":
            raise error
        await self._answer(exchange, body, error.code)

    def _observe_error(self, error: ApiError) -> None:
        """Take in a request that an engine did not answer."""
        if error.code in _FAILED:
            self.signals.observe_end(has_failed=True)
        elif error.code in _WAITED_IN_VAIN:
            self.signals.queue_wait.observe(self._config.queue_timeout_s)

    def _observe_answer(self, passage: Passage) -> None:
        """Take in a request that an engine answered."""
        if passage.rung is Rung.SMALL:
            return
        self.signals.observe_end(has_failed=False)
        if passage.first_byte_s is not None:
            self.signals.first_token.observe(passage.first_byte_s - passage.sent_s)

    async def watch(self, session: aiohttp.ClientSession) -> None:
        """Probe the engines, read the pinned rung and move the ladder, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._probe(session, self._pool, is_small=False))
            if self._small_pool.upstreams:
                group.create_task(self._probe(session, self._small_pool, is_small=True))
            if self._knowledge is not None:
                group.create_task(self._probe_knowledge(self._knowledge))
            while True:
                self._read_pin()
                self.choose()
                await asyncio.sleep(_TICK_S)

    async def _probe_knowledge(self, knowledge: KnowledgeBase) -> None:
        while True:
            knowledge.probe()
            self.signals.is_retrieval_out = knowledge.is_out
            await asyncio.sleep(self._config.probe_s)

    async def _probe(self, session: aiohttp.ClientSession, pool: UpstreamPool, *, is_small: bool) -> None:
        timeout_s = self._config.probe_timeout_s
        while True:
            if self._config.hold_timeout_s and not pool.is_known:
                # Scaled to zero: requests wait, and a probe would find no engine.
                await asyncio.sleep(self._config.probe_s)
                continue
            seconds = await ask_first_token(session, pool, timeout_s, self._clock)
            self.signals.observe_probe(seconds, is_small=is_small)
            if not is_small:
                self.signals.kv_use = await ask_kv_use(session, pool, timeout_s) if seconds is not None else 0.0
            await asyncio.sleep(self._config.probe_s)

    def _read_pin(self) -> None:
        """Pin the rung that the file names; let go of it where it names none, is gone, or its lease is over."""
        rung = self._pin_file.read()
        if rung is not self._pinned:
            if rung is None and self._pin_file.left_s is not None:
                _LOG.warning("the rung %s is not pinned any more: nobody renewed its lease", self._pinned)
            self._pinned = rung
            self.ladder.pin(rung)
        self.history.pin_left_s = self._pin_file.left_s if rung is not None else None


def _build_settings(config: GatewayConfig, rungs: tuple[Rung, ...]) -> LadderSettings:
    calm = config.ladder_calm_ratio
    return LadderSettings(
        rungs,
        queue_wait_s=Threshold(config.ladder_queue_wait_s, calm * config.ladder_queue_wait_s),
        first_token_s=Threshold(config.ladder_first_token_s, calm * config.ladder_first_token_s),
        error_share=Threshold(config.ladder_error_share, calm * config.ladder_error_share),
        kv_use=Threshold(config.ladder_kv_use, min(_KV_CALM, config.ladder_kv_use)),
        down_s=config.ladder_down_s,
        up_s=config.ladder_up_s,
        settle_s=config.ladder_settle_s,
    )
