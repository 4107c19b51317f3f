"""The same ticket with another order number and another amount, in prompt and answer alike. Pure.

Other rows get no variants: a number of their answer may be computed from the prompt, or be part of a date.
"""

from __future__ import annotations

import re

from practicum_core.rows import Row
from practicum_jobs.datasets.draws import Draw

_TICKET = re.compile(
    r'\{\s*"category"\s*:\s*"[^"\\\d]*"\s*,\s*"order"\s*:\s*"(?P<order>TK-\d{6})"\s*,'
    r'\s*"amount"\s*:\s*(?P<amount>\d+\.\d\d)\s*,\s*"urgent"\s*:\s*(?:true|false)\s*\}',
    re.ASCII,
)
"""The answer of a row ``extract`` as ``builtin:tickets`` writes it: its only numbers are the order and the amount."""
_QUANTITY = re.compile(r"(?<![0-9A-Za-z.,/:-])\d{2,}(?:[.,]\d+)*(?![0-9A-Za-z]|[./:-]\d)", re.ASCII)
"""A number that stands alone. Digits joined to letters, ``-``, ``/`` or ``:`` belong to an id, a date or a time.

A single digit may be part of the wording: "2 charges for one item".
"""
_DIGIT = re.compile(r"\d", re.ASCII)
_LEADING_ZERO = re.compile(r"\D*0\d", re.ASCII)


def find_ticket_numbers(row: Row) -> tuple[str, str] | None:
    """Return the order number and the amount of a ticket; ``None`` where they cannot be changed safely.

    That is: the answer is no ticket, the last turn does not state both, or it states another quantity, which may have
    been computed from the amount.

    >>> from practicum_core.rows import Message
    >>> turn = Message(role="user", content="Order TK-123456 for $12.50, 2 items.")
    >>> answer = '{"category":"refund","order":"TK-123456","amount":12.50,"urgent":false}'
    >>> find_ticket_numbers(Row(id="a", messages=[turn], answer=answer))
    ('TK-123456', '12.50')
    >>> find_ticket_numbers(Row(id="a", messages=[turn], answer="2 * 12.50 = 25.00"))
    """
    found = _TICKET.fullmatch(row.answer.strip())
    if found is None or row.answer_turn is not None or row.scorer is not None:
        return None
    order, amount = found["order"], found["amount"]
    asked = row.messages[-1].content
    is_stated = all(_build_pattern(text).search(asked) for text in (order, amount))
    return (order, amount) if is_stated and set(_QUANTITY.findall(asked)) <= {amount} else None


def build_variants(row: Row, count: int, seed: int) -> list[Row]:
    """Return up to ``count`` tickets that differ from ``row`` in order number and amount alone; none of other rows.

    Prompt and answer get the same new numbers, so the reference answer stays right. Dates and other ids stay.
    """
    numbers = find_ticket_numbers(row)
    if numbers is None:
        return []
    draw = Draw(seed)
    variants = []
    for turn in range(count):
        changed = {number: _draw_number(number, draw) for number in numbers}
        last = row.messages[-1]
        messages = [*row.messages[:-1], last.model_copy(update={"content": _replace(last.content, changed)})]
        update = {"id": f"{row.id}-v{turn + 1}", "messages": messages, "answer": _replace(row.answer, changed)}
        variants.append(row.model_copy(update=update))
    return variants


def _draw_number(number: str, draw: Draw) -> str:
    """Draw a number of the same form and another value, without a leading zero."""
    drawn = number
    while drawn == number or _LEADING_ZERO.match(drawn):
        drawn = _DIGIT.sub(lambda _: draw.digits(1), number)
    return drawn


def _build_pattern(number: str) -> re.Pattern[str]:
    """Match a number that is no part of a longer one, of a date or of another id."""
    return re.compile(rf"(?<![0-9A-Za-z.,/-]){re.escape(number)}(?![0-9A-Za-z]|[.,/-]\d)", re.ASCII)


def _replace(text: str, changed: dict[str, str]) -> str:
    for number, drawn in changed.items():
        text = _build_pattern(number).sub(drawn, text)
    return text
