"""Faults between a gateway and an engine, as values: what the fault proxy does to the requests that pass it."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

FAULT_PATH = "/faults"
"""Path of the proxy at which the fault is set (PUT), cleared (DELETE) and shown (GET)."""


FAULT_KEY_FILE = "fault_key"
"""In the folder of the proxy's step while it runs: the key of whoever may set a fault, readable by its owner alone."""


class FaultKind(StrEnum):
    """What happens to an answer."""

    NONE = "none"
    """It passes."""
    SLOW_FIRST_TOKEN = "slow_first_token"  # noqa: S105 - a token of a model
    """It begins late."""
    ERRORS = "errors"
    """It is an error of the server, without the shape of OpenAI's."""
    CUT = "cut"
    """It breaks off in its middle."""
    MALFORMED = "malformed"
    """An event in its middle is half of a JSON text."""
    STALL = "stall"
    """Nothing more of it comes until the fault ends, as when a network is cut in two."""
    RESET = "reset"
    """The connection is reset (RST) in its place."""
    REFUSED = "refused"
    """Connections are refused, and open ones end: nobody listens there for as long as the fault lasts."""
    LATENCY = "latency"
    """The request and every part of the answer are late by the same time, as over a long way."""
    LOSS = "loss"
    """Some parts of answers are late, and with them all that follows: TCP sends a lost packet again."""


_USUAL_DELAYS_S = {FaultKind.SLOW_FIRST_TOKEN: 10.0, FaultKind.LATENCY: 0.2, FaultKind.LOSS: 0.3}


class Fault(BaseModel):
    """A fault with its numbers."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: FaultKind = FaultKind.NONE
    delay_s: float | None = Field(
        default=None, gt=0, le=3600, description="Of slow_first_token (10), errors (0), latency (0.2), loss (0.3)."
    )
    status: int = Field(default=500, ge=500, le=599, description="Of errors.")
    after_chunks: int = Field(default=2, ge=0, le=10_000, description="Of cut, malformed and stall.")
    every: int = Field(
        default=1, ge=1, le=1000, description="Every how many requests are hit; of loss, every how many parts."
    )
    for_s: float = Field(
        default=600.0, gt=0, le=3600, description="It ends by itself after so long, whatever became of who set it."
    )

    @property
    def wait_s(self) -> float:
        """Seconds that something is late.

        >>> Fault(kind="latency").wait_s, Fault(kind="latency", delay_s=1).wait_s, Fault(kind="errors").wait_s
        (0.2, 1.0, 0.0)
        """
        return _USUAL_DELAYS_S.get(self.kind, 0.0) if self.delay_s is None else self.delay_s

    @property
    def hits_all(self) -> bool:
        """Whether it is of the way to the engine, and so of every request."""
        return self.kind in (FaultKind.LATENCY, FaultKind.LOSS)


GATEWAY_FAULT_FILE = "gateway-fault.json"
"""In the folder of a gateway's step: what is broken of its surroundings (:class:`GatewayFault`)."""


class GatewayFault(BaseModel):
    """What is broken of a gateway's surroundings, where ``gateway.faults`` allows it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    has_no_names: bool = Field(default=False, description="No name resolves, as while DNS is away.")
    has_no_search: bool = Field(default=False, description="No search in the knowledge base succeeds.")
    clock_jump_s: float = Field(
        default=0.0, ge=-1e6, le=1e6, description="So many seconds the wall clock is ahead, or back where negative."
    )
    for_s: float = Field(
        default=600.0, gt=0, le=3600, description="It ends by itself after so long, whatever became of who set it."
    )
