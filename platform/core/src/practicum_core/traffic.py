"""Recorded traffic: what a gateway writes of each request, and the fault that was made meanwhile.

A trace is JSON lines: a header, then requests and events in the order in which they ended or happened. After a restart
of the gateway another header follows. No line has what was asked, unless bodies were recorded by consent.
"""

from __future__ import annotations

import hashlib
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from practicum_core.rungs import RungChange

TRAFFIC = "traffic.jsonl"
"""Name of the file of a trace."""
RECORDING = "recording.json"
"""Name of the file beside it that says what was done to the service meanwhile."""
TRAFFIC_PATH = "/traffic"
"""Path of the gateway that gives the lines since a moment (``?since=SECONDS``, since the epoch)."""
TRAFFIC_KEY = "traffic_key"
"""File beside a trace with the key of its hashes, while its gateway runs and where no step can fetch from it."""
HASH_KEY_BYTES = 32
_HASH_BYTES = 8
CLIENT_GONE = 499
"""What stands for the status of a request whose client went away."""
_FIRST_FAULT = 400


def hash_in_trace(content: bytes, key: bytes) -> str:
    """Return what stands in a trace for a prompt, or for the id of a key: 16 digits of BLAKE2b with a key of its own.

    A plain hash would let everybody who has the file try telephone numbers until one fits.

    >>> hash_in_trace(b"13800138000", b"one") == hash_in_trace(b"13800138000", b"another")
    False
    >>> len(hash_in_trace(b"", b"one"))
    16
    """
    return hashlib.blake2b(content, key=key, digest_size=_HASH_BYTES).hexdigest()


class _Line(BaseModel):
    """Base of the lines of a trace."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class TraceHeader(_Line):
    """The first line: what the others count from."""

    kind: Literal["trace"] = "trace"
    version: Literal[2] = 2
    started_s: float = Field(description="Seconds since the epoch; times of the lines below count from here.")
    has_bodies: bool = Field(default=False, description="Whether requests have what was asked.")
    hash_key: str = Field(
        default="",
        description="Key of the hashes below, in hexadecimal: for a step of the same run that fetches, in no file.",
    )


class TraceRequest(_Line):
    """One request, written at its end."""

    kind: Literal["request"] = "request"
    at_s: float = Field(description="When it arrived.")
    path: str
    status: int = Field(description="Of HTTP; 499 where the client went away.")
    rung: str = Field(default="", description="Rung of the ladder that answered; empty for the best one.")
    key: str = Field(default="", description="Hash of the id of its key, the same way; empty where it had none.")
    prompt_hash: str = Field(default="", description="Keyed hash of the prompt's JSON: equal prompts have equal ones.")
    prompt_chars: int = Field(default=0, description="Length of that text.")
    max_tokens: int | None = Field(default=None, description="Tokens that it asked for; none where it did not say.")
    prompt_tokens: int | None = Field(default=None, description="As the engine counted them; none where it did not.")
    completion_tokens: int | None = None
    is_streamed: bool = False
    first_byte_s: float | None = Field(default=None, description="From its arrival; none for an answer in one piece.")
    total_s: float = Field(description="From its arrival to its end.")
    prompt: Any = Field(default=None, description="Messages or text, where bodies are recorded.")

    @property
    def is_ok(self) -> bool:
        """Whether it was answered."""
        return self.status < _FIRST_FAULT

    @property
    def outcome(self) -> str:
        """What its client got: ``full``, ``degraded``, ``error``, or ``gone`` where it did not wait.

        >>> TraceRequest(at_s=0, path="/", status=200, rung="extract", total_s=1).outcome
        'degraded'
        """
        if self.status == CLIENT_GONE:
            return "gone"
        if not self.is_ok:
            return "error"
        return "degraded" if self.rung else "full"


class TraceEvent(_Line):
    """A change of the service itself."""

    kind: Literal["event"] = "event"
    at_s: float
    what: Literal["ladder", "breaker", "alert"]
    subject: str = Field(description="The ladder, an engine, or an alert.")
    before: str
    after: str
    reason: str = ""


class Recording(BaseModel):
    """What was done to a service while its traffic was recorded. Times are seconds from the start of the schedule."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1] = 1
    name: str = Field(description="Of the experiment.")
    experiment: dict[str, Any] = Field(description="As in its file.")
    fault_s: float = Field(description="When its first action was done.")
    undone_s: float = Field(description="When its last action was taken back.")
    duration_s: float
    changes: list[RungChange] = Field(description="Steps of the ladder.")
    events: list[TraceEvent] = Field(default_factory=list, description="Changes of breakers and alerts.")
    num_lost: int = Field(default=0, description="Requests without an answer and without an error of the API's shape.")
    late_p99_s: float = Field(default=0.0, description="How late the client sent requests, 99th percentile.")
    num_masked: int = Field(default=0, description="Pieces of personal data and secrets that were masked in prompts.")
