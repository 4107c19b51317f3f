"""The W3C's trace context: what a client tells of its trace in headers, and the ids of traces and spans. Pure.

vLLM reads the same headers.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping

from opentelemetry.trace import TraceState

PARENT, STATE = b"traceparent", b"tracestate"
Parent = tuple[str, str, str]
"""Id of the trace, id of the client's span, and ``tracestate``; the last is empty for none."""
_FORM = re.compile(rb"[ \t]*([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?[ \t]*")
"""Version, trace, span, flags; versions after the first may have more."""
_NO_VERSION, _FIRST_VERSION = b"ff", b"00"
_MAX_BYTES = 512
_SAMPLED = 1
_get_bits = random.getrandbits
"""As OpenTelemetry's SDK does: ids are unique, and no secret."""


def make_trace_id() -> str:
    """Make the id of a trace, 32 hexadecimal digits."""
    return f"{_get_bits(128) or 1:032x}"


def make_span_id() -> str:
    """Make the id of a span, 16 hexadecimal digits."""
    return f"{_get_bits(64) or 1:016x}"


def read_parent(headers: Mapping[bytes, bytes]) -> tuple[Parent, bool] | None:
    """Read what a client tells, and whether it wants a trace; ``None`` where it tells nothing that is valid.

    >>> read_parent({b"traceparent": b"00-%032x-%016x-01" % (10, 11)})
    (('0000000000000000000000000000000a', '000000000000000b', ''), True)
    >>> read_parent({b"traceparent": b"00-%032x-%016x-01" % (10, 0)})
    """
    header = headers.get(PARENT)
    found = _FORM.fullmatch(header) if header and len(header) <= _MAX_BYTES else None
    if found is None or found[1] == _NO_VERSION or (found[1] == _FIRST_VERSION and found[5]):
        return None
    trace_id, span_id = found[2].decode(), found[3].decode()
    if not (trace_id.strip("0") and span_id.strip("0")):
        return None
    return (trace_id, span_id, _read_state(headers)), bool(int(found[4], 16) & _SAMPLED)


def _read_state(headers: Mapping[bytes, bytes]) -> str:
    state = headers.get(STATE, b"")
    if not 0 < len(state) <= _MAX_BYTES:
        return ""
    return TraceState.from_header([state.decode("latin-1")]).to_header()
