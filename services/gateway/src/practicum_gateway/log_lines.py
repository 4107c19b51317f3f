"""The gateway's log: one JSON object a line, and one line for each request where that is wanted. No line has content.

Lines of one request are joined by its id, which the client may choose (``x-request-id``) and the engine is sent.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
from typing import TextIO

from practicum_gateway.exchange import Exchange

_REQUESTS = logging.getLogger("practicum_gateway.requests")


class JsonLines(logging.Formatter):
    """Formats records as JSON, with the fields that were given as ``extra={"facts": {...}}``."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line.

        >>> record = logging.LogRecord("gateway", logging.INFO, "app.py", 1, "request", (), None)
        >>> record.created, record.facts = 0.0, {"status": 200}
        >>> JsonLines().format(record)
        '{"time":"1970-01-01T00:00:00.000+00:00","level":"info","logger":"gateway","event":"request","status":200}'
        """
        line = {
            "time": dt.datetime.fromtimestamp(record.created, dt.UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **getattr(record, "facts", {}),
        }
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, separators=(",", ":"))


def configure_log(stream: TextIO, *, has_requests: bool) -> None:
    """Have the gateway's log written as JSON lines.

    Args:
        stream: Where to.
        has_requests: Whether each request gets a line.
    """
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    for name in ("practicum_gateway", "opentelemetry"):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.propagate = False
    _REQUESTS.setLevel(logging.INFO if has_requests else logging.WARNING)


def log_request(exchange: Exchange, path: str, status: int, total_s: float) -> None:
    """Log a request at its end, where each gets a line.

    Args:
        exchange: With its facts.
        path: As it is counted.
        status: Of HTTP, or 499 for a client that went away.
        total_s: From the arrival of its head.
    """
    if not _REQUESTS.isEnabledFor(logging.INFO):
        return
    facts = {
        "request_id": exchange.request_id.decode("latin-1"),
        "method": exchange.method,
        "path": path,
        "status": status,
        "total_s": round(total_s, 6),
        **exchange.facts,
    }
    if exchange.trace is not None:
        facts["trace_id"] = exchange.trace.trace_id
    _REQUESTS.info("request", extra={"facts": facts})
