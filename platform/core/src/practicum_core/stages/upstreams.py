"""The engines behind the gateway: where they are, which models they serve, which share of the requests each gets."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

ModelName = Annotated[str, StringConstraints(min_length=1, max_length=512)]


class UpstreamConfig(BaseModel):
    """One service of engines: a single one, or all the replicas behind one name of the cluster's DNS."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    name: str = Field(
        pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$", description="What metrics and /scaling/NAME call it."
    )
    url: str = Field(description="Address without /v1, or step:NAME.")
    weight: float = Field(
        default=1.0, ge=0, le=10**6, description="Share of the requests against the weights of the others; 0: none."
    )
    canary_share: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="Share of the requests for its models that it gets; others get the rest.",
    )
    models: tuple[ModelName, ...] = Field(default=(), description="Models that it serves; else those that it tells.")
    aliases: dict[ModelName, ModelName] = Field(
        default_factory=dict, description="Names that clients may use, each with the engine's own name of that model."
    )
    discover: bool = Field(
        default=False,
        description="Whether every address that DNS has for the host is an engine, as behind a headless Service.",
    )

    @field_validator("url")
    @classmethod
    def _check_url(cls, url: str) -> str:
        if url.startswith("step:"):
            return url
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("give an address that starts with http:// or https://, or step:NAME")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError("give an address without user, password, query and fragment")
        return url.rstrip("/").removesuffix("/v1")

    @model_validator(mode="after")
    def _check_discovery(self) -> UpstreamConfig:
        if self.discover and not self.url.startswith(("http://", "step:")):
            # The certificate of a TLS server names its host and not its address.
            raise ValueError("discover needs an address that starts with http://")
        return self

    @property
    def gets_requests(self) -> bool:
        """Whether any request is meant for it."""
        return self.weight > 0 or self.canary_share > 0


class UpstreamTable(BaseModel):
    """All services of engines; also the form of the file that changes them while the gateway runs."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    upstreams: tuple[UpstreamConfig, ...] = Field(min_length=1, description="Each with a name of its own.")

    @model_validator(mode="after")
    def _check_table(self) -> UpstreamTable:
        check_upstreams(self.upstreams)
        return self


def read_upstream(text: str, number: int) -> dict[str, object]:
    """Read an upstream in one line, as options of a week job are: an address, then ``FIELD=VALUE`` words.

    Args:
        text: The line; models and aliases (``NAME:OWN_NAME``) are separated by commas.
        number: Its place, from 0, for its name where the line has none.

    Raises:
        ValueError: A word is no ``FIELD=VALUE``.

    >>> read_upstream("step:serve weight=3", 0)
    {'name': 'engine', 'url': 'step:serve', 'weight': '3'}
    >>> read_upstream("http://10.0.0.5:8000 name=new canary_share=0.1 aliases=tickets:v2", 1)
    {'name': 'new', 'url': 'http://10.0.0.5:8000', 'canary_share': '0.1', 'aliases': {'tickets': 'v2'}}
    """
    url, *words = text.split()
    fields: dict[str, object] = {"name": "engine" if number == 0 else f"engine-{number}", "url": url}
    for word in words:
        field, sign, value = word.partition("=")
        if not sign:
            raise ValueError(f"expected ADDRESS FIELD=VALUE ..., got {word!r}")
        if field == "models":
            fields[field] = value.split(",")
        elif field == "aliases":
            pairs = [pair.partition(":") for pair in value.split(",")]
            fields[field] = {alias: own for alias, _, own in pairs}
        else:
            fields[field] = value
    return fields


def check_upstreams(upstreams: tuple[UpstreamConfig, ...]) -> None:
    """Check what no upstream says alone.

    Raises:
        ValueError: A name is there twice, or canaries ask for more than all requests.
    """
    names = [one.name for one in upstreams]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"upstreams: two are called {', '.join(twice)}")
    if sum(one.canary_share for one in upstreams) > 1:
        raise ValueError("upstreams: the shares of the canaries are more than 1 together")
