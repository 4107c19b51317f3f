"""Edits that turn a clean row into a flawed one: light edits, other answers, planted values, wrong decoding.

Each is a pure function that takes a row and choices, and returns a row and the name of the edit.
"""

from __future__ import annotations

from practicum_core.rows import Message, Row
from practicum_jobs.datasets.draws import Draw
from practicum_jobs.datasets.phrases import CATEGORIES
from practicum_jobs.datasets.planted_values import (
    CARRIERS_EN,
    CARRIERS_ZH,
    PII,
    SECRET_CARRIERS,
    SECRETS,
    widen_digits,
)
from practicum_jobs.datasets.stories import DAYS, STORIES
from practicum_jobs.datasets.tickets import PACKS

NUM_STORIES = 4


def tell_stories(row: Row, split: str, draw: Draw) -> Row:
    """Make a row of the tickets longer by four sentences, behind a ticket and before a question."""
    pack = PACKS[row.language]
    pool = pack.pools[split]
    told = [
        form.format(
            n=2 + draw.below(97), w=draw.pick(DAYS[row.language]), c=draw.pick(pool.cities), p=draw.pick(pool.products)
        )
        for form in draw.sample(STORIES[row.language][split], NUM_STORIES)
    ]
    parts = [*told, get_text(row)] if row.task == "question" else [get_text(row), *told]
    return with_text(row, pack.glue.join(parts))


def get_text(row: Row) -> str:
    """Return the text of the last turn of the prompt."""
    return row.messages[-1].content


def with_text(row: Row, text: str) -> Row:
    """Return the row with another text in its last turn."""
    return row.model_copy(update={"messages": [*row.messages[:-1], Message(role="user", content=text)]})


def edit_lightly(row: Row, draw: Draw) -> tuple[Row, str]:
    """Change one place of the text so little that more than four fifths of its shingles stay."""
    text = get_text(row)
    is_chinese = row.language == "zh"
    kind = draw.below(4)
    if kind == 0:
        marks = ("。", "！") if is_chinese else (". ", "! ")
        return with_text(row, text.replace(*marks)), "punctuation"
    if kind == 1:
        return with_text(row, ("又来打扰了，" if is_chinese else "Hello again. ") + text), "new opening"
    if kind == 2:  # noqa: PLR2004 - one of four kinds
        return with_text(row, text + ("拜托了。" if is_chinese else " Please.")), "new ending"
    if is_chinese:
        place = len(text) // 3 + draw.below(len(text) // 3)
        return with_text(row, f"{text[:place]}啊{text[place:]}"), "inserted character"
    words = text.split(" ")
    place = next(number for number in range(len(words) // 2, len(words)) if words[number].isalpha())
    words[place] += draw.pick("xqz")
    return with_text(row, " ".join(words)), "typing error"


def give_other_answer(row: Row, draw: Draw) -> tuple[Row, str]:
    """Keep the prompt and contradict the answer."""
    if row.task == "question":
        other = "不知道" if row.language == "zh" else "I do not know"
        return row.model_copy(update={"answer": other}), "other answer"
    mine = next(category for category in CATEGORIES if f'"{category}"' in row.answer)
    other = draw.pick([category for category in CATEGORIES if category != mine])
    return row.model_copy(update={"answer": row.answer.replace(f'"{mine}"', f'"{other}"')}), "other category"


def plant_pii(row: Row, kind: str, draw: Draw, turn: int) -> tuple[Row, str]:
    """Put personal data into the text: as it is usually written, with full-width digits, or in groups.

    In Chinese rows it is glued to the characters around it.
    """
    value, style = PII[kind](draw), "ordinary"
    if turn % 3 == 1:
        value, style = widen_digits(value), "full-width digits"
    elif turn % 3 == 2 and kind in {"bank_card", "cn_mobile"}:  # noqa: PLR2004 - the last of three styles
        value, style = _group_digits(value, " " if kind == "bank_card" else draw.pick(" -")), "groups"
    if row.language == "zh":
        carrier = draw.pick(CARRIERS_ZH[kind]).format(v=value) + "。"
        return with_text(row, get_text(row) + carrier), f"{style}, glued to Chinese"
    return with_text(row, f"{get_text(row)} {draw.pick(CARRIERS_EN[kind]).format(v=value)}"), style


def plant_secret(row: Row, kind: str, draw: Draw, _turn: int) -> tuple[Row, str]:
    """Put a credential into the text or, in one row of three, into the answer."""
    carrier = draw.pick(SECRET_CARRIERS[row.language]).format(v=SECRETS[kind](draw))
    glue = PACKS[row.language].glue
    if draw.below(3) == 0:
        return row.model_copy(update={"answer": f"{row.answer}{glue}{carrier}"}), "in the answer"
    return with_text(row, f"{get_text(row)}{glue}{carrier}"), "in the question"


def garble(row: Row, draw: Draw) -> tuple[Row, str]:
    """Read the UTF-8 bytes of the text as Windows-1252 or Latin-1, as broken imports do."""
    if row.language == "zh":
        return with_text(row, get_text(row).encode().decode("latin-1")), "Latin-1"
    extra = draw.pick(
        ("It’s the third time we’ve asked.", "The café next door saw it too.", "I’d like “a clear answer” — soon.")
    )
    return with_text(row, f"{get_text(row)} {_misread(extra)}"), "Windows-1252"


def _misread(text: str) -> str:
    marks = []
    for byte in text.encode():
        try:
            marks.append(bytes([byte]).decode("cp1252"))
        except UnicodeDecodeError:
            marks.append(chr(byte))
    return "".join(marks)


def lengthen(row: Row, draw: Draw, size_bytes: int) -> Row:
    """Append random words until the text has at least that many bytes."""
    pool = PACKS[row.language].pools["train"]
    words = [*pool.products, *pool.cities, *DAYS[row.language]]
    glue = PACKS[row.language].glue
    parts, size = [get_text(row)], 0
    while size < size_bytes:
        word = f"{draw.pick(words)}{draw.below(100)}"
        parts.append(word)
        size += len(word.encode()) + 1
    return with_text(row, glue.join(parts))


def _group_digits(value: str, mark: str) -> str:
    """Write a card in groups of four, a mobile number as 3-4-4.

    >>> _group_digits("13800001234", "-")
    '138-0000-1234'
    """
    head = len(value) % 4
    groups = [value[:head]] if head and len(value) == 11 else []  # noqa: PLR2004 - digits of a mobile number
    start = head if groups else 0
    return mark.join([*groups, *(value[place : place + 4] for place in range(start, len(value), 4))])
