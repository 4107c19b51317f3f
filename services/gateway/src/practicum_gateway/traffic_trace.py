"""The trace of the traffic: a line for each request and each change of breakers and ladder, without content.

The file never has what was asked: only jobs have the validators that find personal data, and a gateway cannot import
them. Where bodies are recorded by consent, they stay in memory, the last ones only, until a step of the same run
fetches them with the run's own key, masks them and writes them (:mod:`practicum_jobs.load.masking`).
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
import logging
import secrets
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs

from practicum_core.line_file import LineFile
from practicum_core.rungs import RungChange
from practicum_core.traffic import HASH_KEY_BYTES, TRAFFIC_KEY, TraceEvent, TraceHeader, TraceRequest, hash_in_trace
from practicum_gateway.breaker import BreakerState
from practicum_gateway.clock import Clock
from practicum_gateway.errors import ApiError
from practicum_gateway.exchange import Exchange
from practicum_gateway.strangers import StrangerBudget
from practicum_gateway.upstream import UpstreamPool

_KEPT = 20_000
_KEPT_BODY_BYTES = 64 << 20
_MAX_BYTES = 512 << 20
"""Of a file: about two million lines."""
_MOST_OF_STRANGERS = 100_000
"""Lines of requests without a valid key: a twentieth of what a file takes."""
_PIECE_BYTES = 64 << 10
"""Of the lines that a step fetches: to encode a piece takes a millisecond, for which other requests wait."""
_TICK_S = 0.1
_STEP_S = 0.1
"""So far may the time of day go another way than the clock until it is read again."""
_PAUSE_S = 0.001
"""Whoever waited longer between two readings of clocks cannot compare them."""
_FROM_FACTS = ("prompt_tokens", "completion_tokens")
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Kept:
    """A line that a step may still fetch, and what was asked."""

    line: TraceRequest | TraceEvent
    prompt: bytes = b""


class TrafficTrace:
    """Writes the trace of one gateway, between :meth:`open` and :meth:`close`.

    Lines count from one moment on the clock. What time of day that was is read again and again: where it has changed,
    because the system's clock was set or drifts, another header follows, and whoever fetches gets the last reading.

    Args:
        path: The file; a trace that is there is continued.
        clock: Monotonic seconds.
        pool: The engines, whose breakers are followed.
        list_changes: Lists the steps of the ladder but for so many of the first, with times since the epoch.
        keeps_bodies: Whether bodies stay in memory for a step that fetches them.
        key: Bearer token of whoever may fetch; nobody may where it is empty.
    """

    def __init__(
        self,
        path: Path,
        clock: Clock,
        pool: UpstreamPool,
        list_changes: Callable[[int], list[RungChange]],
        *,
        keeps_bodies: bool,
        key: str,
    ) -> None:
        self._path = path
        self._clock = clock
        self._pool = pool
        self._list_changes = list_changes
        self._keeps_bodies = keeps_bodies
        self._key = key
        self._hash_key = secrets.token_bytes(HASH_KEY_BYTES)
        self._file: LineFile | None = None
        self._zero_s = clock()
        self._header = TraceHeader(started_s=round(time.time(), 6), has_bodies=False)
        self._kept: deque[_Kept] = deque(maxlen=_KEPT)
        self._body_bytes = 0
        self._strangers = StrangerBudget(_MOST_OF_STRANGERS, clock)
        self._num_unwritten = 0
        self._left_out: dict[str, bool] = {}
        self._num_changes = 0

    def open(self) -> None:
        """Begin the file.

        Raises:
            OSError: It cannot be written.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        if not self._key:
            # Nobody can fetch the key of the hashes, so that a step that records could not find its own prompts.
            self._hash_key = _keep_hash_key(self._path.with_name(TRAFFIC_KEY), self._hash_key)
        self._file = LineFile(self._path, _MAX_BYTES, "later lines", _LOG)
        self._zero_s = self._clock()
        self._header = TraceHeader(started_s=round(time.time(), 6))
        self._write(self._header.model_dump_json())

    def close(self) -> None:
        """End the file, if it was begun."""
        self._follow()
        if self._file is not None:
            self._file.close()
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            self._path.with_name(TRAFFIC_KEY).unlink()
        if self._num_unwritten or self._strangers.num_refused:
            text = "the trace of the traffic lacks %d lines, and %d requests without a valid key"
            _LOG.warning(text, self._num_unwritten, self._strangers.num_refused)

    async def watch(self) -> None:
        """Follow breakers and ladder until cancelled."""
        while True:
            self._follow()
            await asyncio.sleep(_TICK_S)

    def note(self, exchange: Exchange, status: int, arrived_s: float) -> None:
        """Write a request at its end.

        Args:
            exchange: With its facts and what was asked.
            status: Of HTTP, or 499 for a client that went away.
            arrived_s: When its head arrived, on the clock.
        """
        facts, asked = exchange.facts, exchange.asked
        key, rung = facts.get("key"), facts.get("rung", "full")
        if not key and not self._strangers.acquire():
            return
        first_s = exchange.first_byte_s
        document = {
            "at_s": round(arrived_s - self._zero_s, 6),
            "path": exchange.path,
            "status": status,
            "rung": "" if rung == "full" else rung,
            "key": self._hash(str(key).encode()) if key else "",
            "prompt_hash": self._hash(asked.prompt) if asked else "",
            "prompt_chars": len(asked.prompt.decode(errors="replace")) if asked else 0,
            "max_tokens": asked.max_tokens if asked else None,
            "is_streamed": bool(facts.get("is_streamed")),
            "first_byte_s": None if first_s is None else round(first_s - arrived_s, 6),
            "total_s": round(self._clock() - arrived_s, 6),
            **{name: facts[name] for name in _FROM_FACTS if name in facts},
        }
        self._keep(TraceRequest.model_validate(document), asked.prompt if asked and self._keeps_bodies else b"")

    def _hash(self, content: bytes) -> str:
        return hash_in_trace(content, self._hash_key)

    def _follow(self) -> None:
        """Write what changed since the last look."""
        self._read_time_of_day()
        for upstream in self._pool.upstreams:
            is_out = upstream.breaker.state is not BreakerState.CLOSED
            if is_out != self._left_out.get(upstream.url, False):
                states = ("closed", "open") if is_out else ("open", "closed")
                self._keep(self._build_event("breaker", upstream.canary_name, states, ""))
            self._left_out[upstream.url] = is_out
        # Counted, for the time since the epoch of one and the same step differs a little from look to look.
        for change in self._list_changes(self._num_changes):
            self._num_changes += 1
            event = self._build_event("ladder", "ladder", (change.before, change.after), change.reason)
            self._keep(event.model_copy(update={"at_s": round(change.at_s - self._find_started_s(), 3)}))

    def _read_time_of_day(self) -> None:
        before_s = self._clock()
        started_s = self._find_started_s()
        is_compared = self._clock() - before_s < _PAUSE_S
        if is_compared and abs(started_s - self._header.started_s) > _STEP_S:
            self._header = TraceHeader(started_s=started_s)
            self._write(self._header.model_dump_json())

    def _find_started_s(self) -> float:
        """Return the moment that lines count from, in seconds since the epoch, by the time of day that it is now."""
        return round(time.time() - (self._clock() - self._zero_s), 6)

    def _build_event(self, what: str, subject: str, states: tuple[str, str], reason: str) -> TraceEvent:
        fields = {"what": what, "subject": subject, "before": states[0], "after": states[1], "reason": reason}
        return TraceEvent.model_validate({"at_s": round(self._clock() - self._zero_s, 3), **fields})

    def _keep(self, line: TraceRequest | TraceEvent, prompt: bytes = b"") -> None:
        if len(self._kept) == _KEPT:
            self._body_bytes -= len(self._kept.popleft().prompt)
        self._kept.append(_Kept(line, prompt))
        self._body_bytes += len(prompt)
        while self._body_bytes > _KEPT_BODY_BYTES:
            self._body_bytes -= len(self._kept.popleft().prompt)
        self._write(line.model_dump_json(exclude_none=True))

    def _write(self, line: str) -> None:
        if self._file is None or not self._file.write(line.encode()):
            self._num_unwritten += 1

    async def answer(self, exchange: Exchange) -> None:
        """Give the lines since a moment, with bodies where they are recorded.

        The query says ``since``, in seconds since the epoch.

        Raises:
            ApiError: It has not the key of this run's servers.
        """
        sent = exchange.headers.get(b"authorization", b"")
        if not self._key or not hmac.compare_digest(sent, f"Bearer {self._key}".encode()):
            raise ApiError(401, "traffic_key", "the traffic is for steps of this run, with its key")
        self._follow()
        started_s = self._find_started_s()
        try:
            since_s = float(parse_qs(exchange.query).get("since", ["0"])[0]) - started_s
        except ValueError:
            raise ApiError(400, "invalid_value", "since: expected seconds since the epoch", param="since") from None
        about = {"started_s": started_s, "has_bodies": self._keeps_bodies, "hash_key": self._hash_key.hex()}
        header = self._header.model_copy(update=about)
        kept = [one for one in self._kept if one.line.at_s >= since_s]
        with exchange.watch_client():
            await exchange.start(200, [(b"content-type", b"application/jsonl")])
            piece = bytearray(f"{header.model_dump_json()}\n".encode())
            for one in kept:
                piece += f"{_encode(one)}\n".encode()
                if len(piece) >= _PIECE_BYTES:
                    await exchange.write(bytes(piece))
                    piece.clear()
                    # A client that reads fast never makes the write wait.
                    await asyncio.sleep(0)
            await exchange.end(bytes(piece))


def _encode(kept: _Kept) -> str:
    if kept.prompt:
        # What only some readers of JSON take, such as a number of 5,000 digits, must not cost the other lines.
        with contextlib.suppress(ValueError, RecursionError):
            document = {**kept.line.model_dump(exclude_none=True), "prompt": json.loads(kept.prompt)}
            text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
            return text.encode().decode()
    return kept.line.model_dump_json(exclude_none=True)


def _keep_hash_key(path: Path, key: bytes) -> bytes:
    """Write the key for this user alone, and return it; that of a gateway which was killed is kept, if it is whole.

    Without one, or with half of it, the hashes would be as easy to guess as plain ones.
    """
    with contextlib.suppress(OSError, ValueError):
        kept = bytes.fromhex(path.read_text(encoding="ascii"))
        if len(kept) == HASH_KEY_BYTES:
            return kept
    path.touch(mode=0o600)
    path.write_text(key.hex(), encoding="ascii")
    return key
