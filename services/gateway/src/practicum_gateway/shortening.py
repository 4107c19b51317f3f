"""Requests made cheaper: a shorter conversation, fewer tokens of answer, another model. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

_BOUNDS = ("max_tokens", "max_completion_tokens")


def shorten_body(body: bytes, max_tokens: int, num_messages: int, model: str = "") -> bytes:
    """Return a request's body that asks for less.

    Args:
        body: A JSON object of ``/v1/chat/completions`` or ``/v1/completions``.
        max_tokens: Tokens of an answer at most.
        num_messages: Messages that are kept beside those of the system, the last ones.
        model: The model that is asked for in place of the named one; empty for the same.

    >>> shorten_body(b'{"model": "m", "prompt": "p", "max_tokens": 900}', 64, 4)
    b'{"model":"m","prompt":"p","max_tokens":64}'
    """
    document: dict[str, Any] = json.loads(body)
    named = [name for name in _BOUNDS if isinstance(document.get(name), int)]
    for name in named or _BOUNDS[:1]:
        document[name] = min(document.get(name, max_tokens), max_tokens)
    if isinstance(document.get("messages"), list):
        document["messages"] = _keep_last(document["messages"], num_messages)
    if model:
        document["model"] = model
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def _keep_last(messages: Sequence[Any], num_messages: int) -> list[Any]:
    """Keep the system's messages and the last others, from a user's message on: an answer needs its question.

    >>> chat = [{"role": role} for role in ("system", "user", "assistant", "user", "assistant", "user")]
    >>> [one["role"] for one in _keep_last(chat, 2)]
    ['system', 'user']
    """
    roles = [one.get("role") if isinstance(one, dict) else None for one in messages]
    others = [place for place, role in enumerate(roles) if role not in ("system", "developer")]
    kept = others[-num_messages:]
    while len(kept) > 1 and roles[kept[0]] != "user":
        kept = kept[1:]
    return [one for place, one in enumerate(messages) if place not in others or place in kept]
