"""The gateway's ASGI application: its paths, and the order in which a request passes key, limits, queue and engine."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from pathlib import Path

import aiohttp

from practicum_core.rungs import RUNG_FILE, Rung
from practicum_core.stages.gateway import GatewayConfig
from practicum_gateway.admission import Admission, LocalAdmission
from practicum_gateway.breaker import BreakerSettings
from practicum_gateway.clock import Clock
from practicum_gateway.counters import CLIENT_GONE, Counters
from practicum_gateway.degradation import Degradation
from practicum_gateway.errors import RATE_LIMIT, SERVER, ApiError, ClientGone
from practicum_gateway.exchange import JSON, Exchange, Message, Receive, Send
from practicum_gateway.gradient import GradientLimiter, GradientSettings, count_units
from practicum_gateway.inspection import Inspected, insert_fields, inspect_body
from practicum_gateway.key_ring import Caller, KeyRing
from practicum_gateway.limits import Denial, Grant
from practicum_gateway.queue import FairQueue
from practicum_gateway.relay import Passage, Relay
from practicum_gateway.retries import RetryBudget
from practicum_gateway.turnstile import Turnstile
from practicum_gateway.upstream import UpstreamPool, watch_models

GENERATING = {"/v1/chat/completions": ("max_tokens", "max_completion_tokens"), "/v1/completions": ("max_tokens",)}
"""Paths whose engine generates tokens, and the fields in which it reads their bound; the first is put in."""
_POST_PATHS = (*GENERATING, "/v1/embeddings")
MODELS = "/v1/models"
_STATE_PATHS = ("/healthz", "/startupz", "/readyz", "/metrics", "/ladder")
_GET_PATHS = (MODELS, *_STATE_PATHS)
_KEEPALIVE_S = 4.0
"""Shorter than uvicorn keeps an idle connection open, on which a request would be lost otherwise."""
_PASSED_HEADERS = (b"traceparent", b"tracestate", b"x-correlation-id")
_TIMEOUT_HEADER = b"x-request-timeout-ms"
_LOG = logging.getLogger(__name__)


class Gateway:
    """The application. Served between :meth:`start` and :meth:`close`.

    Args:
        config: What it allows.
        keys: File of keys; without it, everybody may call.
        clock: Monotonic seconds.
        admission: Limits of keys; those of this process alone without it.
        pin_file: Names a rung of the ladder that is kept.

    Raises:
        DataError: The file of keys is broken.
    """

    def __init__(
        self,
        config: GatewayConfig,
        keys: Path | None,
        clock: Clock = time.monotonic,
        admission: Admission | None = None,
        pin_file: Path = Path(RUNG_FILE),
    ) -> None:
        self._config = config
        self._clock = clock
        self._keys = KeyRing(keys, clock, config.num_replicas if config.redis_url else 1)
        self.admission = admission or LocalAdmission()
        breaker = BreakerSettings(
            window_s=config.breaker_window_s,
            min_requests=config.breaker_min_requests,
            bad_share=config.breaker_bad_share,
            slow_first_token_s=config.slow_first_token_s,
            open_s=config.breaker_open_s,
        )
        self.pool = UpstreamPool((config.upstream, *config.more_upstreams), breaker, config.max_ejected_share, clock)
        small = [config.small_upstream] if config.small_upstream else []
        self.small_pool = UpstreamPool(small, breaker, config.max_ejected_share, clock)
        limiter = GradientLimiter(
            GradientSettings(config.initial_concurrency, config.min_concurrency, config.max_concurrency)
        )
        self.turnstile = Turnstile(limiter, FairQueue(config.queue_size, clock), config.queue_timeout_s, clock)
        self.counters = Counters(self.turnstile, self.pool, self.admission)
        self.degradation: Degradation | None = None
        if config.ladder:
            self.degradation = Degradation(config, self.pool, self.small_pool, pin_file, clock)
            self.counters.register(self.degradation.history)
        self.is_draining = False
        self._budget = RetryBudget(config.retry_share)
        self._session: aiohttp.ClientSession | None = None
        self._relay: Relay | None = None
        self._small_relay: Relay | None = None
        self._watchers: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Open connections and ask the engines for their models."""
        config = self._config
        await self.admission.start()
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEPALIVE_S),
            timeout=aiohttp.ClientTimeout(total=None, connect=config.connect_timeout_s),
            # An engine sets no cookies for the requests of others.
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=("User-Agent", "Accept-Encoding"),
            read_bufsize=1 << 20,
        )
        self._relay, self._small_relay = (
            Relay(
                self._session,
                pool,
                self._budget,
                config.slow_first_token_s,
                self._clock,
                self.counters.count_retry,
            )
            for pool in (self.pool, self.small_pool)
        )
        self._watchers = [
            asyncio.create_task(watch_models(self._session, upstream))
            for upstream in (*self.pool.upstreams, *self.small_pool.upstreams)
        ]
        if self.degradation is not None:
            self._watchers.append(asyncio.create_task(self.degradation.watch(self._session)))

    async def close(self) -> None:
        """Close the connections."""
        for watcher in self._watchers:
            watcher.cancel()
        if self._session is not None:
            await self._session.close()
        await self.admission.close()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request. Nothing but an answer leaves here."""
        if scope["type"] != "http":
            raise RuntimeError(f"no {scope['type']} here")
        exchange = Exchange(scope, receive, send)
        path = exchange.path if exchange.path in _POST_PATHS or exchange.path in _GET_PATHS else "other"
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
        self.counters.count_answer(path, status, is_probe=path in _STATE_PATHS)

    async def _route(self, exchange: Exchange) -> None:
        path = exchange.path
        if path in _POST_PATHS:
            _require_method(exchange, "POST")
            await self._generate(exchange)
        elif path == MODELS or path.startswith(f"{MODELS}/"):
            _require_method(exchange, "GET")
            await self._tell_models(exchange)
        elif path in _STATE_PATHS:
            _require_method(exchange, "GET")
            await self._tell_state(exchange)
        else:
            raise ApiError(404, "unknown_path", f"the gateway has no {path[:200]}")

    async def _tell_state(self, exchange: Exchange) -> None:
        if exchange.path == "/ladder":
            if self.degradation is None:
                raise ApiError(404, "no_ladder", "the ladder of this gateway is off (gateway.ladder)")
            await exchange.respond(200, [JSON], self.degradation.history.build_page())
            return
        if exchange.path == "/metrics":
            kind = (b"content-type", b"text/plain; version=0.0.4; charset=utf-8")
            await exchange.respond(200, [kind], self.counters.build_page())
            return
        if exchange.path == "/readyz":
            if self.is_draining:
                raise _build_draining_error()
            if not self.pool.is_known:
                raise _build_unknown_error()
        await exchange.respond(200, [JSON], b'{"status":"ok"}')

    async def _tell_models(self, exchange: Exchange) -> None:
        self._keys.authenticate(exchange.headers.get(b"authorization"))
        name = exchange.path.removeprefix(MODELS).removeprefix("/")
        if name:
            # Answered from what the engines told: no path of the client's own is sent to one.
            model = self.pool.find_model(name)
            if model is None:
                raise ApiError(404, "model_not_found", f"no engine has the model {name[:200]!r}", param="model")
            await exchange.respond(200, [JSON], json.dumps(model, ensure_ascii=False).encode())
            return
        if not self.pool.is_known:
            raise _build_unknown_error()
        page = {"object": "list", "data": self.pool.list_models()}
        await exchange.respond(200, [JSON], json.dumps(page, ensure_ascii=False).encode())

    async def _generate(self, exchange: Exchange) -> None:
        config = self._config
        caller = self._keys.authenticate(exchange.headers.get(b"authorization"))
        arrived_s = self._clock()
        if self.is_draining:
            raise _build_draining_error()
        body = await exchange.read_body(config.max_body_bytes, config.body_timeout_s)
        generates = exchange.path in GENERATING
        inspected = inspect_body(body, config.max_choices, GENERATING.get(exchange.path, ()))
        degradation = self.degradation if generates else None
        rung = Rung.FULL if degradation is None else degradation.choose()
        if degradation is not None and rung in (Rung.SHORT, Rung.SMALL):
            shorter = degradation.shorten(inspected.body, rung)
            inspected = inspect_body(shorter, config.max_choices, GENERATING[exchange.path])
        grant = await self._admit(exchange, caller, inspected, generates=generates)
        passage = self._build_passage(exchange, caller, inspected, generates=generates)
        passage.rung = rung
        try:
            async with exchange.watch_client():
                if degradation is None:
                    await self._wait_and_pass(exchange, caller, passage)
                else:
                    await degradation.guide(exchange, passage, lambda: self._wait_and_pass(exchange, caller, passage))
        finally:
            grant.settle(passage.used_tokens)
            if passage.usage is not None:
                self.counters.count_tokens(caller.key.id, passage.usage)
            if passage.first_byte_s is not None:
                self.counters.first_byte.observe(passage.first_byte_s - arrived_s)

    async def _admit(self, exchange: Exchange, caller: Caller, inspected: Inspected, *, generates: bool) -> Grant:
        new_tokens = self._get_new_tokens(inspected) if generates else 0
        tokens = inspected.count_tokens(new_tokens, self.pool.max_model_tokens)
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
        return Passage(insert_fields(inspected.body, added), hides_usage, headers, inspected.is_streamed)

    async def _wait_and_pass(self, exchange: Exchange, caller: Caller, passage: Passage) -> None:
        timeout_s = self._read_timeout_s(exchange)
        asked_s = self._clock()
        per_unit_s: float | None = None
        try:
            async with asyncio.timeout(timeout_s):
                await self.turnstile.enter(caller.key.owner, caller.meter.limits.priority, timeout_s)
                entered_s = self._clock()
                self.counters.waiting.observe(entered_s - asked_s)
                if self.degradation is not None:
                    self.degradation.signals.queue_wait.observe(entered_s - asked_s)
                left_ms = int(1000 * (timeout_s - (entered_s - asked_s)))
                passage.headers["x-request-timeout-ms"] = str(left_ms)
                try:
                    await self._pass(exchange, passage)
                    if passage.usage is not None and passage.usage.total_tokens and passage.end_s is not None:
                        units = count_units(passage.usage.prompt_tokens, passage.usage.completion_tokens)
                        per_unit_s = (passage.end_s - passage.sent_s) / units
                finally:
                    self.turnstile.leave(per_unit_s)
        except TimeoutError:
            text = f"the answer was not complete within {timeout_s:g} s"
            raise ApiError(504, "deadline_exceeded", text, SERVER) from None

    async def _pass(self, exchange: Exchange, passage: Passage) -> None:
        relay = self._small_relay if passage.rung is Rung.SMALL else self._relay
        if relay is None:
            raise RuntimeError("the gateway was not started")
        await relay.forward(exchange, passage)

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


def _build_unknown_error() -> ApiError:
    return ApiError(503, "not_ready", "no engine has answered yet", SERVER, retry_after_s=1.0)


def _build_draining_error() -> ApiError:
    return ApiError(503, "draining", "the gateway is being stopped", SERVER, retry_after_s=1.0)
