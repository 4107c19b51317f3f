"""Answers that no model generated, in the shapes of OpenAI's API, whole and streamed. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_CHAT = "/v1/chat/completions"
_FORMATTED = ("tools", "functions", "response_format", "guided_json", "structured_outputs", "logprobs")
"""Fields that ask for what only a model can give."""


@dataclass(frozen=True)
class Asked:
    """What a stand-in must know of a request.

    Attributes:
        question: The last text of the user; empty where an answer by text would not do.
        is_chat: Whether it is one of chat.
        is_streamed: Whether the answer is wanted in pieces.
        shows_usage: Whether a streamed answer shall end with its usage.
    """

    question: str
    is_chat: bool
    is_streamed: bool
    shows_usage: bool


def read_asked(path: str, body: bytes) -> Asked:
    """Read what is asked for.

    >>> read_asked("/v1/completions", b'{"prompt": "How long?", "stream": true}').question
    'How long?'
    >>> read_asked("/v1/completions", b'{"prompt": "How long?", "response_format": {"type": "json_object"}}').question
    ''
    """
    document: dict[str, Any] = json.loads(body)
    options = document.get("stream_options")
    needs_model = any(document.get(name) for name in _FORMATTED) or (document.get("n") or 1) > 1
    question = "" if needs_model else _find_question(document)
    shows_usage = isinstance(options, Mapping) and bool(options.get("include_usage"))
    return Asked(question, path == _CHAT, bool(document.get("stream")), shows_usage)


def _find_question(document: Mapping[str, Any]) -> str:
    messages = document.get("messages")
    if not isinstance(messages, list):
        prompt = document.get("prompt")
        return prompt if isinstance(prompt, str) else ""
    asked = [one for one in messages if isinstance(one, dict) and one.get("role") == "user"]
    content = asked[-1].get("content") if asked else None
    if isinstance(content, list):
        parts = [one.get("text") for one in content if isinstance(one, dict)]
        content = " ".join(part for part in parts if isinstance(part, str))
    return content if isinstance(content, str) else ""


def build_answer(asked: Asked, text: str, name: str, number: str, created: int) -> tuple[bytes, bytes]:
    """Build the answer to a request.

    Args:
        asked: The request.
        text: Of the answer.
        name: What stands for the model's name.
        number: What makes its id unique.
        created: Seconds since the epoch.

    Returns:
        Content type and body; of a streamed answer, all of its events.
    """
    head = {"id": f"practicum-{number}", "created": created, "model": name}
    usage = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    if not asked.is_streamed:
        said = {"message": {"role": "assistant", "content": text}} if asked.is_chat else {"text": text}
        kind = "chat.completion" if asked.is_chat else "text_completion"
        choice = {"index": 0, "finish_reason": "stop", "logprobs": None, **said}
        return b"application/json", _dump({**head, "object": kind, "choices": [choice], "usage": usage})
    kind = "chat.completion.chunk" if asked.is_chat else "text_completion"
    first = {"delta": {"role": "assistant", "content": text}} if asked.is_chat else {"text": text}
    last: dict[str, Any] = {"delta": {}} if asked.is_chat else {"text": ""}
    choices: list[list[dict[str, Any]]] = [
        [{"index": 0, "finish_reason": None, **first}],
        [{"index": 0, "finish_reason": "stop", **last}],
    ]
    events: list[dict[str, Any]] = [{**head, "object": kind, "choices": one} for one in choices]
    if asked.shows_usage:
        events.append({**head, "object": kind, "choices": [], "usage": usage})
    lines = [b"data: " + _dump(event) + b"\n\n" for event in events]
    return b"text/event-stream; charset=utf-8", b"".join((*lines, b"data: [DONE]\n\n"))


def _dump(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
