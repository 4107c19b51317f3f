"""What passes between a load test and its client processes: one JSON document a line, through their pipes."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Self


@dataclass(frozen=True)
class Line:
    """Base of what passes."""

    def encode(self) -> bytes:
        """Return the line."""
        return json.dumps(asdict(self), separators=(",", ":")).encode() + b"\n"

    @classmethod
    def decode(cls, line: bytes) -> Self:
        """Read a line."""
        return cls(**json.loads(line))


@dataclass(frozen=True)
class Assignment(Line):
    """What a client process is told once. The key passes here, and so in no argument and no variable.

    Attributes:
        zero_s: Start of the test on the monotonic clock, which all processes of a machine share.
        client: Number of the process.
        url: Where requests go, with the path.
        key: Sent as a bearer token; empty for none.
        timeout_s: For a whole request.
        body: Fields of every request.
        prompt_field: Name of the field for the prompt.
        is_traced: Whether each request names a trace of its own.
    """

    zero_s: float
    client: int
    url: str
    key: str = field(repr=False)
    timeout_s: float
    body: dict[str, Any]
    prompt_field: str
    is_traced: bool = False


@dataclass(frozen=True)
class RateOrder(Line):
    """The requests of one rate for one process.

    Attributes:
        load: Index of the rate.
        numbers: Of the requests within the rate.
        at_s: When each is sent, from the start of the rate.
        prompts: Which text each sends.
        max_tokens: Of each answer.
        texts: JSON of the prompts, by number.
        length_s: How long the rate is sent.
        settle_s: Time after it for open requests to end.
    """

    load: int
    numbers: list[int]
    at_s: list[float]
    prompts: list[int]
    max_tokens: list[int]
    texts: dict[str, str]
    length_s: float
    settle_s: float


@dataclass(frozen=True)
class Start(Line):
    """Tells a process, which has read its requests, when the rate starts; in seconds from the start of the test."""

    start_s: float


@dataclass(frozen=True)
class Sent(Line):
    """One request as the process saw it. Times are in seconds from the start of the test."""

    number: int
    scheduled_s: float
    sent_s: float
    first_token_s: float | None
    last_token_s: float | None
    ended_s: float
    status: int
    error: str
    error_text: str
    prompt_index: int
    prompt_tokens: int
    completion_tokens: int
    num_chunks: int
    itl_p50_s: float | None
    itl_p99_s: float | None
    itl_max_s: float | None
    rung: str = ""
    traceparent: str = ""
    sent_at_s: float = 0.0


@dataclass(frozen=True)
class Finished(Line):
    """Ends the requests of a rate.

    Attributes:
        num_sent: Lines before this one.
        seconds: Processor time of the process by second: its end, and the share of a core.
    """

    num_sent: int
    seconds: list[tuple[float, float]]
