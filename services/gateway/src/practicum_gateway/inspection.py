"""What the gateway reads of a request's body: how many tokens it can use at most, and whether it is streamed.

The body goes on to the engine as it came, byte by byte, unless something is put in (:meth:`Inspected.insert`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from practicum_gateway.errors import ApiError

_MAX_COUNT = 10**9
_TEMPLATE_BYTES = 128
"""For what a chat template adds of its own, such as a usual system prompt."""


@dataclass(frozen=True)
class Inspected:
    """A request's body and what it says.

    Attributes:
        body: As it came.
        is_streamed: Whether the answer is wanted in pieces.
        shows_usage: Whether a streamed answer shall end with its usage.
        prompt_bound: Tokens of the prompts at most: byte-level tokenizers make at most one of a byte.
        num_answers: Answers that are asked for; texts, where they are embedded.
        max_new_tokens: Of one answer; ``None`` where the request does not say.
        has_stream_options: Whether the body has that field.
    """

    body: bytes
    is_streamed: bool
    shows_usage: bool
    prompt_bound: int
    num_answers: int
    max_new_tokens: int | None
    has_stream_options: bool

    def count_tokens(self, max_new_tokens: int, max_model_tokens: int | None) -> int:
        """Return the tokens that the request can use at most.

        Args:
            max_new_tokens: Of one answer.
            max_model_tokens: Of a prompt with its answer, where the engine says it.
        """
        tokens = self.prompt_bound + self.num_answers * max_new_tokens
        return tokens if max_model_tokens is None else min(tokens, self.num_answers * max_model_tokens)


def inspect_body(body: bytes, max_choices: int, bounds: Sequence[str]) -> Inspected:
    """Read a body.

    Args:
        body: JSON, in UTF-8.
        max_choices: Answers that one request may ask for.
        bounds: Fields in which the engine reads how many tokens one answer may have; none where it generates none.

    Raises:
        ApiError: It is no JSON object, or a field that the gateway needs has no sensible value.
    """
    document = _parse(body)
    stream = document.get("stream")
    if stream is not None and not isinstance(stream, bool):
        raise _refuse("stream", "true or false")
    options = document.get("stream_options")
    if options is not None and not isinstance(options, dict):
        raise _refuse("stream_options", "an object")
    # An engine embeds each text of a list for itself, each as long as the model allows.
    num_answers = _count_prompts(document.get("prompt" if bounds else "input"))
    if bounds:
        wanted = [_read_count(document, name, 1) or 1 for name in ("n", "best_of")]
        num_answers *= max(wanted)
        if num_answers > max_choices:
            raise ApiError(
                400, "too_many_choices", f"{num_answers} answers are asked for; {max_choices} are allowed", param="n"
            )
    named = [limit for name in bounds if (limit := _read_count(document, name, 0)) is not None]
    return Inspected(
        body=body,
        is_streamed=bool(stream),
        shows_usage=bool((options or {}).get("include_usage")),
        # A JSON text is at least as long as what it says, and each message's own syntax longer than its template's.
        prompt_bound=len(body) + _TEMPLATE_BYTES,
        num_answers=num_answers,
        max_new_tokens=max(named, default=None) if bounds else 0,
        has_stream_options=options is not None,
    )


def insert_fields(body: bytes, fields: dict[str, Any]) -> bytes:
    """Add fields to a body, and leave all others byte by byte as they are.

    >>> insert_fields(b'{"model": "m", "top_p": 1e-05}', {"max_tokens": 5})
    b'{"model": "m", "top_p": 1e-05,"max_tokens":5}'
    """
    if not fields:
        return body
    added = json.dumps(fields, separators=(",", ":"))[1:]
    head = body.rstrip()[:-1].rstrip()
    return head + (b"" if head.endswith(b"{") else b",") + added.encode()


def _parse(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ApiError(400, "invalid_json", f"the body is not UTF-8 (byte {error.start})") from error
    except (ValueError, RecursionError) as error:
        why = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise ApiError(400, "invalid_json", f"the body is no JSON: {why}") from error
    if not isinstance(document, dict):
        raise ApiError(400, "invalid_json", f"the body is a {type(document).__name__}, not a JSON object")
    return document


def _count_prompts(prompt: object) -> int:
    """Count the prompts of a text completion or of embeddings: a text, token ids, or a list of either."""
    if isinstance(prompt, list) and prompt and not isinstance(prompt[0], int):
        return len(prompt)
    return 1


def _read_count(document: dict[str, Any], name: str, minimum: int) -> int | None:
    value = document.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not minimum <= value <= _MAX_COUNT:
        raise _refuse(name, f"a whole number of {minimum} or more, and no more than {_MAX_COUNT}")
    return value


def _refuse(name: str, expected: str) -> ApiError:
    return ApiError(400, "invalid_value", f"{name}: expected {expected}", param=name)
