"""Recorded traffic and its files: a trace as a gateway wrote it, cut to a window, and what was done meanwhile."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from practicum_core.atomic import write_text_atomic
from practicum_core.errors import DataError, Reason
from practicum_core.problems import list_problems
from practicum_core.traffic import RECORDING, TRAFFIC, Recording, TraceEvent, TraceHeader, TraceRequest

_KINDS: dict[str, type[TraceHeader | TraceRequest | TraceEvent]] = {
    "trace": TraceHeader,
    "request": TraceRequest,
    "event": TraceEvent,
}
_FIX = "give a whole traffic.jsonl: that of a gateway with gateway.traffic=true, or of the folder of a recording"


@dataclass(frozen=True)
class Trace:
    """A trace; times are seconds from the start of its header.

    Attributes:
        header: Its first line.
        requests: In order of their arrival.
        events: In order of time.
    """

    header: TraceHeader
    requests: Sequence[TraceRequest]
    events: Sequence[TraceEvent]

    def cut(self, zero_s: float, duration_s: float) -> Trace:
        """Return the part of a window, with times from its start.

        Args:
            zero_s: Start of the window, in seconds since the epoch.
            duration_s: Its length.
        """
        shift_s = self.header.started_s - zero_s

        def is_inside(line: TraceRequest | TraceEvent) -> bool:
            return 0 <= line.at_s + shift_s <= duration_s

        def move(line: TraceRequest | TraceEvent) -> dict[str, float]:
            return {"at_s": round(line.at_s + shift_s, 6)}

        return Trace(
            self.header.model_copy(update={"started_s": round(zero_s, 6)}),
            [one.model_copy(update=move(one)) for one in self.requests if is_inside(one)],
            [one.model_copy(update=move(one)) for one in self.events if is_inside(one)],
        )

    def write(self, path: Path) -> None:
        """Write its file."""
        moments: list[TraceRequest | TraceEvent] = [*self.requests, *self.events]
        lines = [self.header, *sorted(moments, key=lambda one: one.at_s)]
        # With the key of the hashes, prompts could be guessed from the file.
        shown = (one.model_dump(exclude_none=True, exclude={"hash_key"}) for one in lines)
        texts = (json.dumps(one, ensure_ascii=False) for one in shown)
        write_text_atomic(path, "".join(f"{text}\n" for text in texts))


@dataclass(frozen=True)
class Window:
    """A part of a trace, in seconds since the epoch."""

    start_s: float
    end_s: float


def parse_trace(content: bytes, where: str) -> Trace:
    """Read a trace.

    Args:
        content: JSON lines.
        where: Name of the file or address, for messages.

    Raises:
        DataError: A line is none of a trace, or was cut off; the message names it.
    """
    return parse_lines(io.BytesIO(content), where)


def parse_lines(lines: Iterable[bytes], where: str, window: Window | None = None) -> Trace:
    """Read a trace line by line: of a long one, only what lies in the window is kept.

    Args:
        lines: Of JSON, each with its end.
        where: Name of the file or address, for messages.
        window: What is kept; all without it.

    Raises:
        DataError: A line is none of a trace, or was cut off; the message names it.
    """
    header: TraceHeader | None = None
    requests: list[TraceRequest] = []
    events: list[TraceEvent] = []
    num_requests = 0
    started_s = 0.0
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        place = f"{where}: line {number}"
        document, model = _parse_line(line, place)
        if header is None and model is not TraceHeader:
            raise DataError(f"{place} comes before the header of the trace", _FIX)
        num_requests += model is TraceRequest
        if window is not None and model is not TraceHeader and not _lies_within(document, started_s, window):
            continue
        one = _validate(document, model, place)
        if isinstance(one, TraceHeader):
            # After a restart of the gateway, times count from another moment.
            header = header or one
            started_s = one.started_s
            continue
        shift_s = started_s - header.started_s if header else 0.0
        moved = one.model_copy(update={"at_s": round(one.at_s + shift_s, 6)}) if shift_s else one
        if isinstance(moved, TraceRequest):
            requests.append(moved)
        else:
            events.append(moved)
    if header is None or not num_requests:
        raise DataError(f"{where}: no requests", _FIX)
    return Trace(header, sorted(requests, key=lambda one: one.at_s), sorted(events, key=lambda one: one.at_s))


def _lies_within(document: dict[str, Any], started_s: float, window: Window) -> bool:
    """Whether a line lies in the window; one without a time is looked at more closely."""
    at_s = document.get("at_s")
    return not isinstance(at_s, int | float) or window.start_s <= started_s + at_s <= window.end_s


def read_trace_file(path: Path, window: Window | None = None) -> Trace:
    """Read the file of a trace, or what lies in a window of it.

    Raises:
        DataError: It cannot be read, or is not whole; the message names the line.
    """
    try:
        with path.open("rb") as file:
            return parse_lines(file, str(path), window)
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}", _FIX, Reason.DATA_MISSING) from error


def read_recording(folder: Path) -> tuple[Recording, Trace]:
    """Read what was done to a service, and its traffic meanwhile.

    Raises:
        DataError: A file is missing or broken.
    """
    path = folder / RECORDING
    fix = "give the folder of a recording: artifacts/recordings/NAME of a step that ran with record=true"
    try:
        recording = Recording.model_validate_json(path.read_bytes())
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}", fix, Reason.DATA_MISSING) from error
    except ValidationError as error:
        raise DataError(f"{path}: {list_problems(error)[0]}", fix) from error
    return recording, read_trace_file(folder / TRAFFIC)


def write_recording(folder: Path, recording: Recording, trace: Trace) -> None:
    """Write the folder of a recording."""
    trace.write(folder / TRAFFIC)
    write_text_atomic(folder / RECORDING, recording.model_dump_json(indent=1) + "\n")


def _parse_line(line: bytes, where: str) -> tuple[dict[str, Any], type[TraceHeader | TraceRequest | TraceEvent]]:
    try:
        document: Any = json.loads(line)
    except (ValueError, RecursionError) as error:
        is_whole = line.endswith(b"\n")
        why = "is no JSON" if is_whole else "is cut off: the file does not end with a whole line"
        raise DataError(f"{where} {why}", _FIX) from error
    kind = document.get("kind") if isinstance(document, dict) else None
    model = _KINDS.get(str(kind))
    if model is None:
        raise DataError(f"{where} is no line of a trace", _FIX)
    return document, model


def _validate(
    document: dict[str, Any], model: type[TraceHeader | TraceRequest | TraceEvent], where: str
) -> TraceHeader | TraceRequest | TraceEvent:
    try:
        return model.model_validate(document)
    except ValidationError as error:
        raise DataError(f"{where}: {list_problems(error)[0]}", _FIX) from error
