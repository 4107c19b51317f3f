"""The engines: connections to each, its breaker, what it said of its models, and the choice between several."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from practicum_gateway.breaker import BreakerSettings, BreakerState, CircuitBreaker, Outcome
from practicum_gateway.clock import Clock
from practicum_gateway.errors import SERVER, ApiError

_ASK_MODELS_S = 5.0
_ASK_UNTIL_KNOWN_S = 0.25
_MAX_MODELS_BYTES = 4 << 20
_LOG = logging.getLogger(__name__)


@dataclass
class Upstream:
    """One engine.

    Attributes:
        url: Its address, without /v1.
        breaker: Whether requests are sent to it.
        num_open: Requests that it has now.
        models: By name, as it told them; ``None`` before it did.
    """

    url: str
    breaker: CircuitBreaker
    num_open: int = 0
    models: Mapping[str, Mapping[str, Any]] | None = None

    @property
    def is_known(self) -> bool:
        """Whether it has told its models."""
        return self.models is not None

    @property
    def max_model_tokens(self) -> int | None:
        """Tokens of a prompt with its answer, of the largest of its models; ``None`` where it does not say."""
        lengths = [model.get("max_model_len") for model in (self.models or {}).values()]
        known = [length for length in lengths if isinstance(length, int)]
        return max(known) if known and len(known) == len(lengths) else None


@dataclass
class Call:
    """A request to one engine, from its choice to its end."""

    upstream: Upstream
    is_probe: bool
    is_over: bool = field(default=False)

    def end(self, outcome: Outcome) -> None:
        """Tell how it ended; only the first word counts."""
        if not self.is_over:
            self.is_over = True
            self.upstream.num_open -= 1
            self.upstream.breaker.record(outcome, is_probe=self.is_probe)


class UpstreamPool:
    """All engines with the same models.

    Args:
        urls: Their addresses.
        settings: Of their breakers.
        max_ejected_share: Engines that breakers leave out at most; one always may be.
        clock: Monotonic seconds.
    """

    def __init__(self, urls: Sequence[str], settings: BreakerSettings, max_ejected_share: float, clock: Clock) -> None:
        self.upstreams = [Upstream(url.rstrip("/"), CircuitBreaker(settings, clock)) for url in urls]
        self._max_ejected = max(int(max_ejected_share * len(self.upstreams)), 1)

    @property
    def max_model_tokens(self) -> int | None:
        """Tokens of a prompt with its answer at most; ``None`` where an engine does not say."""
        limits = [upstream.max_model_tokens for upstream in self.upstreams if upstream.is_known]
        known = [limit for limit in limits if limit is not None]
        return max(known) if known and len(known) == len(limits) else None

    @property
    def is_known(self) -> bool:
        """Whether an engine has told its models."""
        return any(upstream.is_known for upstream in self.upstreams)

    def count_left_out(self) -> int:
        """Count the engines that their breakers leave out."""
        return sum(not one.breaker.may_pass for one in self.upstreams)

    def find_model(self, name: str) -> Mapping[str, Any] | None:
        """Return what an engine told of a model; ``None`` where none has it."""
        return next((one.models[name] for one in self.upstreams if one.models and name in one.models), None)

    def list_models(self) -> list[Mapping[str, Any]]:
        """List what the engines told of their models, each name once."""
        found: dict[str, Mapping[str, Any]] = {}
        for one in self.upstreams:
            found = {**(one.models or {}), **found}
        return list(found.values())

    def call(self, avoided: Sequence[Upstream] = ()) -> Call:
        """Choose the engine with the fewest open requests, those that were tried before last.

        Raises:
            ApiError: Breakers leave out every engine.
        """
        ejected = [one for one in self.upstreams if one.breaker.state is BreakerState.OPEN]
        is_panic = len(ejected) > self._max_ejected
        allowed = [one for one in self.upstreams if is_panic or one.breaker.may_pass]
        if not allowed:
            wait_s = min(one.breaker.wait_s for one in self.upstreams)
            raise ApiError(
                503,
                "no_upstream",
                "the engines failed too often and are left out for a moment",
                SERVER,
                retry_after_s=max(wait_s, 0.1),
            )
        chosen = min(allowed, key=lambda one: (one in avoided, one.num_open))
        chosen.num_open += 1
        return Call(chosen, chosen.breaker.acquire())


async def watch_models(session: aiohttp.ClientSession, upstream: Upstream) -> None:
    """Ask an engine for its models, again and again, until cancelled."""
    while True:
        try:
            address = f"{upstream.url}/v1/models"
            async with asyncio.timeout(_ASK_MODELS_S), session.get(address, allow_redirects=False) as response:
                body = await _read_bounded(response)
                if response.status == 200:  # noqa: PLR2004 - HTTP's own number
                    upstream.models = read_models(json.loads(body))
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError, RecursionError) as error:
            _LOG.debug("%s did not tell its models: %s", upstream.url, error)
        await asyncio.sleep(_ASK_MODELS_S if upstream.is_known else _ASK_UNTIL_KNOWN_S)


async def _read_bounded(response: aiohttp.ClientResponse) -> bytes:
    """Read a body to its end, however many packets it comes in.

    Raises:
        ValueError: It is too long.
    """
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > _MAX_MODELS_BYTES:
            raise ValueError(f"the models are longer than {_MAX_MODELS_BYTES} bytes")
    return bytes(body)


def read_models(document: object) -> dict[str, Mapping[str, Any]]:
    """Read a list of models.

    >>> read_models({"data": [{"id": "m", "max_model_len": 2048}]})
    {'m': {'id': 'm', 'max_model_len': 2048}}
    """
    listed = document.get("data") if isinstance(document, Mapping) else None
    models = listed if isinstance(listed, list) else []
    return {str(model["id"]): model for model in models if isinstance(model, Mapping) and "id" in model}
