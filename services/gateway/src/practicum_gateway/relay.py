"""The way of a request to an engine and of its answer back: sent, tried again before its first byte, streamed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field

import aiohttp

from practicum_core.rungs import Rung
from practicum_gateway.breaker import Outcome
from practicum_gateway.clock import Clock
from practicum_gateway.errors import INVALID_REQUEST, SERVER, ApiError
from practicum_gateway.event_stream import EventStream, Usage, has_error_shape, read_body_usage
from practicum_gateway.exchange import JSON, Exchange
from practicum_gateway.inspection import insert_fields
from practicum_gateway.retries import RetryBudget
from practicum_gateway.upstream import Call, Upstream, UpstreamPool

_MAX_TRIES = 3
_LAST_BYTES_S = 0.5
_MAX_ANSWER_BYTES = 64 << 20
_OK, _BAD_REQUEST, _TOO_MANY, _FAILED, _BUSY = 200, 400, 429, 500, 503
_GATEWAY_FAULTS = (502, 503, 504)
_LOST = (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError, ConnectionError)


@dataclass
class Passage:
    """What is known of a request at the engines.

    Attributes:
        body: What is sent.
        hides_usage: Whether the gateway asked for usage that the client did not ask for.
        headers: What is sent with it.
        is_streamed: Whether the answer is wanted in pieces.
        rung: Of the ladder, for which it is sent.
        model: Name in the request; ``None`` where it names none.
        key: Hash of how the prompt begins; ``None`` where that shall not count.
        slow_after_s: Seconds at an engine after which the first byte of a stream, or an answer in one piece, is late.
        is_sent: Whether an engine may have worked on it.
        usage: As the engine counted it; ``None`` before it said so.
        sent_s: When it was sent to the engine that answered.
        first_byte_s: When the first byte of a streamed answer came.
        end_s: When the answer was complete.
    """

    body: bytes
    hides_usage: bool
    headers: dict[str, str] = field(default_factory=dict)
    is_streamed: bool = False
    rung: Rung = Rung.FULL
    model: str | None = None
    key: int | None = None
    slow_after_s: float = 60.0
    is_sent: bool = False
    usage: Usage | None = None
    sent_s: float = 0.0
    first_byte_s: float | None = None
    end_s: float | None = None

    def list_facts(self) -> dict[str, object]:
        """List what a log says of it; durations are seconds from its sending."""
        facts: dict[str, object] = {"rung": str(self.rung), "is_streamed": self.is_streamed}
        if self.first_byte_s is not None:
            facts["first_byte_s"] = round(self.first_byte_s - self.sent_s, 6)
        if self.end_s is not None:
            facts["engine_s"] = round(self.end_s - self.sent_s, 6)
        if self.usage is not None:
            facts |= {
                "prompt_tokens": self.usage.prompt_tokens,
                "completion_tokens": self.usage.completion_tokens,
            }
        return facts

    @property
    def used_tokens(self) -> int | None:
        """Tokens that it used; ``None`` where nobody knows."""
        if self.usage is not None:
            return self.usage.total_tokens
        return None if self.is_sent else 0


class _Unanswered(Exception):  # noqa: N818 - tried again, or told as its ApiError
    """An engine gave no answer that could go to the client.

    Args:
        error: What the client is told where no other engine is tried.
        is_reached: Whether the engine may have seen the request.
        is_lost: Whether its connection was lost: it was closed while it was idle, or the engine was stopped.
    """

    def __init__(self, error: ApiError, *, is_reached: bool = True, is_lost: bool = False) -> None:
        super().__init__(str(error))
        self.error = error
        self.is_reached = is_reached
        self.is_lost = is_lost


class Relay:
    """Sends requests to engines.

    Args:
        session: Connections.
        pool: The engines.
        budget: Of retries.
        clock: Monotonic seconds.
        on_retry: Called for each retry.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        pool: UpstreamPool,
        budget: RetryBudget,
        clock: Clock,
        on_retry: Callable[[], None],
    ) -> None:
        self._session = session
        self._pool = pool
        self._budget = budget
        self._clock = clock
        self._on_retry = on_retry

    async def forward(self, exchange: Exchange, passage: Passage) -> None:
        """Have a request answered.

        Raises:
            NoReplica: No engine is ready for it, and none has seen it.
            ApiError: No engine answered it, or one broke off.
        """
        tried: list[Upstream] = []
        self._budget.num_open += 1
        num_retries = 0
        try:
            while True:
                call = self._pool.call(passage.model, passage.key, tried)
                try:
                    await self._trace(exchange, passage, call)
                except _Unanswered as failure:
                    # An engine that is not there costs the others nothing, and is not chosen again.
                    if failure.is_reached or call.upstream.is_known:
                        tried.append(call.upstream)
                        # An engine that is stopped loses all that it has at once, and none of it is load any more.
                        is_free = failure.is_lost
                        if len(tried) >= _MAX_TRIES or not (is_free or self._budget.acquire()):
                            raise failure.error from failure
                        num_retries += not is_free
                    self._on_retry()
                else:
                    return
                finally:
                    call.end(Outcome.UNCOUNTED)
        finally:
            self._budget.num_open -= 1
            self._budget.num_retries -= num_retries

    async def _trace(self, exchange: Exchange, passage: Passage, call: Call) -> None:
        """Try an engine, as a span of the request's trace where it has one."""
        if exchange.trace is None:
            await self._try(exchange, passage, call)
            return
        with exchange.trace.attempt(call.upstream.url, passage.model or "", call.upstream.maker) as attempt:
            passage.headers.update(attempt.headers)
            try:
                await self._try(exchange, passage, call)
            finally:
                first_s = None if passage.first_byte_s is None else passage.first_byte_s - passage.sent_s
                attempt.note_answer(first_s, passage.usage)

    async def _try(self, exchange: Exchange, passage: Passage, call: Call) -> None:
        passage.sent_s = self._clock()
        was_sent = passage.is_sent
        # Said before the answer begins: that of one in one piece begins at its end, and its client may leave before.
        passage.is_sent = True
        try:
            async with self._session.request(
                exchange.method,
                call.upstream.url + exchange.path,
                data=_build_body(passage.body, call.model) or None,
                headers=passage.headers,
                allow_redirects=False,
            ) as response:
                await self._answer(exchange, passage, call, response)
        except asyncio.CancelledError:
            # Whoever gave up, client or deadline: an engine that hangs would have no other end.
            if passage.first_byte_s is None and _is_slow(passage, self._clock()):
                call.end(Outcome.SLOW)
            raise
        except _Unanswered:
            passage.is_sent = was_sent
            raise
        except (aiohttp.ClientError, OSError) as error:
            is_reached = not isinstance(error, (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError))
            if not is_reached:
                passage.is_sent = was_sent
                self._pool.note_unreachable(call.upstream)
            # One that is not there any more, as after a scaling, has not failed.
            call.end(Outcome.FAILED if is_reached or call.upstream.is_known else Outcome.UNCOUNTED)
            if exchange.status:
                raise ApiError(
                    502, "upstream_broke_off", "the engine broke off before its answer was complete", SERVER
                ) from error
            raise _Unanswered(
                ApiError(502, "upstream_unreachable", "the engine did not answer", SERVER, retry_after_s=1.0),
                is_reached=is_reached,
                is_lost=isinstance(error, _LOST),
            ) from error

    async def _answer(self, exchange: Exchange, passage: Passage, call: Call, response: aiohttp.ClientResponse) -> None:
        kind = response.content_type
        has_failed = False
        if response.status == _OK and kind == "text/event-stream":
            has_failed = await self._stream(exchange, passage, response)
        else:
            body = await _read(response)
            if response.status in _GATEWAY_FAULTS:
                call.end(Outcome.UNCOUNTED if response.status == _BUSY else Outcome.FAILED)
                raise _Unanswered(_read_fault(response, body))
            if not kind.endswith("json"):
                call.end(Outcome.FAILED)
                text = f"the engine answered {response.status} with {kind or 'no content type'} instead of JSON"
                raise ApiError(502, "upstream_invalid", text, SERVER)
            passage.usage = read_body_usage(body) if response.status < _BAD_REQUEST else Usage(0, 0)
            if response.status >= _BAD_REQUEST and not has_error_shape(body):
                call.end(_judge(passage, response.status))
                raise _build_refusal(response, body)
            passage.end_s = self._clock()
            await exchange.respond(response.status, [JSON, *_list_kept_headers(response)], body)
        call.end(Outcome.FAILED if has_failed else _judge(passage, response.status))

    async def _stream(self, exchange: Exchange, passage: Passage, response: aiohttp.ClientResponse) -> bool:
        """Pass events on as they come; return whether the engine told a failure of its own among them."""
        events = EventStream(hides_usage=passage.hides_usage)
        rest = b""
        try:
            async for chunk in response.content.iter_any():
                if passage.first_byte_s is None:
                    passage.first_byte_s = self._clock()
                    await exchange.start(_OK, [(b"content-type", b"text/event-stream; charset=utf-8")])
                ready = events.feed(chunk)
                if events.is_complete:
                    # Clients close the connection at this event: it must be the end for them and for the gateway.
                    await exchange.end(ready)
                    break
                if ready:
                    await exchange.write(ready)
            if not exchange.is_ended:
                rest = events.finish()
        except ValueError as error:
            raise aiohttp.ClientPayloadError(str(error)) from error
        finally:
            # An engine may tell its usage with every event; that of a stream which broke off is not all of it.
            passage.usage = events.usage if events.is_complete else None
        if not (exchange.status and events.is_complete):
            raise aiohttp.ClientPayloadError("the answer has no events, or ends without the last one")
        passage.end_s = self._clock()
        if exchange.is_ended:
            await _read_to_end(response)
        else:
            await exchange.end(rest)
        return events.has_failed


def _judge(passage: Passage, status: int) -> Outcome:
    if status >= _FAILED:
        return Outcome.FAILED
    if status == _TOO_MANY:
        return Outcome.UNCOUNTED
    came_s = passage.end_s if passage.first_byte_s is None else passage.first_byte_s
    return Outcome.SLOW if came_s is not None and _is_slow(passage, came_s) else Outcome.GOOD


def _is_slow(passage: Passage, came_s: float) -> bool:
    return came_s - passage.sent_s > passage.slow_after_s


def _build_body(body: bytes, model: str | None) -> bytes:
    """Put in the engine's own name of the model, where clients use another; readers of JSON take the last of two."""
    return body if model is None else insert_fields(body, {"model": model})


async def _read_to_end(response: aiohttp.ClientResponse) -> None:
    """Read what follows the last event, so that the connection can be used again, unless that takes long."""
    with contextlib.suppress(aiohttp.ClientError, TimeoutError):
        async with asyncio.timeout(_LAST_BYTES_S):
            while not response.content.at_eof():
                await response.content.readany()


async def _read(response: aiohttp.ClientResponse) -> bytes:
    parts: list[bytes] = []
    num_bytes = 0
    async for chunk in response.content.iter_any():
        num_bytes += len(chunk)
        if num_bytes > _MAX_ANSWER_BYTES:
            raise aiohttp.ClientPayloadError(f"the answer is longer than {_MAX_ANSWER_BYTES} bytes")
        parts.append(chunk)
    return b"".join(parts)


def _build_refusal(response: aiohttp.ClientResponse, body: bytes) -> ApiError:
    """Give an engine's refusal OpenAI's shape, as that of a path which it does not have."""
    text = f"the engine answered {response.status}: {body[:300].decode(errors='replace')}"
    kind = SERVER if response.status >= _FAILED else INVALID_REQUEST
    return ApiError(response.status, "upstream_refused", text, kind)


def _read_fault(response: aiohttp.ClientResponse, body: bytes) -> ApiError:
    """Build the error of an engine that could not answer: busy, starting, or a proxy's page before it."""
    wait = response.headers.get("retry-after", "")
    text = f"the engine answered {response.status}"
    if response.content_type.endswith("json"):
        text = f"{text}: {body[:300].decode(errors='replace')}"
    code = "upstream_busy" if response.status == _BUSY else "upstream_failed"
    return ApiError(response.status, code, text, SERVER, retry_after_s=float(wait) if wait.isdigit() else 1.0)


def _list_kept_headers(response: aiohttp.ClientResponse) -> list[tuple[bytes, bytes]]:
    wait = response.headers.get("retry-after")
    return [(b"retry-after", wait.encode("latin-1"))] if wait else []
