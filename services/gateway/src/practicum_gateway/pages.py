"""What the gateway tells of itself: its state, metrics, the engines' models, the demand that an autoscaler reads."""

from __future__ import annotations

import asyncio
import json

import aiohttp

from practicum_gateway.answering import Answering
from practicum_gateway.counters import Counters
from practicum_gateway.dispatch import Dispatcher
from practicum_gateway.errors import SERVER, ApiError
from practicum_gateway.exchange import JSON, Exchange
from practicum_gateway.ladder_history import LadderHistory
from practicum_gateway.scaling import EngineLoad, build_scaling_document, read_engine_load
from practicum_gateway.upstream import Upstream, UpstreamPool

MODELS = "/v1/models"
SCALING = "/scaling/"
STATE_PATHS = ("/healthz", "/startupz", "/readyz", "/health", "/metrics", "/ladder")
"""``/health`` is vLLM's name of ``/readyz``, which guidellm asks before it begins."""
_ASK_LOAD_S = 1.0
_MAX_METRICS_BYTES = 8 << 20


class Pages:
    """Answers questions about the gateway.

    Args:
        pool: The engines.
        counters: For Prometheus.
        dispatcher: Knows the requests that wait.
        answering: Says whether the engines answer.
        needs_engine: Whether it is not ready without one; one that holds requests is, or nobody could wake an engine.

    Attributes:
        is_draining: Whether the gateway is being stopped.
        ladder: What became of the ladder; ``None`` where it is off.
        session: Connections to the engines.
    """

    def __init__(
        self,
        pool: UpstreamPool,
        counters: Counters,
        dispatcher: Dispatcher,
        answering: Answering,
        *,
        needs_engine: bool,
    ) -> None:
        self._pool = pool
        self._answering = answering
        self._counters = counters
        self._dispatcher = dispatcher
        self._needs_engine = needs_engine
        self._was_ready = False
        self.is_draining = False
        self.ladder: LadderHistory | None = None
        self.session: aiohttp.ClientSession | None = None

    async def tell_state(self, exchange: Exchange) -> None:
        """Answer one of :data:`STATE_PATHS`.

        Raises:
            ApiError: It is not ready, or has no ladder.
        """
        if exchange.path == "/ladder":
            if self.ladder is None:
                raise ApiError(404, "no_ladder", "the ladder of this gateway is off (gateway.ladder)")
            await exchange.respond(200, [JSON], self.ladder.build_page())
            return
        if exchange.path == "/metrics":
            kind = (b"content-type", b"text/plain; version=0.0.4; charset=utf-8")
            await exchange.respond(200, [kind], self._counters.build_page())
            return
        if exchange.path in ("/readyz", "/health"):
            if self.is_draining:
                raise build_draining_error()
            await self._require_answers()
        await exchange.respond(200, [JSON], b'{"status":"ok"}')

    async def _require_answers(self) -> None:
        """Check that clients would get answers: from an engine, or from a lower rung of the ladder.

        Raises:
            ApiError: They would not.
        """
        # With a ladder, a gateway that was ready answers without an engine too, and must not be taken out.
        if not self._needs_engine or (self.ladder is not None and self._was_ready):
            return
        if not self._pool.is_known:
            raise _build_unknown_error()
        if not await self._answering.check(self._get_session()):
            text = "the engines tell their models, and give no answer"
            raise ApiError(503, "not_answering", text, SERVER, retry_after_s=1.0)
        self._was_ready = True

    def _get_session(self) -> aiohttp.ClientSession:
        if self.session is None:
            raise RuntimeError("the gateway was not started")
        return self.session

    async def tell_models(self, exchange: Exchange) -> None:
        """Answer ``/v1/models`` from what the engines told: no path of the client's own is sent to one.

        Raises:
            ApiError: There is no such model, or nobody knows yet.
        """
        name = exchange.path.removeprefix(MODELS).removeprefix("/")
        models = self._pool.list_models()
        if not models:
            raise _build_unknown_error()
        if not name:
            await _respond_json(exchange, {"object": "list", "data": models})
            return
        model = self._pool.find_model(name)
        if model is None:
            raise ApiError(404, "model_not_found", f"no engine has the model {name[:200]!r}", param="model")
        await _respond_json(exchange, model)

    async def tell_demand(self, exchange: Exchange) -> None:
        """Answer ``/scaling/NAME``: how much waits and runs for a service of engines, for an autoscaler.

        Raises:
            ApiError: There is no such service.
        """
        name = exchange.path.removeprefix(SCALING)
        service = self._pool.services.get(name)
        if service is None:
            raise ApiError(404, "unknown_service", f"no upstream is called {name[:200]!r}")
        loads = await asyncio.gather(*(self._ask_load(one) for one in service.replicas if one.is_known))
        demand = self._dispatcher.count_demand(service)
        document = build_scaling_document(demand, [load for load in loads if load is not None], service.num_ready)
        await _respond_json(exchange, {"service": name, **document})

    async def _ask_load(self, upstream: Upstream) -> EngineLoad | None:
        try:
            async with (
                asyncio.timeout(_ASK_LOAD_S),
                self._get_session().get(f"{upstream.url}/metrics", allow_redirects=False) as response,
            ):
                page = await response.content.read(_MAX_METRICS_BYTES)
                while not response.content.at_eof() and len(page) < _MAX_METRICS_BYTES:
                    page += await response.content.readany()
        except (aiohttp.ClientError, OSError, TimeoutError):
            return None
        return read_engine_load(page.decode(errors="replace")) if response.ok else None


async def _respond_json(exchange: Exchange, document: object) -> None:
    await exchange.respond(200, [JSON], json.dumps(document, ensure_ascii=False).encode())


def _build_unknown_error() -> ApiError:
    return ApiError(503, "not_ready", "no engine has answered yet", SERVER, retry_after_s=1.0)


def build_draining_error() -> ApiError:
    """Build the error of a gateway that is being stopped."""
    return ApiError(503, "draining", "the gateway is being stopped", SERVER, retry_after_s=1.0)
