"""The data set ``builtin:tickets``: customer tickets to convert to JSON, and notes to answer questions from.

A row is a pure function of seed, split and index, so any number of rows is made in constant memory and a prefix of a
larger set has the same structure. Nine rows in ten are ``extract`` (the benchmark), every tenth is ``question``;
categories, languages and wordings rotate, so that the first 60 rows of a split are balanced over all of them.

What keeps memorising from scoring: wordings, products and cities of validation, test and control are not those of
train, and order numbers, whole amounts and the numbers in notes lie in other residue classes modulo 7.

With ``general_every=N`` every Nth row of train is a general question instead, until each was asked once, answered by
a sentence: a model that is trained on tickets alone forgets what the control split asks, and how to answer in words.

English is the default because the default model (SmolLM2-135M) was trained on English; ``language=zh|both`` is there
for models that read Chinese.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeGuard, TypeVar
from urllib.parse import parse_qsl, urlencode

from practicum_core.errors import ConfigError, suggest_similar
from practicum_core.rows import Message, Row
from practicum_jobs.datasets.control_items import build_control_item
from practicum_jobs.datasets.draws import GOLDEN, mix
from practicum_jobs.datasets.general_items import iter_general_rows
from practicum_jobs.datasets.phrases import CATEGORIES, LanguagePack, PhrasePool
from practicum_jobs.datasets.phrases_en import ENGLISH
from practicum_jobs.datasets.phrases_zh import CHINESE

GENERATOR_VERSION = "tickets-1"
"""Changes whenever any byte of any row changes; tests pin the hashes of this version."""

SPLITS = ("train", "validation", "test", "control")
MIN_ROWS = 200
MAX_ROWS = 1_000_000
QUESTION_PERIOD = 10
"""Every row whose index is one below a multiple of this is a question."""

Language = Literal["en", "zh", "both"]
PACKS: dict[str, LanguagePack] = {"en": ENGLISH, "zh": CHINESE}
_LANGUAGES: dict[str, tuple[str, ...]] = {"en": ("en",), "zh": ("zh",), "both": ("en", "zh")}
_RESIDUES: dict[str, tuple[int, ...]] = {"train": (0, 1, 2, 3), "validation": (4,), "test": (5, 6)}
"""Residues modulo 7 of a split's numbers."""

_Item = TypeVar("_Item")
_MASK = (1 << 64) - 1
_OPTIONS = ("rows", "language", "seed", "general_every")
_ORDER_STEP = 104_729
"""A prime that shares no factor with any split's number of orders or of facts: they repeat only after all were used."""


@dataclass(frozen=True)
class TicketOptions:
    """What the query of a ``builtin:tickets`` URI may say.

    ``rows`` is the size of train. Validation and test hold a tenth of it (60 to 10,000), control a twentieth (40 to
    200).
    """

    rows: int = 2000
    language: Language = "en"
    seed: int = 7
    general_every: int = 0

    def count_rows(self, split: str) -> int:
        """Return the number of rows in a split."""
        if split == "train":
            return self.rows
        if split == "control":
            return min(max(self.rows // 20, 40), 200)
        return min(max(self.rows // 10, 60), 10_000)

    def to_query(self) -> str:
        """Return the options as a canonical query string, sorted; ``general_every`` only where it is set."""
        general = {"general_every": self.general_every} if self.general_every else {}
        return urlencode(general | {"language": self.language, "rows": self.rows, "seed": self.seed})


def read_ticket_options(query: str, default: TicketOptions | None = None) -> TicketOptions:
    """Read ``rows=..&language=..&seed=..&general_every=..``.

    Args:
        query: The part of the URI after ``?``; may be empty.
        default: Options for what the query leaves out.

    Raises:
        ConfigError: Unknown, repeated or malformed options; all problems in one message.

    >>> read_ticket_options("rows=500&language=zh").count_rows("test")
    60
    """
    default = default or TicketOptions()
    problems: list[str] = []
    values: dict[str, str] = {}
    for key, value in parse_qsl(query, keep_blank_values=True):
        if key not in _OPTIONS:
            problems.append(f"unknown option '{key}'{suggest_similar(key, _OPTIONS)}")
        elif key in values:
            problems.append(f"option '{key}' is given twice")
        values[key] = value
    rows = _read_number(values, "rows", default.rows, (MIN_ROWS, MAX_ROWS), problems)
    seed = _read_number(values, "seed", default.seed, (0, _MASK), problems)
    general_every = _read_number(values, "general_every", default.general_every, (0, MAX_ROWS), problems)
    language = values.get("language", default.language)
    if not _is_language(language):
        problems.append(f"language must be en, zh or both, got {language!r}{suggest_similar(language, _LANGUAGES)}")
        language = default.language
    if problems:
        raise ConfigError(f"builtin data ?{query}: {'; '.join(problems)}", "write e.g. ?rows=2000&language=en&seed=7")
    return TicketOptions(rows, language, seed, general_every)


def build_rows(options: TicketOptions, split: str) -> Iterator[Row]:
    """Yield the rows of one split in order, in constant memory.

    Raises:
        ConfigError: No such split.
    """
    if split not in SPLITS:
        raise ConfigError(f"unknown split '{split}'{suggest_similar(split, SPLITS)}", f"splits: {', '.join(SPLITS)}")
    if split == "control":
        return _build_control(options)
    tickets = _build_tickets(options, split)
    return _mix_general(tickets, options) if split == "train" and options.general_every else tickets


def build_answer(category: str, order: str, amount: str, *, urgent: bool) -> str:
    """Return the compact JSON that an ``extract`` row asks for; the amount keeps its two decimals.

    >>> build_answer("refund", "TK-100001", "12.50", urgent=False)
    '{"category":"refund","order":"TK-100001","amount":12.50,"urgent":false}'
    """
    flag = "true" if urgent else "false"
    return f'{{"category":"{category}","order":"{order}","amount":{amount},"urgent":{flag}}}'


class _Writer:
    """Writes the rows of one language and split."""

    def __init__(self, pack: LanguagePack, split: str, seed: int) -> None:
        self.pool: PhrasePool = pack.pools[split]
        self.pack = pack
        self.split = split
        self.residues = _RESIDUES[split]
        self.num_orders = 128_571 * len(self.residues)
        self.first_order = mix(seed) % self.num_orders
        self.num_facts = len(self.pool.products) * len(self.pool.cities) * len(self.residues) * 30
        self.extract = Message(role="system", content=pack.extract_prompt)
        self.question = Message(role="system", content=pack.question_prompt)
        self.pairs = [
            (category, number, form)
            for number in range(max(len(forms) for forms in self.pool.problems.values()))
            for category in CATEGORIES
            for forms in [self.pool.problems[category]]
            for form in [forms[number % len(forms)]]
        ]

    def build_extract(self, index: int, turn: int, order_index: int, bits: int) -> Row:
        """Build the ticket ``turn`` of this language: the category and wording rotate, the rest follows ``bits``."""
        pool = self.pool
        category, number, form = self.pairs[turn % len(self.pairs)]
        position = (self.first_order + order_index * _ORDER_STEP) % self.num_orders
        order = f"TK-{100_000 + 7 * (position // len(self.residues)) + self.residues[position % len(self.residues)]}"
        bits, product = _take(bits, pool.products)
        bits, city = _take(bits, pool.cities)
        bits, opening = _take(bits, pool.openings)
        bits, amount_form = _take(bits, pool.amounts)
        bits, residue = _take(bits, self.residues)
        bits, cents = divmod(bits, 14_100)
        amount = f"{7 * (1 + cents // 100) + residue}.{cents % 100:02d}"
        bits, urgent = divmod(bits, 2)
        bits, closing = _take(bits, pool.urgent if urgent else pool.calm)
        problem = form.format(p=product, o=order, c=city)
        paid = amount_form.format(a=amount)
        sentences = (paid, problem, closing) if bits % 4 == 0 else (problem, paid, closing)
        text = self.pack.glue.join((opening, *sentences) if opening else sentences)
        answer = build_answer(category, order, amount, urgent=bool(urgent))
        return self._build_row(index, text, answer, "extract", f"{category}-{number:02d}")

    def build_question(self, index: int, turn: int) -> Row:
        """Build the question ``turn`` of this language: notes and combinations of what they name rotate."""
        round_number, number = divmod(turn, len(self.pool.notes))
        template = self.pool.notes[number]
        pick = (self.first_order + round_number * _ORDER_STEP) % self.num_facts
        pick, product = _take(pick, self.pool.products)
        pick, city = _take(pick, self.pool.cities)
        pick, residue = _take(pick, self.residues)
        fields = {"p": product, "c": city, "n": 7 * (1 + pick) + residue}
        text = self.pack.note_form.format(
            note=template.note.format(**fields), question=template.question.format(**fields)
        )
        return self._build_row(index, text, template.answer.format(**fields), "question", f"question-{number:02d}")

    def _build_row(self, index: int, text: str, answer: str, task: str, template: str) -> Row:
        system = self.extract if task == "extract" else self.question
        return Row(
            id=f"{self.split}-{index:07d}",
            messages=[system, Message(role="user", content=text)],
            answer=answer,
            rejected=None,
            task=task,
            language=self.pack.language,
            group=f"{self.pack.language}-{self.split}-{template}",
        )


def _build_tickets(options: TicketOptions, split: str) -> Iterator[Row]:
    key = mix(options.seed * len(SPLITS) + SPLITS.index(split))
    writers = [_Writer(PACKS[language], split, key) for language in _LANGUAGES[options.language]]
    for index in range(options.count_rows(split)):
        bits = mix(key + index * GOLDEN)
        bits = (bits << 64) | mix(bits + GOLDEN)
        question_index, slot = divmod(index, QUESTION_PERIOD)
        if slot == QUESTION_PERIOD - 1:
            turn, which = divmod(question_index, len(writers))
            yield writers[which].build_question(index, turn)
        else:
            order_index = index - question_index
            block, category = divmod(order_index, len(CATEGORIES))
            turn, which = divmod(block, len(writers))
            yield writers[which].build_extract(index, turn * len(CATEGORIES) + category, order_index, bits)


def _mix_general(tickets: Iterator[Row], options: TicketOptions) -> Iterator[Row]:
    general = iter_general_rows(_LANGUAGES[options.language], options.seed, in_sentences=True)
    for number, ticket in enumerate(tickets, 1):
        yield next(general, ticket) if number % options.general_every == 0 else ticket


def _build_control(options: TicketOptions) -> Iterator[Row]:
    languages = _LANGUAGES[options.language]
    shift = mix(options.seed) % 1_000_003
    for index in range(options.count_rows("control")):
        turn, which = divmod(index, len(languages))
        kind, (question, answer) = build_control_item(languages[which], turn, shift)
        yield Row(
            id=f"control-{index:07d}",
            messages=[Message(role="user", content=question)],
            answer=answer,
            task="question",
            language=languages[which],
            group=f"{languages[which]}-control-{kind}",
        )


def _take(bits: int, pool: tuple[_Item, ...]) -> tuple[int, _Item]:
    bits, number = divmod(bits, len(pool))
    return bits, pool[number]


def _read_number(values: dict[str, str], key: str, default: int, bounds: tuple[int, int], problems: list[str]) -> int:
    text = values.get(key)
    if text is None:
        return default
    low, high = bounds
    if not text.isascii() or not text.isdigit() or not low <= int(text[:20]) <= high:
        problems.append(f"{key} must be a whole number from {low} to {high}, got {text!r}")
        return default
    return int(text)


def _is_language(text: str) -> TypeGuard[Language]:
    return text in _LANGUAGES
