"""The gateway's ASGI application: its paths, and the order in which a request passes key, limits, queue and engine."""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp

from practicum_core.rungs import RUNG_FILE, Rung
from practicum_core.stage_process import SERVER_KEY_VARIABLE
from practicum_core.stages.gateway import GatewayConfig
from practicum_core.stages.upstreams import UpstreamConfig
from practicum_core.traffic import TRAFFIC, TRAFFIC_PATH
from practicum_gateway.admission import Admission, LocalAdmission
from practicum_gateway.answering import Answering
from practicum_gateway.breaker import BreakerSettings
from practicum_gateway.clock import Clock
from practicum_gateway.counters import CLIENT_GONE, Counters
from practicum_gateway.degradation import Degradation
from practicum_gateway.discovery import Discovery, read_table
from practicum_gateway.dispatch import Dispatcher
from practicum_gateway.errors import RATE_LIMIT, SERVER, ApiError, ClientGone
from practicum_gateway.exchange import Exchange, Message, Receive, Send
from practicum_gateway.gradient import GradientLimiter, GradientSettings
from practicum_gateway.hold import Hold
from practicum_gateway.inspection import Inspected, insert_fields, inspect_body, read_asked_prompt
from practicum_gateway.key_ring import Caller, KeyRing
from practicum_gateway.knowledge import read_articles
from practicum_gateway.limits import Denial, Grant
from practicum_gateway.log_lines import log_request
from practicum_gateway.pages import MODELS, SCALING, STATE_PATHS, Pages, build_draining_error
from practicum_gateway.queue import FairQueue
from practicum_gateway.relay import Passage, Relay
from practicum_gateway.retries import RetryBudget
from practicum_gateway.routing import hash_text
from practicum_gateway.server_key import build_middlewares
from practicum_gateway.surroundings import Surroundings
from practicum_gateway.traffic_trace import TrafficTrace
from practicum_gateway.turnstile import Turnstile
from practicum_gateway.upstream import NoReplica, Route, UpstreamPool

if TYPE_CHECKING:
    from practicum_gateway.knowledge_base import KnowledgeBase
    from practicum_gateway.search import Search
    from practicum_gateway.tracing import Traces

SEARCH = "/v1/knowledge/search"
GENERATING = {"/v1/chat/completions": ("max_tokens", "max_completion_tokens"), "/v1/completions": ("max_tokens",)}
"""Paths whose engine generates tokens, and the fields in which it reads their bound; the first is put in."""
_POST_PATHS = (*GENERATING, "/v1/embeddings")
_SHOWN = (*_POST_PATHS, SEARCH, MODELS, TRAFFIC_PATH, *STATE_PATHS)
_PROBED = (*STATE_PATHS, TRAFFIC_PATH, SCALING)
_KEEPALIVE_S = 4.0
"""Shorter than uvicorn keeps an idle connection open, on which a request would be lost otherwise."""
_PASSED_HEADERS = (b"traceparent", b"tracestate", b"x-correlation-id")
_LOG = logging.getLogger(__name__)


class Gateway:
    """The application. Served between :meth:`start` and :meth:`close`.

    Args:
        config: What it allows.
        keys: Files of keys; without any, everybody may call.
        clock: Monotonic seconds.
        admission: Limits of keys; those of this process alone without it.
        pin_file: Names a rung of the ladder that is kept.
        surroundings: Its resolver and its clock for people; those of this machine without it.
        traffic_file: Where the trace of the traffic goes, if the configuration asks for one.

    Attributes:
        traces: Makes traces of requests; ``None`` where there are none.

    Raises:
        DataError: A file of keys, that of the engines, or the knowledge base is broken.
    """

    def __init__(
        self,
        config: GatewayConfig,
        keys: Sequence[Path],
        clock: Clock = time.monotonic,
        admission: Admission | None = None,
        pin_file: Path = Path(RUNG_FILE),
        surroundings: Surroundings | None = None,
        traffic_file: Path = Path(TRAFFIC),
    ) -> None:
        self._config = config
        self._clock = clock
        self._surroundings = surroundings or Surroundings(None, clock)
        self.traces: Traces | None = None
        self._keys = KeyRing(keys, clock, config.num_replicas if config.redis_url else 1)
        self.admission = admission or LocalAdmission()
        breaker = BreakerSettings(
            window_s=config.breaker_window_s,
            min_requests=config.breaker_min_requests,
            bad_share=config.breaker_bad_share,
            slow_first_token_s=config.slow_first_token_s,
            open_s=config.breaker_open_s,
        )
        self._table = Path(config.upstreams_file) if config.upstreams_file else None
        upstreams = self._surroundings.name_upstreams(
            config.upstreams if self._table is None else read_table(self._table)
        )
        holds = config.hold_timeout_s > 0
        self.pool = UpstreamPool(upstreams, breaker, config.max_ejected_share, clock, holds=holds)
        small = [UpstreamConfig(name="small", url=config.small_upstream)] if config.small_upstream else []
        small = list(self._surroundings.name_upstreams(small))
        self.small_pool = UpstreamPool(small, breaker, config.max_ejected_share, clock)
        limiter = GradientLimiter(
            GradientSettings(config.initial_concurrency, config.min_concurrency, config.max_concurrency)
        )
        self.turnstile = Turnstile(limiter, FairQueue(config.queue_size, clock), config.queue_timeout_s, clock)
        self.hold = Hold(config.hold_size, clock, lambda name: self.pool.services[name].num_ready > 0)
        self.pool.listeners.append(self.hold.release)
        self.counters = Counters(self.turnstile, self.hold, self.pool, self.admission)
        self.counters.hold_timeout_s = config.hold_timeout_s
        self.dispatcher = Dispatcher(config, self.hold, self.turnstile, self.counters, clock)
        knowledge = _build_knowledge(config, self._surroundings)
        self.degradation: Degradation | None = None
        if config.ladder:
            self.degradation = Degradation(config, self.pool, self.small_pool, knowledge, pin_file, clock)
            self.counters.register(self.degradation.history)
            self.dispatcher.wait_observers.append(self.degradation.signals.queue_wait.observe)
        self._answering = Answering(self.pool, config.probe_timeout_s, clock)
        self.pages = Pages(self.pool, self.counters, self.dispatcher, self._answering, needs_engine=not holds)
        self.pages.ladder = self.degradation.history if self.degradation is not None else None
        self._search = _build_search(config, knowledge)
        self._traffic = self._build_traffic(traffic_file) if config.traffic else None
        self._budget = RetryBudget(config.retry_share)
        self._session: aiohttp.ClientSession | None = None
        self._discoveries: list[Discovery] = []
        self._watchers: list[asyncio.Task[None]] = []

    def _build_traffic(self, path: Path) -> TrafficTrace:
        history = self.degradation.history if self.degradation is not None else None
        return TrafficTrace(
            path,
            self._clock,
            self.pool,
            history.list_changes if history is not None else lambda _: [],
            keeps_bodies=self._config.traffic_bodies,
            key=os.environ.get(SERVER_KEY_VARIABLE, ""),
        )

    @property
    def is_draining(self) -> bool:
        """Whether it is being stopped: open requests end, and no others are taken."""
        return self.pages.is_draining

    @is_draining.setter
    def is_draining(self, is_draining: bool) -> None:
        self.pages.is_draining = is_draining

    async def start(self) -> None:
        """Open connections and ask the engines for their models."""
        config = self._config
        await self.admission.start()
        if self.traces is not None:
            self.counters.register(self.traces.export)
        self._session = aiohttp.ClientSession(
            connector=self._surroundings.build_connector(_KEEPALIVE_S),
            timeout=aiohttp.ClientTimeout(total=None, connect=config.connect_timeout_s),
            # An engine sets no cookies for the requests of others.
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=("User-Agent", "Accept-Encoding"),
            read_bufsize=1 << 20,
            middlewares=build_middlewares(os.environ),
        )
        for rung, pool in ((Rung.FULL, self.pool), (Rung.SMALL, self.small_pool)):
            relay = Relay(self._session, pool, self._budget, self._clock, self.counters.count_retry)
            self.dispatcher.relays[rung] = relay
        around = self._surroundings
        self._discoveries = [
            Discovery(self.pool, self._session, self._table, around.look_up, around.name_upstreams),
            Discovery(self.small_pool, self._session, None, around.look_up),
        ]
        for discovery in self._discoveries:
            discovery.start()
        self.pages.session = self._session
        if self.degradation is not None:
            self._watchers.append(asyncio.create_task(self.degradation.watch(self._session)))
        if self._traffic is not None:
            self._traffic.open()
            self._watchers.append(asyncio.create_task(self._traffic.watch()))

    async def close(self) -> None:
        """Close the connections, also those of a start that failed."""
        for watcher in self._watchers:
            watcher.cancel()
        if self._traffic is not None:
            self._traffic.close()
        await self._answering.close()
        for discovery in self._discoveries:
            await discovery.close()
        if self._session is not None:
            await self._session.close()
        await self.admission.close()
        if self.traces is not None:
            await asyncio.to_thread(self.traces.close)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request. Nothing but an answer leaves here."""
        if scope["type"] != "http":
            raise RuntimeError(f"no {scope['type']} here")
        exchange = Exchange(scope, receive, send)
        started_s = self._clock()
        path = _get_shown_path(exchange.path)
        if self.traces is not None and path not in _PROBED:
            exchange.trace = self.traces.begin(exchange.method, path, exchange.headers, exchange.request_id)
        try:
            await self._route(exchange)
            status = exchange.status
        except ClientGone:
            status = CLIENT_GONE
        except ApiError as error:
            status = error.status
            await exchange.respond_error(error)
        except Exception:  # noqa: BLE001 - the edge: every fault becomes one answer and a full trace in the log
            fault = _explain_fault(exchange)
            status = fault.status
            await exchange.respond_error(fault)
        except asyncio.CancelledError:
            # Its gateway ends and waits no longer (drain_s). Logs, traces and counters tell of it all the same.
            self._tell(exchange, path, build_draining_error().status, started_s)
            raise
        self._tell(exchange, path, status, started_s)

    def _tell(self, exchange: Exchange, path: str, status: int, started_s: float) -> None:
        """Count, trace and log a request that has ended."""
        elapsed_s = self._clock() - started_s
        self.counters.count_answer(path, status, elapsed_s, is_probe=path in _PROBED)
        if self.traces is not None and exchange.trace is not None:
            self.traces.end(exchange.trace, status, str(exchange.facts.get("key", "")))
        if path not in _PROBED:
            log_request(exchange, path, status, elapsed_s)
        if self._traffic is not None and path in GENERATING:
            self._traffic.note(exchange, status, started_s)

    async def _route(self, exchange: Exchange) -> None:
        path = exchange.path
        if path in _POST_PATHS:
            _require_method(exchange, "POST")
            await self._generate(exchange)
        elif path == MODELS or path.startswith(f"{MODELS}/"):
            _require_method(exchange, "GET")
            self._authenticate(exchange)
            await self.pages.tell_models(exchange)
        elif path == SEARCH and self._search is not None:
            _require_method(exchange, "POST")
            await self._find(exchange, self._search)
        elif path == TRAFFIC_PATH and self._traffic is not None:
            _require_method(exchange, "GET")
            await self._traffic.answer(exchange)
        elif path in STATE_PATHS:
            _require_method(exchange, "GET")
            await self.pages.tell_state(exchange)
        elif path.startswith(SCALING):
            _require_method(exchange, "GET")
            await self.pages.tell_demand(exchange)
        else:
            raise ApiError(404, "unknown_path", f"the gateway has no {path[:200]}")

    def _authenticate(self, exchange: Exchange) -> Caller:
        """Find whose request it is; log and traces say so, whatever becomes of it."""
        caller = self._keys.authenticate(exchange.headers.get(b"authorization"))
        exchange.facts["key"] = caller.key.id
        return caller

    async def _find(self, exchange: Exchange, search: Search) -> None:
        """Answer a search; it counts as a request of its key, and uses no tokens."""
        caller = self._authenticate(exchange)
        body = await exchange.read_body(self._config.max_body_bytes, self._config.body_timeout_s)
        grant = await self._take_grant(exchange, caller, 0)
        try:
            await search.answer(exchange, body)
        finally:
            grant.settle(0)

    async def _generate(self, exchange: Exchange) -> None:
        config = self._config
        caller = self._authenticate(exchange)
        arrived_s = self._clock()
        if self.is_draining:
            raise build_draining_error()
        body = await exchange.read_body(config.max_body_bytes, config.body_timeout_s)
        generates = exchange.path in GENERATING
        inspected = self._inspect(exchange, body)
        if self._traffic is not None:
            exchange.asked = read_asked_prompt(inspected)
        degradation = self.degradation if generates else None
        rung = Rung.FULL if degradation is None else degradation.choose()
        if degradation is not None and rung in (Rung.SHORT, Rung.SMALL):
            inspected = self._inspect(exchange, degradation.shorten(inspected.body, rung))
        route = self._find_route(inspected, rung)
        grant = await self._admit(exchange, caller, inspected, route, generates=generates)
        passage = self._build_passage(exchange, caller, inspected, generates=generates)
        passage.rung = rung
        try:
            with exchange.watch_client():
                if degradation is None:
                    await self.dispatcher.pass_on(exchange, caller, passage, route)
                else:
                    pass_on = functools.partial(self.dispatcher.pass_on, exchange, caller, passage, route)
                    await degradation.guide(exchange, passage, pass_on)
        finally:
            grant.settle(passage.used_tokens)
            exchange.facts = {"key": caller.key.id, **passage.list_facts(), **exchange.facts}
            if passage.usage is not None:
                self.counters.count_tokens(caller.key.id, passage.usage)
            if passage.first_byte_s is not None:
                exchange.first_byte_s = passage.first_byte_s
                self.counters.first_byte.observe(passage.first_byte_s - arrived_s)

    def _inspect(self, exchange: Exchange, body: bytes) -> Inspected:
        sticky_bytes = self._config.sticky_bytes if self.pool.has_choice else 0
        return inspect_body(body, self._config.max_choices, GENERATING.get(exchange.path, ()), sticky_bytes)

    def _find_route(self, inspected: Inspected, rung: Rung) -> Route:
        """Find the engines for a request; none for one that is held, or that the ladder answers.

        Raises:
            ApiError: No engine has its model, or none is ready and none is waited for.
        """
        route = (self.small_pool if rung is Rung.SMALL else self.pool).find_route(inspected.model)
        if not (route.engines or self._config.hold_timeout_s or self.degradation is not None):
            raise NoReplica(route.service)
        return route

    async def _admit(
        self, exchange: Exchange, caller: Caller, inspected: Inspected, route: Route, *, generates: bool
    ) -> Grant:
        new_tokens = self._get_new_tokens(inspected) if generates else 0
        return await self._take_grant(exchange, caller, inspected.count_tokens(new_tokens, route.max_model_tokens))

    async def _take_grant(self, exchange: Exchange, caller: Caller, tokens: int) -> Grant:
        grant, headers = await self.admission.admit(caller, tokens)
        exchange.extra_headers += headers
        if isinstance(grant, Denial):
            status = 400 if grant.retry_after_s is None else 429
            raise ApiError(status, grant.code, grant.message, RATE_LIMIT, retry_after_s=grant.retry_after_s)
        return grant

    def _get_new_tokens(self, inspected: Inspected) -> int:
        named = inspected.max_new_tokens
        return self._config.default_max_tokens if named is None else named

    def _build_passage(self, exchange: Exchange, caller: Caller, inspected: Inspected, *, generates: bool) -> Passage:
        added: dict[str, object] = {}
        hides_usage = generates and inspected.is_streamed and not inspected.shows_usage
        if hides_usage and inspected.has_stream_options:
            # A second field of that name would be the one that counts.
            hides_usage = False
        elif hides_usage:
            added["stream_options"] = {"include_usage": True}
        is_limited = caller.meter.limits.tokens_per_minute is not None
        if generates and is_limited and inspected.max_new_tokens is None:
            added[GENERATING[exchange.path][0]] = self._config.default_max_tokens
        headers = _build_headers(exchange) | {"content-type": "application/json"}
        new_tokens = self._get_new_tokens(inspected) if generates and not inspected.is_streamed else 0
        return Passage(
            insert_fields(inspected.body, added),
            hides_usage,
            headers,
            inspected.is_streamed,
            model=inspected.model,
            key=hash_text(inspected.beginning) if inspected.beginning else None,
            slow_after_s=self._config.slow_first_token_s + self._config.slow_token_s * new_tokens,
        )


def _build_knowledge(config: GatewayConfig, surroundings: Surroundings) -> KnowledgeBase | None:
    if not (config.knowledge and (config.ladder or config.search)):
        return None
    from practicum_gateway.knowledge_base import KnowledgeBase  # noqa: PLC0415 - NumPy, only where it is used

    return KnowledgeBase(read_articles(config.knowledge), surroundings.refuse_searches)


def _build_search(config: GatewayConfig, knowledge: KnowledgeBase | None) -> Search | None:
    if knowledge is None or not config.search:
        return None
    from practicum_gateway.search import Search  # noqa: PLC0415 - NumPy, only where it is used

    return Search(knowledge)


def _build_headers(exchange: Exchange) -> dict[str, str]:
    """Build the headers for an engine. The client's key stays here."""
    found = {name.decode(): exchange.headers.get(name) for name in _PASSED_HEADERS}
    passed = {name: value.decode("latin-1") for name, value in found.items() if value is not None}
    return passed | {"x-request-id": exchange.request_id.decode(), "accept-encoding": "identity"}


def _explain_fault(exchange: Exchange) -> ApiError:
    request = exchange.request_id.decode()
    _LOG.exception("request %s", request)
    return ApiError(500, "internal", f"a fault of the gateway; its log has more of request {request}", SERVER)


def _require_method(exchange: Exchange, method: str) -> None:
    if exchange.method != method:
        exchange.extra_headers.append((b"allow", method.encode()))
        raise ApiError(405, "method_not_allowed", f"{exchange.path}: {method} is expected, not {exchange.method}")


def _get_shown_path(path: str) -> str:
    """Return what counts of a path: one of the gateway's own, or a word for all others."""
    return SCALING if path.startswith(SCALING) else path if path in _SHOWN else "other"
