"""Spans as they lie in files: OTLP's JSON, one document a line, as steps leave it among their artifacts."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from practicum_core.trace_names import rename_attributes

_HEX_DIGITS = (16, 32)
_NUMBERS = {"intValue": int, "doubleValue": float, "boolValue": bool}


@dataclass(frozen=True)
class Moment:
    """An event of a span; its time is in seconds since the epoch."""

    name: str
    at_s: float
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Span:
    """A span as it was written. Times are in seconds since the epoch, ids in hexadecimal digits.

    Attributes:
        step: That wrote it.
        name: What was timed.
        trace_id: Of its trace.
        span_id: Its own.
        parent_id: Of the span above it; empty for none.
        start_s: When it began.
        end_s: When it ended.
        attributes: Under the latest names.
        events: In it.
    """

    step: str
    name: str
    trace_id: str
    span_id: str
    parent_id: str
    start_s: float
    end_s: float
    attributes: Mapping[str, Any] = field(default_factory=dict)
    events: tuple[Moment, ...] = ()


def iter_spans(path: Path, step: str) -> Iterator[Span]:
    """Yield the spans of a file. A line that was cut off, as where its writer was killed, is passed over."""
    with path.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            try:
                document = json.loads(line)
                found = [
                    _read_span(span, step)
                    for resource in document["resourceSpans"]
                    for scope in resource.get("scopeSpans", ())
                    for span in scope.get("spans", ())
                ]
            except (ValueError, KeyError, TypeError, AttributeError):
                continue
            yield from found


def _read_span(span: Mapping[str, Any], step: str) -> Span:
    return Span(
        step=step,
        name=str(span["name"]),
        trace_id=read_id(span["traceId"]),
        span_id=read_id(span["spanId"]),
        parent_id=read_id(span.get("parentSpanId") or ""),
        start_s=int(span["startTimeUnixNano"]) / 1e9,
        end_s=int(span["endTimeUnixNano"]) / 1e9,
        attributes=rename_attributes(_read_attributes(span)),
        events=tuple(
            Moment(str(one["name"]), int(one["timeUnixNano"]) / 1e9, _read_attributes(one))
            for one in span.get("events", ())
        ),
    )


def read_id(text: str) -> str:
    """Return an id in hexadecimal digits; generic writers of protobuf's JSON write it in base64.

    >>> read_id("b7ad6b7169203331"), read_id("t61rcWkgMzE="), read_id("")
    ('b7ad6b7169203331', 'b7ad6b7169203331', '')
    """
    if not text or len(text) in _HEX_DIGITS:
        return text.lower()
    return base64.b64decode(text, validate=True).hex()


def _read_attributes(document: Mapping[str, Any]) -> dict[str, Any]:
    return {str(one["key"]): _read_value(one.get("value", {})) for one in document.get("attributes", ())}


def _read_value(value: Mapping[str, Any]) -> Any:  # noqa: ANN401 - as it was written
    """Return a value of OTLP's JSON, where whole numbers are texts.

    >>> _read_value({"intValue": "5"}), _read_value({"stringValue": "chat"})
    (5, 'chat')
    """
    [(kind, content)] = value.items() or [("stringValue", "")]
    return _NUMBERS[kind](content) if kind in _NUMBERS else content
