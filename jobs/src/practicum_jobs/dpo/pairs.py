"""Preference pairs as tokens: every chosen answer first, then every rejected one, in the same order."""

from __future__ import annotations

from collections.abc import Sequence

from practicum_core.errors import ConfigError, Reason
from practicum_core.name_lists import name_some
from practicum_core.rows import Row
from practicum_jobs.models.tokens import ChatTokenizer
from practicum_jobs.training.encoding import EncodedRow, encode_rows

_SHOWN = 5


def encode_pairs(rows: Sequence[Row], tokenizer: ChatTokenizer, max_length: int) -> list[EncodedRow]:
    """Encode both sides of every pair.

    Returns:
        ``2 * len(rows)`` encoded rows: the first half holds the chosen answers, the second half the rejected ones.

    Raises:
        ConfigError: Rows have no rejected answer, or an empty one, or two equal sides; or the template refuses rows.
    """
    _check_sides(rows)
    chosen = encode_rows(rows, tokenizer, max_length)
    rejected = encode_rows([build_rejected_row(row) for row in rows], tokenizer, max_length)
    return [*chosen, *rejected]


def build_rejected_row(row: Row) -> Row:
    """Return the row with its rejected answer in the place of the answer.

    >>> from practicum_core.rows import Message
    >>> pair = Row(id="a", messages=[Message(role="user", content="2+2?")], answer="4", rejected="5")
    >>> build_rejected_row(pair).answer
    '5'
    """
    return row.model_copy(
        update={
            "answer": row.rejected or "",
            "answer_turn": row.rejected_turn,
            "rejected": None,
            "rejected_turn": None,
        }
    )


def _check_sides(rows: Sequence[Row]) -> None:
    found: dict[str, list[str]] = {}
    for row in rows:
        fault = find_side_fault(row)
        if fault:
            found.setdefault(fault, []).append(row.id)
    if found:
        raise ConfigError(
            "; ".join(f"{len(ids)} rows: {fault} ({name_some(ids, _SHOWN)})" for fault, ids in found.items()),
            "correct or remove these rows (`practicum audit` writes a clean copy); nothing was trained",
            Reason.PREFLIGHT_FAILED,
        )


def find_side_fault(row: Row) -> str:
    """Return why a row is no usable pair; empty where it is one.

    >>> from practicum_core.rows import Message
    >>> pair = Row(id="a", messages=[Message(role="user", content="2+2?")], answer="4", rejected=" 4")
    >>> find_side_fault(pair)
    'the chosen and the rejected answer are equal'
    """
    if row.rejected is None and row.rejected_turn is None:
        return "the row has no rejected answer"
    rejected = build_rejected_row(row)
    if not rejected.reply.content.strip() and not rejected.reply.tool_calls:
        return "the rejected answer is empty"
    sides = row.reply, rejected.reply
    if sides[0].content.strip() == sides[1].content.strip() and sides[0].tool_calls == sides[1].tool_calls:
        return "the chosen and the rejected answer are equal"
    return ""
