"""Texts that look like personal data or secrets and are neither.

A pattern is a text with slots: <d8> is eight digits, <h4> hex digits, <U2> capital letters, <l5> small letters,
<a9> letters and digits, <n1-12> a number of that range, <w> a word of a program. Other angle brackets are text.
"""

import random
import re
import string
from collections.abc import Callable

import pii_values as values
from pii_harmless_code import CODE, SECRETS
from pii_harmless_numbers import NUMBERS
from pii_shapes import Case

COUNT = 22
SLOT = re.compile(r"<(?:([dhUla])(\d+)|n(\d+)-(\d+)|(w))>")
ALPHABETS = {
    "d": string.digits,
    "h": "0123456789abcdef",
    "U": "ABCDEFGHJKLMNPQRSTUVWXYZ",
    "l": "bcdfghjkmnpqrstvwxz",
    "a": values.ALNUM,
}
WORDS = ("loader", "trainer", "sampler", "tokenizer", "course", "dataset", "router", "cache", "worker", "index")


def fill(pattern: str, rng: random.Random) -> str:
    def replace(match: re.Match[str]) -> str:
        alphabet, count, low, high, word = match.groups()
        if word:
            return rng.choice(WORDS)
        return str(rng.randint(int(low), int(high))) if low else values.make_body(rng, int(count), ALPHABETS[alphabet])

    return SLOT.sub(replace, pattern)


def is_valid_by_chance(text: str) -> bool:
    """True where digits that were drawn pass the check of a card, a resident id or a credit code."""
    runs = re.findall(r"\d{13,19}", re.sub(r"(?<=\d)[ -](?=\d)", "", text))
    runs += re.findall(r"\d{13,19}", text)
    return any(
        values.compute_luhn(run[:-1]) == run[-1]
        or (
            len(run) == 18 and run[17] in (values.compute_resident_check(run[:17]), values.compute_uscc_check(run[:17]))
        )
        for run in runs
    )


def make_wrong(make: Callable[[random.Random], str], rng: random.Random) -> str:
    """A value whose last digit, one of ten, is not the right one."""
    while not (value := make(rng))[-1].isdigit():
        pass
    return value[:-1] + str((int(value[-1]) + 1) % 10)


def list_wrong_checks(rng: random.Random) -> list[Case]:
    """Numbers of the right form whose check digit is off by one, amid other numbers."""
    prose = (
        "编号 {} 的箱子重 13.5 公斤，共 286 箱",
        "row {} of 91350100 rows",
        "共计{}，环比增长3.2%",
        "sum={} mean=0.5 n=17",
    )
    makers = {
        "resident id": values.make_resident_id,
        "card of 16": lambda source: values.make_card(source, ("6222", "4", "51"), 16),
        "card of 19": lambda source: values.make_card(source, ("6222", "6217"), 19),
        "card of 15": lambda source: values.make_card(source, ("34", "37"), 15),
        "credit code": values.make_uscc,
        "IBAN": values.make_iban,
        "Taiwan id": values.make_tw_id,
        "Hong Kong id": values.make_hk_id,
    }
    cases = []
    for name, make in makers.items():
        for i in range(COUNT):
            text = prose[i % len(prose)].replace("{}", make_wrong(make, rng))
            while is_valid_by_chance(text):
                text = prose[i % len(prose)].replace("{}", make_wrong(make, rng))
            cases.append(Case(text, (), f"not wrong check {name}"))
    return cases


def list_cases(rng: random.Random) -> list[Case]:
    cases = []
    for shapes in (NUMBERS, CODE, SECRETS):
        for name, patterns in shapes.items():
            texts: dict[str, None] = {}
            attempt = 0
            while len(texts) < COUNT:
                text = fill(patterns[attempt % len(patterns)], rng)
                attempt += 1
                if attempt > COUNT * 40:
                    raise ValueError(f"{name}: {len(texts)} texts")
                if not is_valid_by_chance(text):
                    texts[text] = None
            cases += [Case(text, (), f"not {name}") for text in texts]
    return cases + list_wrong_checks(rng)
