"""The two answers of a preference pair, and the prompt that they share.

A side is a text, a message, a list of messages, or a transcript in one text (HH-RLHF). Whatever both sides start with
alike is part of the prompt.
"""

from __future__ import annotations

from typing import NamedTuple

from practicum_core.rows import Message
from practicum_jobs.datasets.columns import Columns, RowFault
from practicum_jobs.datasets.turns import is_transcript, read_messages, read_transcript

MIN_PREFIX_CHARS = 20
"""A shorter prompt that both answers start with may be chance ("Hi", "Hi!")."""


class Pair(NamedTuple):
    """Both sides as the record holds them."""

    chosen: object
    rejected: object


def read_pair(
    pair: Pair, prompt: list[Message] | None, prompt_text: str, columns: Columns
) -> tuple[list[Message], Message, Message]:
    """Return the prompt's turns, the better and the worse answer.

    Args:
        pair: Values of ``chosen`` and ``rejected``.
        prompt: Turns of the record's own prompt, or ``None`` where it has none.
        prompt_text: The prompt as a text, where it is one.
        columns: Of the record.

    Raises:
        RowFault: The prompt is missing, or the sides do not differ in their last turn alone.
    """
    if prompt is not None and is_transcript(prompt[-1].content):
        prompt = [*prompt[:-1], *read_transcript(prompt[-1].content)]
    sides = _cut_prefix(pair, prompt_text)
    chosen, rejected = _read_side(sides.chosen, "chosen", columns), _read_side(sides.rejected, "rejected", columns)
    if isinstance(chosen, str) or isinstance(rejected, str):
        if prompt is None:
            columns.require("prompt")
        known = prompt or []
        return known, _take_reply(chosen, known, "chosen"), _take_reply(rejected, known, "rejected")
    is_blank = prompt is not None and len(prompt) == 1 and not prompt[0].content.strip()
    return _split(chosen, rejected, None if is_blank else prompt)


def _cut_prefix(pair: Pair, prompt: str) -> Pair:
    """Cut the prompt off two texts that both repeat it."""
    chosen, rejected = pair
    if not isinstance(chosen, str) or not isinstance(rejected, str) or not prompt.strip():
        return pair
    is_long = len(prompt) >= MIN_PREFIX_CHARS or is_transcript(prompt)
    rests = [side[len(prompt) :] for side in (chosen, rejected) if side.startswith(prompt)]
    ends_alike = all(not rest or not rest[0].isalnum() or not prompt[-1].isalnum() for rest in rests)
    if not is_long or len(rests) < len(pair) or not ends_alike or not any(rest.strip() for rest in rests):
        return pair
    return Pair(rests[0].lstrip(), rests[1].lstrip())


def _read_side(value: object, column: str, columns: Columns) -> str | list[Message]:
    if isinstance(value, str):
        return read_transcript(value) if is_transcript(value) else value
    return read_messages(value, column, columns)


def _take_reply(side: str | list[Message], prompt: list[Message], column: str) -> Message:
    if isinstance(side, str):
        return Message(role="assistant", content=side)
    _check_end(side, column)
    if len(side) > 1 and side[:-1] != prompt[-len(side) + 1 :]:
        raise RowFault(
            "wrong_type", f"column '{column}' starts otherwise than the prompt, and the other side is a text"
        )
    return side[-1]


def _check_end(side: list[Message], column: str) -> None:
    if side[-1].role != "assistant":
        raise RowFault("wrong_type", f"column '{column}' must end with an assistant turn, not {side[-1].role}")


def _split(
    chosen: list[Message], rejected: list[Message], prompt: list[Message] | None
) -> tuple[list[Message], Message, Message]:
    _check_end(chosen, "chosen")
    _check_end(rejected, "rejected")
    start = chosen[:-1]
    if start != rejected[:-1]:
        raise RowFault("missing_column", "'chosen' and 'rejected' do not start alike: more than the last turn differs")
    if not start and prompt is None:
        raise RowFault("missing_column", "no column 'prompt', and 'chosen' and 'rejected' hold an answer only")
    return _join(prompt or [], start), chosen[-1], rejected[-1]


def _join(prompt: list[Message], start: list[Message]) -> list[Message]:
    """Join a prompt and the start of both sides, which often repeats the prompt or its last turns."""
    keys, starts = [_get_key(turn) for turn in prompt], [_get_key(turn) for turn in start]
    if any(starts[lead : lead + len(keys)] == keys for lead in range(len(starts))):
        return start
    shared = next((size for size in range(len(keys), 0, -1) if starts[:size] == keys[-size:]), 0)
    return [*prompt[: len(prompt) - shared], *start]


def _get_key(turn: Message) -> tuple[str, str]:
    return turn.role, turn.content.strip()
