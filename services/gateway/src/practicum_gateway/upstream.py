"""The engines: which there are, what they told of their models, which one gets a request. Waits for nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from practicum_core.stages.upstreams import UpstreamConfig
from practicum_gateway.breaker import BreakerSettings, BreakerState, CircuitBreaker, Outcome
from practicum_gateway.clock import Clock
from practicum_gateway.errors import SERVER, ApiError
from practicum_gateway.routing import Router, hash_text

Card = Mapping[str, Any]
"""What an engine tells of one of its models."""


class NoReplica(ApiError):  # noqa: N818 - told as an answer
    """No engine is ready for a request that one may be ready for later."""

    def __init__(self, service: str) -> None:
        super().__init__(503, "not_ready", f"no engine of {service} is ready yet", SERVER, retry_after_s=1.0)
        self.service = service


@dataclass(eq=False)
class Upstream:
    """One engine.

    Attributes:
        url: Its address, without /v1.
        service: Of which it is a replica.
        breaker: Whether requests are sent to it.
        num_open: Requests that it has now.
        models: By name, as it told them; ``None`` before it did, and while it takes no connections.
        names: Names that requests may use, each with the engine's own.
        look_again: Set where it shall be asked for its models at once.
    """

    url: str
    service: Service
    breaker: CircuitBreaker
    num_open: int = 0
    models: Mapping[str, Card] | None = None
    names: Mapping[str, str] = field(default_factory=dict)
    look_again: asyncio.Event = field(default_factory=asyncio.Event)
    seed: int = 0

    def __post_init__(self) -> None:
        self.seed = hash_text(self.url.encode())

    @property
    def is_known(self) -> bool:
        """Whether it has told its models."""
        return self.models is not None

    @property
    def maker(self) -> str:
        """Who made the engine, as it says of its first model; ``openai``, whose API it has, where it does not."""
        told = next(iter((self.models or {}).values()), {}).get("owned_by")
        return told if isinstance(told, str) else "openai"

    @property
    def weight(self) -> float:
        """Share of the requests: that of its service, divided by the replicas that are ready."""
        return self.service.config.weight / max(self.service.num_ready, 1)

    @property
    def canary_share(self) -> float:
        """Share of all requests that its service gets."""
        return self.service.config.canary_share

    @property
    def canary_name(self) -> str:
        """Name of its service."""
        return self.service.config.name


@dataclass(eq=False)
class Service:
    """Engines behind one entry of the configuration.

    Attributes:
        config: The entry.
        replicas: Its engines.
        cards: What any of them told last of its models; empty before.
        num_ready: Replicas that have told their models.
        num_sent: Requests that were sent to any of them, tries again included.
    """

    config: UpstreamConfig
    replicas: list[Upstream] = field(default_factory=list)
    cards: dict[str, Card] = field(default_factory=dict)
    num_ready: int = 0
    num_sent: int = 0

    @property
    def num_open(self) -> int:
        """Requests that its replicas have now."""
        return sum(one.num_open for one in self.replicas)

    def build_names(self, told: Mapping[str, Card]) -> dict[str, str]:
        """Build the names that requests may use for models that were told, each with the engine's own."""
        config = self.config
        own = {name: name for name in told if not config.models or name in config.models}
        return own | {alias: name for alias, name in config.aliases.items() if name in told}

    def may_serve(self, model: str | None) -> bool:
        """Whether a replica that is not ready yet may have a model."""
        config = self.config
        if model is None or model in config.aliases or model in config.models:
            return True
        # Nothing was told yet: it may have any.
        return not config.models and (not self.cards or model in self.cards)

    def list_cards(self) -> list[Card]:
        """List its models as clients see them, those of a service without replicas too."""
        cards = self.cards or {name: {"id": name, "object": "model"} for name in self.config.models}
        return [{**cards[own], "id": name} for name, own in self.build_names(cards).items()]


@dataclass
class Call:
    """A request to one engine, from its choice to its end.

    Attributes:
        upstream: The engine.
        is_probe: Whether it tries an engine that was left out.
        model: The engine's own name of the model, where the request used another.
        is_over: Whether its end was told.
    """

    upstream: Upstream
    is_probe: bool
    model: str | None = None
    is_over: bool = field(default=False)

    def end(self, outcome: Outcome) -> None:
        """Tell how it ended; only the first word counts."""
        if not self.is_over:
            self.is_over = True
            self.upstream.num_open -= 1
            self.upstream.breaker.record(outcome, is_probe=self.is_probe)


@dataclass(frozen=True)
class Route:
    """The engines that a model's requests may go to.

    Attributes:
        service: Whose demand such requests are.
        engines: Those that are ready; none while requests have to wait.
        max_model_tokens: Tokens of a prompt with its answer at most; ``None`` where an engine does not say.
    """

    service: str
    engines: tuple[Upstream, ...]
    max_model_tokens: int | None


class UpstreamPool:
    """All engines.

    Args:
        configs: Their services.
        settings: Of their breakers.
        max_ejected_share: Engines that breakers leave out at most; one always may be.
        clock: Monotonic seconds.
        holds: Whether requests wait for an engine where none is ready.

    Attributes:
        services: By name.
        has_choice: Whether there are several engines.
        listeners: Called whenever an engine, a model or a weight changed.
    """

    def __init__(
        self,
        configs: Sequence[UpstreamConfig],
        settings: BreakerSettings,
        max_ejected_share: float,
        clock: Clock,
        *,
        holds: bool = False,
    ) -> None:
        self.services: dict[str, Service] = {}
        self.has_choice = False
        self.listeners: list[Callable[[], None]] = []
        self._settings = settings
        self._max_ejected_share = max_ejected_share
        self._clock = clock
        self._holds = holds
        self._router = Router()
        self._routes: dict[str | None, Route] = {}
        self.apply(configs)

    @property
    def upstreams(self) -> list[Upstream]:
        """All engines."""
        return [one for service in self.services.values() for one in service.replicas]

    @property
    def is_known(self) -> bool:
        """Whether an engine is ready."""
        return any(service.num_ready for service in self.services.values())

    def apply(self, configs: Sequence[UpstreamConfig]) -> None:
        """Take other services, weights or names. An engine that stays keeps its breaker and its requests."""
        before = self.services
        self.services = {}
        for config in configs:
            service = before.get(config.name)
            if service is None or (service.config.url, service.config.discover) != (config.url, config.discover):
                service = Service(config)
                if not config.discover:
                    service.replicas = [self._build_upstream(config.url, service)]
            service.config = config
            self.services[config.name] = service
        self._change()

    def set_replicas(self, service: Service, urls: Sequence[str]) -> None:
        """Take the addresses of a service's replicas. Requests at one that is gone go on."""
        there = {one.url: one for one in service.replicas}
        if set(urls) != set(there):
            service.replicas = [there.get(url) or self._build_upstream(url, service) for url in urls]
            self._change()

    def learn(self, upstream: Upstream, models: Mapping[str, Card] | None) -> None:
        """Take what an engine told of its models; ``None`` where it can no longer be reached."""
        if models != upstream.models:
            upstream.models = models
            if models is not None:
                upstream.service.cards = dict(models)
            self._change()

    def note_unreachable(self, upstream: Upstream) -> None:
        """Pass over an engine that took no connection until it answers, where requests can wait or go elsewhere."""
        if self._holds or sum(service.num_ready for service in self.services.values()) > 1:
            self.learn(upstream, None)
        upstream.look_again.set()

    def count_left_out(self) -> int:
        """Count the engines that their breakers leave out."""
        return sum(not one.breaker.may_pass for one in self.upstreams)

    def find_model(self, name: str) -> Card | None:
        """Return what an engine told of a model; ``None`` where none has it."""
        return next((card for card in self.list_models() if card["id"] == name), None)

    def list_models(self) -> list[Card]:
        """List what the engines told of their models, each name once."""
        found: dict[str, Card] = {}
        for service in self.services.values():
            for card in service.list_cards():
                found.setdefault(card["id"], card)
        return list(found.values())

    def find_route(self, model: str | None) -> Route:
        """Find the engines for a model; for ``None``, all.

        Raises:
            ApiError: No engine has it.
        """
        route = self._routes.get(model)
        if route is None:
            route = self._build_route(model)
            if route.engines:
                # Only names that engines have: clients may send any.
                self._routes[model] = route
        return route

    def call(self, model: str | None = None, key: int | None = None, avoided: Sequence[Upstream] = ()) -> Call:
        """Choose an engine, those that were tried before last.

        Args:
            model: Name in the request.
            key: Hash of how the prompt begins.
            avoided: Engines that were tried.

        Raises:
            NoReplica: None is ready.
            ApiError: No engine has the model, or breakers leave out all that do.
        """
        route = self.find_route(model)
        if not route.engines:
            raise NoReplica(route.service)
        engines = self._list_allowed(route.engines)
        if avoided:
            engines = [one for one in engines if one not in avoided] or engines
        chosen = self._router.choose(engines, key)
        chosen.num_open += 1
        chosen.service.num_sent += 1
        own = chosen.names.get(model) if model is not None else None
        return Call(chosen, chosen.breaker.acquire(), None if own == model else own)

    def _list_allowed(self, engines: Sequence[Upstream]) -> Sequence[Upstream]:
        passing = [one for one in engines if one.breaker.may_pass]
        if len(passing) == len(engines):
            return passing
        num_ejected = sum(one.breaker.state is BreakerState.OPEN for one in engines)
        if num_ejected > max(int(self._max_ejected_share * len(engines)), 1):
            return engines
        if not passing:
            wait_s = min(one.breaker.wait_s for one in engines)
            text = "the engines failed too often and are left out for a moment"
            raise ApiError(503, "no_upstream", text, SERVER, retry_after_s=max(wait_s, 0.1))
        return passing

    def _build_route(self, model: str | None) -> Route:
        able = [one for one in self._iter_ready() if model is None or model in one.names]
        if able:
            stable = [one for one in able if not one.canary_share] or able
            return Route(stable[0].service.config.name, tuple(able), _find_longest(able, model))
        for service in self.services.values():
            if service.config.gets_requests and not service.num_ready and service.may_serve(model):
                return Route(service.config.name, (), None)
        shown = "" if model is None else model[:200]
        raise ApiError(404, "model_not_found", f"no engine has the model {shown!r}", param="model")

    def _iter_ready(self) -> Iterator[Upstream]:
        for service in self.services.values():
            if service.config.gets_requests:
                yield from (one for one in service.replicas if one.is_known)

    def _build_upstream(self, url: str, service: Service) -> Upstream:
        return Upstream(url, service, CircuitBreaker(self._settings, self._clock))

    def _change(self) -> None:
        self._routes.clear()
        self.has_choice = len(self.upstreams) > 1
        for service in self.services.values():
            service.num_ready = sum(one.is_known for one in service.replicas)
            for one in service.replicas:
                one.names = service.build_names(one.models or {})
        for listener in self.listeners:
            listener()


def _find_longest(engines: Sequence[Upstream], model: str | None) -> int | None:
    """Return the tokens of a prompt with its answer at most; ``None`` where an engine does not say."""
    lengths = []
    for one in engines:
        models = one.models or {}
        cards = models.values() if model is None else [models[one.names[model]]]
        lengths += [card.get("max_model_len") for card in cards]
    known = [length for length in lengths if isinstance(length, int)]
    return max(known) if known and len(known) == len(lengths) else None


def read_models(document: object) -> dict[str, Card]:
    """Read a list of models. An adapter, of which vLLM tells no length, has that of its base model.

    >>> read_models({"data": [{"id": "m", "max_model_len": 2048}]})
    {'m': {'id': 'm', 'max_model_len': 2048}}
    >>> read_models({"data": [{"id": "m", "max_model_len": 2048}, {"id": "a", "parent": "m"}]})["a"]["max_model_len"]
    2048
    """
    listed = document.get("data") if isinstance(document, Mapping) else None
    models = listed if isinstance(listed, list) else []
    cards = {str(model["id"]): model for model in models if isinstance(model, Mapping) and "id" in model}
    return {name: _add_length(card, cards) for name, card in cards.items()}


def _add_length(card: Card, cards: Mapping[str, Card]) -> Card:
    base = cards.get(str(card.get("parent")))
    if base is None or card.get("max_model_len") is not None:
        return card
    return {**card, "max_model_len": base.get("max_model_len")}
