"""What the gateway reads of a request's body: its model, how many tokens it can use at most, whether it is streamed.

Nothing but these fields is built from the JSON text, so that a long body takes little of the time that all requests
share: 4 MiB of nested lists took half a second with ``json``. The body goes on to the engine as it came, byte by byte,
unless something is put in (:func:`insert_fields`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from practicum_gateway.errors import ApiError

_MAX_COUNT = 10**9
_TEMPLATE_BYTES = 128
"""For what a chat template adds of its own, such as a usual system prompt."""
_MAX_FIELD_BYTES = 4096
"""Of a field that the gateway reads, the prompts apart: a longer one is none that an engine knows."""
_MAX_PROMPTS = 2048
"""As many as OpenAI takes of texts to embed; of such lists the gateway counts no more."""
_COUNTS = {"n": 1, "best_of": 1, "max_tokens": 0, "max_completion_tokens": 0}
"""Fields that count, each with the least that it may be."""
_RAW_NULL = msgspec.Raw(b"null")


class _Body(msgspec.Struct):
    """The fields that the gateway reads, as JSON text; all others are passed over."""

    model: msgspec.Raw = _RAW_NULL
    stream: msgspec.Raw = _RAW_NULL
    stream_options: msgspec.Raw = _RAW_NULL
    n: msgspec.Raw = _RAW_NULL
    best_of: msgspec.Raw = _RAW_NULL
    max_tokens: msgspec.Raw = _RAW_NULL
    max_completion_tokens: msgspec.Raw = _RAW_NULL
    messages: msgspec.Raw = _RAW_NULL
    prompt: msgspec.Raw = _RAW_NULL
    input: msgspec.Raw = _RAW_NULL


class _Options(msgspec.Struct):
    """The field ``stream_options``."""

    include_usage: bool | None = None


class _UsualBody(msgspec.Struct):
    """The same fields of a body in which they all have the kinds that an engine expects: built in one go."""

    model: str | None = None
    stream: bool | None = None
    stream_options: _Options | None = None
    n: int | None = None
    best_of: int | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    messages: msgspec.Raw = _RAW_NULL
    prompt: msgspec.Raw = _RAW_NULL
    input: msgspec.Raw = _RAW_NULL


@dataclass(frozen=True, slots=True)
class Asked:
    """What a trace says of a body.

    Attributes:
        prompt: JSON of its messages or its prompt.
        max_tokens: That it asks for; ``None`` where it does not say.
    """

    prompt: bytes
    max_tokens: int | None


_BODY = msgspec.json.Decoder(_Body)
_USUAL_BODY = msgspec.json.Decoder(_UsualBody)
# An array of so many elements at most: one with more is refused where they begin, and not built before.
_Prompts = msgspec.defstruct(
    "_Prompts",
    [(f"at_{number}", msgspec.Raw, _RAW_NULL) for number in range(_MAX_PROMPTS)],
    array_like=True,
    forbid_unknown_fields=True,
)
_PROMPTS = msgspec.json.Decoder(_Prompts)


@dataclass(frozen=True, slots=True)
class Inspected:
    """A request's body and what it says.

    Attributes:
        body: As it came.
        model: That it names; ``None`` where it names none.
        is_streamed: Whether the answer is wanted in pieces.
        shows_usage: Whether a streamed answer shall end with its usage.
        prompt_bound: Tokens of the prompts at most: byte-level tokenizers make at most one of a byte.
        num_answers: Answers that are asked for; texts, where they are embedded.
        max_new_tokens: Of one answer; ``None`` where the request does not say.
        has_stream_options: Whether the body has that field.
        beginning: Model and first bytes of the prompt: what begins alike computes alike.
    """

    body: bytes
    model: str | None
    is_streamed: bool
    shows_usage: bool
    prompt_bound: int
    num_answers: int
    max_new_tokens: int | None
    has_stream_options: bool
    beginning: bytes = b""

    def count_tokens(self, max_new_tokens: int, max_model_tokens: int | None) -> int:
        """Return the tokens that the request can use at most.

        Args:
            max_new_tokens: Of one answer.
            max_model_tokens: Of a prompt with its answer, where the engine says it.
        """
        tokens = self.prompt_bound + self.num_answers * max_new_tokens
        return tokens if max_model_tokens is None else min(tokens, self.num_answers * max_model_tokens)


def inspect_body(body: bytes, max_choices: int, bounds: Sequence[str], sticky_bytes: int = 0) -> Inspected:
    """Read a body.

    Args:
        body: JSON, in UTF-8.
        max_choices: Answers that one request may ask for.
        bounds: Fields in which the engine reads how many tokens one answer may have; none where it generates none.
        sticky_bytes: Of the prompt, so many bytes say what it begins with.

    Raises:
        ApiError: It is no JSON object, or a field that the gateway needs has no sensible value.
    """
    fields = _parse(body)
    prompts = memoryview(fields.prompt if bounds else fields.input)
    # An engine embeds each text of a list for itself, each as long as the model allows.
    num_answers = _count_prompts(prompts)
    if bounds:
        num_answers *= max(_check_count(fields.n, "n") or 1, _check_count(fields.best_of, "best_of") or 1)
        if num_answers > max_choices:
            raise ApiError(
                400, "too_many_choices", f"{num_answers} answers are asked for; {max_choices} are allowed", param="n"
            )
    named = [limit for name in bounds if (limit := _check_count(getattr(fields, name), name)) is not None]
    options = fields.stream_options
    beginning = b""
    if sticky_bytes:
        said = prompts if fields.messages is _RAW_NULL else memoryview(fields.messages)
        beginning = (fields.model or "").encode(errors="replace") + b"\0" + bytes(said[:sticky_bytes])
    return Inspected(
        body=body,
        model=fields.model,
        is_streamed=bool(fields.stream),
        shows_usage=options is not None and bool(options.include_usage),
        # A JSON text is at least as long as what it says, and each message's own syntax longer than its template's.
        prompt_bound=len(body) + _TEMPLATE_BYTES,
        num_answers=num_answers,
        max_new_tokens=max(named, default=None) if bounds else 0,
        has_stream_options=options is not None,
        beginning=beginning,
    )


def read_asked_prompt(inspected: Inspected) -> Asked:
    """Read the prompt of a body that was inspected.

    >>> read_asked_prompt(inspect_body(b'{"prompt": "How?", "max_tokens": 5}', 1, ("max_tokens",)))
    Asked(prompt=b'"How?"', max_tokens=5)
    """
    fields = _parse(inspected.body)
    prompt = fields.prompt if fields.messages is _RAW_NULL else fields.messages
    return Asked(bytes(prompt), inspected.max_new_tokens)


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


def _parse(body: bytes) -> _UsualBody:
    try:
        # Texts that are passed over are not looked at by the parser.
        body.decode()
        try:
            return _USUAL_BODY.decode(body)
        except msgspec.ValidationError:
            # Some field is odd: the same again, with a reason for each.
            return _read_odd_body(_BODY.decode(body))
    except UnicodeDecodeError as error:
        raise ApiError(400, "invalid_json", f"the body is not UTF-8 (byte {error.start})") from error
    except msgspec.ValidationError as error:
        raise ApiError(400, "invalid_json", "the body is no JSON object") from error
    except (msgspec.DecodeError, RecursionError) as error:
        why = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise ApiError(400, "invalid_json", f"the body is no JSON: {why}") from error


def _read_odd_body(raw: _Body) -> _UsualBody:
    options = _read_field(raw.stream_options, "stream_options", dict, "an object")
    counts = {
        name: _read_field(getattr(raw, name), name, int, _describe_count(minimum)) for name, minimum in _COUNTS.items()
    }
    return _UsualBody(
        model=_read_field(raw.model, "model", str, "a text"),
        stream=_read_field(raw.stream, "stream", bool, "true or false"),
        stream_options=None if options is None else _Options(bool(options.get("include_usage"))),
        messages=raw.messages,
        prompt=raw.prompt,
        input=raw.input,
        **counts,
    )


def _read_field(raw: msgspec.Raw, name: str, kind: type[Any], expected: str) -> Any:  # noqa: ANN401 - of that kind
    """Read a field; ``None`` where it is not there, or null."""
    if memoryview(raw).nbytes > _MAX_FIELD_BYTES:
        raise _refuse(name, expected)
    value = json.loads(bytes(raw))
    if value is not None and type(value) is not kind:
        raise _refuse(name, expected)
    return value


def _check_count(value: int | None, name: str) -> int | None:
    minimum = _COUNTS[name]
    if value is not None and not minimum <= value <= _MAX_COUNT:
        raise _refuse(name, _describe_count(minimum))
    return value


def _describe_count(minimum: int) -> str:
    return f"a whole number of {minimum} or more, and no more than {_MAX_COUNT}"


def _count_prompts(prompts: memoryview) -> int:
    """Count the prompts of a text completion or of embeddings: a text, token ids, or a list of either.

    Raises:
        ApiError: There are more than any engine takes.
    """
    if bytes(prompts[:1]) != b"[":
        return 1
    # Of a list of token ids, which may be long, its first is enough.
    first = bytes(prompts[1:64]).lstrip()[:1]
    if first and first in b"-0123456789":
        return 1
    try:
        found = msgspec.structs.astuple(_PROMPTS.decode(prompts))
    except msgspec.ValidationError as error:
        text = f"more than {_MAX_PROMPTS} prompts in one request"
        raise ApiError(400, "too_many_prompts", text) from error
    return max(sum(one is not _RAW_NULL for one in found), 1)


def _refuse(name: str, expected: str) -> ApiError:
    return ApiError(400, "invalid_value", f"{name}: expected {expected}", param=name)
