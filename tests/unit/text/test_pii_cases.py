"""The set of personal-data cases is sound: check digits, counts, and no key that a scanner would report."""

import importlib
import ipaddress
import json
import re
import unicodedata
from collections import Counter
from pathlib import Path

import pytest

from practicum_jobs.render.titles import FINDINGS

FOLDER = Path(__file__).parents[2] / "cases"
FILE = FOLDER / "pii.jsonl"
CASES = [json.loads(line) for line in FILE.read_text(encoding="utf-8").splitlines()]
TW_LETTERS = "ABCDEFGHJKLMNPQRSTUVXYWZIO"
USCC_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
# What hosting services look for in the bytes of a file.
SCANNED = (
    rb"sk-(proj-|svcacct-)?[A-Za-z0-9_-]{32}",
    rb"[sr]k_live_",
    rb"hf_[A-Za-z]{34}",
    rb"AIza[0-9A-Za-z_-]{35}",
    rb"(AKIA|ASIA)[A-Z2-7]{16}",
    rb"AKID[A-Za-z0-9]{13}",
    rb"LTAI[A-Za-z0-9]{12}",
    rb"gh[a-z]_[A-Za-z0-9]{36}",
    rb"github_pat_",
    rb"xox[a-z]-[0-9]",
    rb"xapp-1",
    rb"gl(pat|dt|rt)-[A-Za-z0-9_-]{20}",
    rb"eyJ[A-Za-z0-9_-]{10}",
    rb"-----BEGIN",
    rb"hooks\.slack\.com/services",
    rb"AccountKey=",
    rb"[Bb]earer [A-Za-z0-9_.-]{40}",
    rb"://[a-z0-9]+:[A-Za-z0-9]{12,}@",
)


def is_resident_id(text):
    """The remainder of ISO 7064 mod 11-2 over all 18 characters is one."""
    if len(text) == 15:
        return text.isdigit() and text.endswith("000")
    if not re.fullmatch(r"\d{14}000[\dX]", text):
        return False
    remainder = 0
    for char in text:
        remainder = (remainder * 2 + (10 if char == "X" else int(char))) % 11
    return remainder == 1


def is_card(text):
    if not re.fullmatch(r"(62|4|5[15]|3[4678]|30[05])\d+", text):
        return False
    doubled = [sum(divmod(2 * int(d), 10)) if i % 2 else int(d) for i, d in enumerate(reversed(text))]
    return sum(doubled) % 10 == 0


def is_iban(text):
    if not re.fullmatch(r"[A-Z]{2}\d\d[A-Z0-9]+", text):
        return False
    return int("".join(str(int(char, 36)) for char in text[4:] + text[:4])) % 97 == 1


def is_uscc(text):
    if not re.fullmatch(r"[159]\d{7}[0-9A-Z]{10}", text) or set(text) - set(USCC_ALPHABET):
        return False
    weights = (1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28, 1)
    return sum(USCC_ALPHABET.index(char) * weight for char, weight in zip(text, weights, strict=True)) % 31 == 0


def is_hk_id(text):
    if not re.fullmatch(r"[A-Z]{1,2}\d{6}[\dA]", text):
        return False
    numbers = [int(char, 36) for char in text]
    padded = [36, *numbers] if len(text) == 8 else numbers
    return sum(number * weight for number, weight in zip(padded, (9, 8, 7, 6, 5, 4, 3, 2, 1), strict=True)) % 11 == 0


def is_tw_id(text):
    if not re.fullmatch(r"[A-Z][1289]\d{8}", text):
        return False
    digits = f"{TW_LETTERS.index(text[0]) + 10}{text[1:]}"
    weights = (1, 9, 8, 7, 6, 5, 4, 3, 2, 1, 1)
    return sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=True)) % 10 == 0


CHECKS = {
    "pii:cn_resident_id": (is_resident_id, (18, 15)),
    "pii:bank_card": (is_card, (14, 15, 16, 19)),
    "pii:iban": (is_iban, (18, 19, 20, 21, 22, 24)),
    "pii:cn_uscc": (is_uscc, (18,)),
    "pii:hk_id": (is_hk_id, (8, 9)),
    "pii:tw_id": (is_tw_id, (10,)),
}


def collapse(text):
    """Letters and digits alone, so that every grouping reads the same."""
    return re.sub(r"[^0-9A-Z]", "", unicodedata.normalize("NFKC", text).upper())


@pytest.mark.parametrize("kind", CHECKS)
def test_every_value_with_a_check_digit_has_the_right_one(kind):
    is_right, lengths = CHECKS[kind]
    wrong = [
        case["text"]
        for case in CASES
        if kind in case["truth"]
        and not any(
            is_right(text[start : start + length])
            for text in [collapse(case["text"])]
            for length in lengths
            for start in range(len(text) - length + 1)
        )
    ]
    assert wrong == []


def test_numbers_called_wrong_are_wrong():
    cases = [case for case in CASES if case["shape"].startswith("not wrong check")]
    valid = [
        (run, kind)
        for case in cases
        for run in re.findall(r"[0-9A-Z]{8,}", case["text"])
        for kind, (is_right, lengths) in CHECKS.items()
        if len(run) in lengths and is_right(run)
    ]
    assert len(cases) >= 150
    assert valid == []


def test_addresses_are_global():
    for case in CASES:
        if "pii:ipv4" in case["truth"]:
            text = unicodedata.normalize("NFKC", case["text"])
            assert ipaddress.ip_address(re.search(r"\d+(\.\d+){3}", text)[0]).is_global, case
        if "pii:ipv6" in case["truth"]:
            assert ipaddress.ip_address(re.search(r"2[dD]\w\w:[\da-fA-F:]+", case["text"])[0]).is_global, case


def test_ids_and_texts_are_unique():
    assert [case["id"] for case in CASES] == list(range(len(CASES)))
    assert len({case["text"] for case in CASES}) == len(CASES)
    assert {tuple(case) for case in CASES} == {("id", "text", "truth", "shape")}


def test_there_are_enough_of_each_kind_and_of_hard_negatives():
    counts = Counter(kind for case in CASES for kind in case["truth"])
    assert {kind: n for kind, n in counts.items() if n < 40} == {}
    assert {kind for kind in FINDINGS if kind.startswith(("pii:", "secret:"))} <= set(counts)
    assert sum(not case["truth"] for case in CASES) >= 1500


def test_no_scanner_takes_the_file_for_a_leak():
    content = FILE.read_bytes()
    assert [pattern for pattern in SCANNED if re.search(pattern, content)] == []


def test_the_patterns_of_the_scanners_find_the_keys_once_they_are_read():
    texts = "\n".join(case["text"] for case in CASES).encode()
    assert [pattern for pattern in SCANNED if not re.search(pattern, texts)] == []


def test_the_file_is_what_its_program_writes(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    assert importlib.import_module("build_pii").write_lines() == FILE.read_text(encoding="utf-8")
