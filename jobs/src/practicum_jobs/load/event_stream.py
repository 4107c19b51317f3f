"""Reading of a stream of OpenAI's API: what each event holds, and when. Pure.

Only what a load test asks of it: whether an event has text, how the stream ended, and what the server counted.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from practicum_core.stages.load_results import RequestError

_DONE = b"[DONE]"
_MAX_BUFFER_BYTES = 16 << 20
_MAX_TEXT = 200


@dataclass
class StreamReader:
    """Takes the bytes of one answer as they come.

    Attributes:
        times_s: When each chunk with text came.
        prompt_tokens: As the server counts them; 0 until it says so.
        completion_tokens: As the server counts them; 0 until it says so.
        is_done: Whether the last event came.
        error: What is wrong with the stream; empty so far.
        error_text: What the server said of it.
    """

    times_s: list[float] = field(default_factory=list)
    prompt_tokens: int = 0
    completion_tokens: int = 0
    is_done: bool = False
    error: str = ""
    error_text: str = ""
    _rest: bytes = b""

    def feed(self, data: bytes, at_s: float) -> None:
        """Take bytes that came at a time.

        >>> reader = StreamReader()
        >>> reader.feed(b'data: {"choices": [{"delta": {"content": "a"}}]}' + bytes([10, 10]) + b'data: [DO', 0.5)
        >>> reader.feed(b'NE]' + bytes([10, 10]), 0.75)
        >>> reader.times_s, reader.is_done
        ([0.5], True)
        """
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()
        if len(self._rest) > _MAX_BUFFER_BYTES:
            self._rest = b""
            self._fail("an event without an end")
        for line in lines:
            if line.startswith(b"data:"):
                self._take(line[5:].strip(), at_s)

    def find_problem(self) -> tuple[str, str]:
        """Return the kind and the text of what is wrong, once the answer has ended; empty where nothing is."""
        if self.error:
            return self.error, self.error_text
        if not self.is_done:
            return RequestError.CUT_OFF, "the stream ended without [DONE]"
        if not self.times_s and not self.completion_tokens:
            return RequestError.EMPTY, "the stream held no token"
        return "", ""

    def _take(self, event: bytes, at_s: float) -> None:
        if event == _DONE:
            self.is_done = True
            return
        try:
            document = json.loads(event)
        except (ValueError, RecursionError):
            self._fail(event.decode(errors="replace"))
            return
        if not isinstance(document, dict):
            self._fail(event.decode(errors="replace"))
            return
        if document.get("error"):
            self._fail(json.dumps(document["error"], ensure_ascii=False))
        choices = document.get("choices")
        if isinstance(choices, list) and any(_has_text(choice) for choice in choices):
            self.times_s.append(at_s)
        usage = document.get("usage")
        if isinstance(usage, dict):
            self.prompt_tokens = _read_count(usage.get("prompt_tokens"))
            self.completion_tokens = _read_count(usage.get("completion_tokens"))

    def _fail(self, text: str) -> None:
        if not self.error:
            self.error, self.error_text = RequestError.IN_STREAM, text[:_MAX_TEXT]


def _has_text(choice: Any) -> bool:  # noqa: ANN401 - of a document that a server wrote
    if not isinstance(choice, dict):
        return False
    if choice.get("text"):
        return True
    delta = choice.get("delta")
    if not isinstance(delta, dict):
        return False
    return bool(
        delta.get("content") or delta.get("reasoning_content") or delta.get("reasoning") or delta.get("tool_calls")
    )


def _read_count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else 0
