"""Recorded traffic and its files: a trace as a gateway wrote it, cut to a window, and what was done meanwhile."""

from __future__ import annotations

import json
from collections.abc import Sequence
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
        texts = (json.dumps(one.model_dump(exclude_none=True), ensure_ascii=False) for one in lines)
        write_text_atomic(path, "".join(f"{text}\n" for text in texts))


def parse_trace(content: bytes, where: str) -> Trace:
    """Read a trace.

    Args:
        content: JSON lines.
        where: Name of the file or address, for messages.

    Raises:
        DataError: A line is none of a trace, or was cut off; the message names it.
    """
    header: TraceHeader | None = None
    requests: list[TraceRequest] = []
    events: list[TraceEvent] = []
    shift_s = 0.0
    *lines, rest = content.split(b"\n")
    for number, line in enumerate([*lines, rest], start=1):
        if not line.strip():
            continue
        one = _parse_line(line, f"{where}: line {number}", is_last=number > len(lines))
        if isinstance(one, TraceHeader):
            # After a restart of the gateway, times count from another moment.
            header = header or one
            shift_s = one.started_s - header.started_s
            continue
        if header is None:
            raise DataError(f"{where}: line {number} comes before the header of the trace", _FIX)
        moved = one.model_copy(update={"at_s": round(one.at_s + shift_s, 6)}) if shift_s else one
        if isinstance(moved, TraceRequest):
            requests.append(moved)
        else:
            events.append(moved)
    if header is None or not requests:
        raise DataError(f"{where}: no requests", _FIX)
    return Trace(header, sorted(requests, key=lambda one: one.at_s), sorted(events, key=lambda one: one.at_s))


def read_trace_file(path: Path) -> Trace:
    """Read the file of a trace.

    Raises:
        DataError: It cannot be read, or is not whole; the message names the line.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}", _FIX, Reason.DATA_MISSING) from error
    return parse_trace(content, str(path))


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


def _parse_line(line: bytes, where: str, *, is_last: bool) -> TraceHeader | TraceRequest | TraceEvent:
    try:
        document: Any = json.loads(line)
    except (ValueError, RecursionError) as error:
        why = "is cut off: the file does not end with a whole line" if is_last else "is no JSON"
        raise DataError(f"{where} {why}", _FIX) from error
    kind = document.get("kind") if isinstance(document, dict) else None
    model = _KINDS.get(str(kind))
    if model is None:
        raise DataError(f"{where} is no line of a trace", _FIX)
    try:
        return model.model_validate(document)
    except ValidationError as error:
        raise DataError(f"{where}: {list_problems(error)[0]}", _FIX) from error
