"""The gold set and the canaries of the course: pairs of answers whose better one is known, or that are equally good.

Prompts come from the ticket generator, tickets and knowledge questions alike. Each answer is built with a stated defect
or none, and the label follows from the two defects by the rules that the judge is told (``prompts.py``):

1. Content first: a ticket's answer with more right fields wins. Of answers to questions, the right fact alone wins over
   the right fact beside a wrong one, and that over any other answer.
2. At equal content of a ticket's answer, bare JSON wins over JSON inside sentences.
3. Otherwise it is a tie, whatever the length, the layout, the order of keys and the politeness.

Each kind of pair occurs with the better answer on either side, and the longer answer is the better one in about half of
the decided pairs, so that neither position nor length earns agreement.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from practicum_core.rows import Row
from practicum_core.stages.judge import Winner
from practicum_jobs.datasets.phrases import CATEGORIES
from practicum_jobs.datasets.tickets import TicketOptions, build_answer, build_rows
from practicum_jobs.judge.gold_phrases import PHRASES
from practicum_jobs.judge.pairs import Pair, PairKind

LANGUAGES = ("en", "zh")
_GOLD_SEED, _CANARY_SEED = 4021, 4022

Kind = tuple[str, str]
"""The names of two answers; of a decided pair the better one comes first."""

TICKET_KINDS: tuple[Kind, ...] = (
    ("exact", "wrong_category"),
    ("spaced", "wrong_amount"),
    ("exact", "wrong_urgent"),
    ("spaced", "wrong_order"),
    ("exact", "two_wrong_spaced"),
    ("spaced", "wrong_category"),
    ("fenced", "wrong_order"),
    ("exact", "prose"),
    ("exact", "refusal"),
    ("wrong_urgent", "two_wrong_spaced"),
    ("wrong_category", "prose"),
    ("exact", "chatty"),
    ("spaced", "chatty_wrong"),
    ("chatty", "wrong_amount"),
    ("spaced", "missing"),
    ("wrong_order", "refusal"),
    ("exact", "spaced"),
    ("exact", "fenced"),
    ("wrong_category", "wrong_amount"),
    ("prose", "refusal"),
)
QUESTION_KINDS: tuple[Kind, ...] = (
    ("exact", "wrong"),
    ("exact", "wrong_long"),
    ("sentence", "wrong"),
    ("quote", "wrong"),
    ("exact", "hedged"),
    ("sentence", "unknown"),
    ("exact", "refusal"),
    ("hedged", "wrong"),
    ("exact", "sentence"),
    ("wrong", "refusal"),
)
_CANARY_TICKETS = (TICKET_KINDS[0], TICKET_KINDS[4], TICKET_KINDS[11], TICKET_KINDS[13], TICKET_KINDS[16])
_CANARY_QUESTIONS = (QUESTION_KINDS[1], QUESTION_KINDS[4], QUESTION_KINDS[8])
_FIELDS = 4


@dataclass(frozen=True)
class _Answer:
    """An answer with its grade by the rules: content, then form. A higher grade is better."""

    text: str
    content: int
    is_bare: bool = True

    @property
    def grade(self) -> tuple[int, bool]:
        return self.content, self.is_bare


def build_gold(language: str) -> list[Pair]:
    """Return the 60 gold pairs of a language, the same ones each time: 40 tickets and 20 questions.

    >>> len(build_gold("zh")), build_gold("en")[0].winner
    (60, 'candidate')
    """
    tickets, questions = _pick_rows(language, _GOLD_SEED)
    kinds = [kind for kind in TICKET_KINDS for _ in range(2)], [kind for kind in QUESTION_KINDS for _ in range(2)]
    return _build_pairs("gold", language, list(zip(kinds[0], tickets, strict=False))) + _build_pairs(
        "gold", language, list(zip(kinds[1], questions, strict=False))
    )


def build_canaries(language: str) -> list[Pair]:
    """Return the 8 canaries of a language: easy pairs, close ones, and ties of different length."""
    tickets, questions = _pick_rows(language, _CANARY_SEED)
    return _build_pairs("canary", language, list(zip(_CANARY_TICKETS, tickets, strict=False))) + _build_pairs(
        "canary", language, list(zip(_CANARY_QUESTIONS, questions, strict=False))
    )


def hash_gold(pairs: Sequence[Pair]) -> str:
    """Return the SHA-256 of pairs with their labels."""
    return hashlib.sha256(json.dumps([_describe(pair) for pair in pairs], ensure_ascii=False).encode()).hexdigest()


def _describe(pair: Pair) -> dict[str, object]:
    return {name: value for name, value in asdict(pair).items() if name != "grades"}


def _pick_rows(language: str, seed: int) -> tuple[list[Row], list[Row]]:
    """Return tickets and questions of the split whose wordings are neither trained on nor scored."""
    options = TicketOptions(language="zh" if language == "zh" else "en", seed=seed)
    rows = list(build_rows(options, "validation"))
    return [row for row in rows if row.task == "extract"], [row for row in rows if row.task == "question"]


def _build_pairs(kind: PairKind, language: str, planned: Sequence[tuple[Kind, Row]]) -> list[Pair]:
    """Build the pairs; the first answer of a kind is the candidate's in every other pair."""
    pairs = []
    for number, ((first, second), row) in enumerate(planned):
        build = _build_ticket_answer if row.task == "extract" else _build_question_answer
        one, other = build(first, row), build(second, row)
        base, candidate = (other, one) if number % 2 == 0 else (one, other)
        pairs.append(
            Pair(
                id=f"{language}-{row.task}-{number:02d}-{first}-{second}",
                kind=kind,
                language=language,
                task=row.task,
                prompt=row.messages[-1].content,
                expected=row.answer,
                base=base.text,
                candidate=candidate.text,
                winner=_label(base, candidate),
                cluster=f"{kind}-{language}-{row.task}-{number:02d}",
            )
        )
    return pairs


def _label(base: _Answer, candidate: _Answer) -> Winner:
    if base.grade == candidate.grade:
        return "tie"
    return "candidate" if candidate.grade > base.grade else "base"


def _build_ticket_answer(name: str, row: Row) -> _Answer:
    phrases = PHRASES[row.language]
    values = json.loads(row.answer, parse_float=str)
    category, order, amount, urgent = values["category"], values["order"], values["amount"], values["urgent"]
    other = CATEGORIES[(CATEGORIES.index(category) + 2) % len(CATEGORIES)]
    wrong = {
        "wrong_category": build_answer(other, order, amount, urgent=urgent),
        "wrong_amount": build_answer(category, order, _change_digit(amount), urgent=urgent),
        "wrong_urgent": build_answer(category, order, amount, urgent=not urgent),
        "wrong_order": build_answer(category, _change_digit(order), amount, urgent=urgent),
    }
    two_wrong = build_answer(other, order, _change_digit(amount), urgent=urgent)
    builders: dict[str, Callable[[], _Answer]] = {
        "exact": lambda: _Answer(row.answer, _FIELDS),
        "spaced": lambda: _Answer(_space(row.answer), _FIELDS),
        "fenced": lambda: _Answer(f"```json\n{row.answer}\n```", _FIELDS),
        "chatty": lambda: _Answer(phrases.chatty.format(json=row.answer), _FIELDS, is_bare=False),
        "chatty_wrong": lambda: _Answer(phrases.chatty.format(json=wrong["wrong_amount"]), _FIELDS - 1, is_bare=False),
        "missing": lambda: _Answer(row.answer.partition(',"urgent"')[0] + "}", _FIELDS - 1),
        "two_wrong_spaced": lambda: _Answer(_space(two_wrong), _FIELDS - 2),
        "prose": lambda: _Answer(phrases.prose, 0),
        "refusal": lambda: _Answer(phrases.refusal, 0),
    }
    return _Answer(wrong[name], _FIELDS - 1) if name in wrong else builders[name]()


def _space(answer: str) -> str:
    """Write a compact JSON object over several lines, its numbers as they are."""
    values = json.loads(answer, parse_float=str)
    lines = [f'  "{key}": {_write(key, value)}' for key, value in values.items()]
    return "{\n" + ",\n".join(lines) + "\n}"


def _write(key: str, value: object) -> str:
    return str(value) if key == "amount" else json.dumps(value)


def _build_question_answer(name: str, row: Row) -> _Answer:
    phrases = PHRASES[row.language]
    right, wrong = row.answer, _change_digit(row.answer)
    texts = {
        "exact": (right, 2),
        "sentence": (phrases.sentence.format(fact=right), 2),
        "quote": (phrases.quote.format(fact=right), 2),
        "hedged": (phrases.hedged.format(fact=right, other=wrong), 1),
        "wrong": (wrong, 0),
        "wrong_long": (phrases.quote.format(fact=wrong), 0),
        "unknown": (phrases.unknown, 0),
        "refusal": (phrases.refusal, 0),
    }
    return _Answer(*texts[name])


def _change_digit(text: str) -> str:
    """Return a text whose first digit is another one, and not zero.

    >>> _change_digit("TK-190001"), _change_digit("9 days")
    ('TK-290001', '1 days')
    """
    return re.sub(r"[0-9]", lambda found: str(int(found[0]) % 9 + 1), text, count=1)
