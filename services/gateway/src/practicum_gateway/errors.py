"""Errors as OpenAI's API shapes them, so that its clients raise what their users expect.

The shape is ``{"error": {"message", "type", "param", "code"}}``; OpenAI's client picks the class of its exception by
the HTTP status.
"""

from __future__ import annotations

import json
import math

INVALID_REQUEST = "invalid_request_error"
AUTHENTICATION = "authentication_error"
RATE_LIMIT = "rate_limit_error"
SERVER = "server_error"


class ApiError(Exception):
    """An answer that says what is wrong.

    Args:
        status: HTTP status.
        code: Stable word for machines.
        message: What happened and what to do.
        kind: OpenAI's ``type``.
        param: Field of the request that it is about.
        retry_after_s: Seconds after which the request may be tried again; ``None`` where trying again is no use.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        kind: str = INVALID_REQUEST,
        *,
        param: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.kind = kind
        self.param = param
        self.retry_after_s = retry_after_s

    def build_body(self) -> bytes:
        """Build the JSON body.

        >>> ApiError(404, "unknown_path", "no such path").build_body()
        b'{"error":{"message":"no such path","type":"invalid_request_error","param":null,"code":"unknown_path"}}'
        """
        error = {"message": str(self), "type": self.kind, "param": self.param, "code": self.code}
        return json.dumps({"error": error}, ensure_ascii=False, separators=(",", ":")).encode()

    def build_headers(self) -> list[tuple[bytes, bytes]]:
        """Build ``Retry-After`` in whole seconds, rounded up, and what OpenAI's clients read in milliseconds.

        Where trying again is no use, their clients are told so (``x-should-retry``).

        >>> ApiError(429, "rate_limit_exceeded", "later", RATE_LIMIT, retry_after_s=1.25).build_headers()
        [(b'retry-after', b'2'), (b'retry-after-ms', b'1250')]
        """
        if self.retry_after_s is None:
            return [(b"x-should-retry", b"false")]
        wait_s = max(self.retry_after_s, 0.001)
        return [
            (b"retry-after", str(math.ceil(wait_s)).encode()),
            (b"retry-after-ms", str(math.ceil(wait_s * 1000)).encode()),
        ]


class ClientGone(Exception):  # noqa: N818 - not an error
    """The client closed its connection before its answer was complete."""
