"""The same row with other numbers: every number that stands in prompt and answer changes in both alike. Pure."""

from __future__ import annotations

import re

from practicum_core.rows import Row
from practicum_jobs.datasets.draws import Draw

_NUMBER = re.compile(r"\d+")
MIN_DIGITS = 2
"""A single digit may be part of the wording: "2 charges for one item"."""


def find_shared_numbers(row: Row) -> list[str]:
    """Return the numbers of an answer that stand in the last turn of the prompt too.

    >>> from practicum_core.rows import Message
    >>> turn = Message(role="user", content="Order TK-123456 for $12.50, 2 items.")
    >>> find_shared_numbers(Row(id="a", messages=[turn], answer='{"order":"TK-123456","amount":12.50}'))
    ['123456', '12', '50']
    """
    asked = set(_NUMBER.findall(row.messages[-1].content))
    numbers = dict.fromkeys(_NUMBER.findall(row.answer))
    return [number for number in numbers if len(number) >= MIN_DIGITS and number in asked]


def build_variants(row: Row, count: int, seed: int) -> list[Row]:
    """Return up to ``count`` rows that differ from ``row`` in their numbers alone; none where no number is shared.

    Prompt and answer get the same new numbers, so the reference answer stays right.
    """
    numbers = find_shared_numbers(row)
    if not numbers or row.answer_turn is not None:
        return []
    draw = Draw(seed)
    variants = []
    for turn in range(count):
        changed: dict[str, str] = {}
        for number in numbers:
            changed[number] = _draw_number(number, draw, set(changed.values()))
        last = row.messages[-1]
        messages = [*row.messages[:-1], last.model_copy(update={"content": _replace(last.content, changed)})]
        update = {"id": f"{row.id}-v{turn + 1}", "messages": messages, "answer": _replace(row.answer, changed)}
        variants.append(row.model_copy(update=update))
    return variants


def _draw_number(number: str, draw: Draw, taken: set[str]) -> str:
    """Draw a number of as many digits, leading zeros only where there were some, and another than those taken."""
    first = "0123456789" if number.startswith("0") else "123456789"
    drawn = draw.letters(first, 1) + draw.digits(len(number) - 1)
    while drawn in taken:
        drawn = draw.letters(first, 1) + draw.digits(len(number) - 1)
    return drawn


def _replace(text: str, changed: dict[str, str]) -> str:
    return _NUMBER.sub(lambda found: changed.get(found[0], found[0]), text)
