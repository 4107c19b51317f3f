"""Checksums, dates and regions of identity numbers, cards and accounts.

Pure functions over strings that were already normalised and stripped of separators; where in a text they were found
is not their concern. python-stdnum has four of them (resident id, credit code, Luhn, IBAN) and not those of Hong Kong
and Taiwan; it is LGPL and brings 6 MB for what is a page here.
"""

from __future__ import annotations

import datetime as dt

PROVINCES = frozenset(
    {"11", "12", "13", "14", "15", "21", "22", "23", "31", "32", "33", "34", "35", "36", "37", "41", "42", "43", "44"}
    | {"45", "46", "50", "51", "52", "53", "54", "61", "62", "63", "64", "65", "71", "81", "82", "83"}
)
"""First two digits of administrative division codes (GB/T 2260; 71 Taiwan, 81 Hong Kong, 82 Macao, 83 residents of
Taiwan with a mainland permit)."""

_ID_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_ID_CHECKS = "10X98765432"
_USCC_WEIGHTS = (1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28)
_USCC_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_CARD_RANGES: tuple[tuple[int, int, int, frozenset[int]], ...] = (
    (62, 62, 2, frozenset({16, 17, 18, 19})),  # UnionPay
    (4, 4, 1, frozenset({13, 16, 19})),  # Visa
    (51, 55, 2, frozenset({16})),  # Mastercard
    (2221, 2720, 4, frozenset({16})),  # Mastercard
    (36, 36, 2, frozenset({14})),  # Diners Club
    (38, 39, 2, frozenset({14})),  # Diners Club
    (300, 305, 3, frozenset({14})),  # Diners Club
    (34, 34, 2, frozenset({15})),  # American Express
    (37, 37, 2, frozenset({15})),  # American Express
    (3528, 3589, 4, frozenset({16})),  # JCB
    (6011, 6011, 4, frozenset({16})),  # Discover
    (644, 659, 3, frozenset({16})),  # Discover
)
"""First and last value of a leading number, its digits, and lengths of the whole (ISO/IEC 7812 issuer ranges)."""


IBAN_LENGTHS = {
    code: length
    for length, codes in {
        15: "NO",
        16: "BE",
        18: "DK FI FK FO GL NL SD",
        19: "MK SI",
        20: "AT BA EE KZ LT LU MN XK",
        21: "CH HR LI LV",
        22: "BG BH CR DE GB GE IE ME RS VA",
        23: "AE GI IL IQ OM SO TL",
        24: "AD CZ ES MD PK RO SA SE SK TN VG",
        25: "LY PT ST",
        26: "IS TR",
        27: "BI DJ FR GR IT MC MR SM",
        28: "AL AZ BY CY DO GT HN HU LB NI PL SV",
        29: "BR EG PS QA UA",
        30: "JO KW MU YE",
        31: "MT SC",
        32: "LC",
        33: "RU",
    }.items()
    for code in codes.split()
}
"""Characters of an account number by country (SWIFT's IBAN registry)."""


def compute_resident_check(body: str) -> str:
    """Return the check character of a resident id's first 17 digits (GB 11643, ISO 7064 mod 11-2).

    >>> compute_resident_check("11010519491231002")
    'X'
    """
    total = sum(int(digit) * weight for digit, weight in zip(body, _ID_WEIGHTS, strict=True))
    return _ID_CHECKS[total % 11]


def is_resident_id(text: str) -> bool:
    """Whether ``text`` is a Chinese resident id: 18 characters with checksum, or the legacy 15 digits.

    >>> is_resident_id("11010519491231002X"), is_resident_id("110105194912310021"), is_resident_id("110105491231002")
    (True, False, True)
    """
    if len(text) == 18 and text[:17].isdigit():  # noqa: PLR2004 - GB 11643
        return text[:2] in PROVINCES and _is_date(text[6:14]) and compute_resident_check(text[:17]) == text[17].upper()
    if len(text) == 15 and text.isdigit():  # noqa: PLR2004 - before 1999
        return text[:2] in PROVINCES and _is_date("19" + text[6:12])
    return False


_USCC_REGISTRARS = frozenset(
    {"11", "12", "13", "19", "21", "29", "31", "32", "33", "34", "35", "39", "41", "49", "51", "52", "53", "54", "59"}
    | {"61", "62", "69", "71", "72", "79", "81", "89", "91", "92", "93", "A1", "A9", "N1", "N2", "N3", "N9", "Y1"}
)
"""First two marks: who registers, and what kind of organisation (GB 32100, table 1)."""


def compute_uscc_check(body: str) -> str:
    """Return the check character of a unified social credit code's first 17 characters (GB 32100, mod 31).

    >>> compute_uscc_check("91350100M000100Y4")
    '3'
    """
    total = sum(_USCC_ALPHABET.index(mark) * weight for mark, weight in zip(body, _USCC_WEIGHTS, strict=True))
    return _USCC_ALPHABET[-total % 31]


def is_uscc(text: str) -> bool:
    """Whether ``text`` is a unified social credit code with a valid region and checksum.

    >>> is_uscc("91350100M000100Y43"), is_uscc("91350100M000100Y44")
    (True, False)
    """
    if len(text) != 18 or not set(text) <= set(_USCC_ALPHABET):  # noqa: PLR2004 - GB 32100
        return False
    if text[:2] not in _USCC_REGISTRARS:
        return False
    is_placed = text[2:8].isdigit() and (text[2:4] in PROVINCES or text[2:8] == "100000")
    return is_placed and compute_uscc_check(text[:17]) == text[17]


def is_luhn(digits: str) -> bool:
    """Whether the last digit is the Luhn check of the others (ISO/IEC 7812-1).

    >>> is_luhn("4111111111111111"), is_luhn("4111111111111112")
    (True, False)
    """
    total = 0
    for position, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + position % 2)
        total += value - 9 if value > 9 else value  # noqa: PLR2004 - the sum of two digits
    return total % 10 == 0


def is_bank_card(digits: str) -> bool:
    """Whether digits are a payment card's number: issuer range, length and Luhn check.

    >>> is_bank_card("6222020200112233449"), is_bank_card("1234567812345670")
    (False, False)
    >>> is_bank_card("5555555555554444")
    True
    """
    is_issued = any(
        first <= int(digits[:width]) <= last and len(digits) in lengths for first, last, width, lengths in _CARD_RANGES
    )
    return is_issued and len(set(digits)) > 1 and is_luhn(digits)


def is_iban(text: str) -> bool:
    """Whether ``text`` is an international bank account number (ISO 13616: country, its length, mod 97-10).

    >>> is_iban("DE89370400440532013000"), is_iban("DE88370400440532013000")
    (True, False)
    """
    if IBAN_LENGTHS.get(text[:2]) != len(text) or not text[2:4].isdigit():
        return False
    return int("".join(str(int(mark, 36)) for mark in text[4:] + text[:4])) % 97 == 1


def is_hk_id(text: str) -> bool:
    """Whether ``text`` is a Hong Kong identity card number without its brackets.

    >>> is_hk_id("A1234563"), is_hk_id("A1234564"), is_hk_id("AB9876543")
    (True, False, True)
    """
    letters, digits, check = text[:-7], text[-7:-1], text[-1:]
    is_form = letters.isalpha() and digits.isdigit() and (check.isdigit() or check == "A")
    if len(letters) not in {1, 2} or not is_form:
        return False
    marks = [36] * (2 - len(letters)) + [int(mark, 36) for mark in letters + digits + check]
    return sum(mark * weight for mark, weight in zip(marks, range(9, 0, -1), strict=True)) % 11 == 0


_TW_LETTERS = "ABCDEFGHJKLMNPQRSTUVXYWZIO"


def is_tw_id(text: str) -> bool:
    """Whether ``text`` is a Taiwan identity card (second mark 1, 2) or resident certificate (8, 9, A to D).

    >>> is_tw_id("A123456789"), is_tw_id("A123456788")
    (True, False)
    """
    if len(text) != 10 or text[0] not in _TW_LETTERS or text[1] not in "1289ABCD" or not text[2:].isdigit():  # noqa: PLR2004
        return False
    second = text[1] if text[1].isdigit() else str((_TW_LETTERS.index(text[1]) + 10) % 10)
    digits = f"{_TW_LETTERS.index(text[0]) + 10}{second}{text[2:]}"
    weights = (1, 9, 8, 7, 6, 5, 4, 3, 2, 1, 1)
    return sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=True)) % 10 == 0


def is_ssn(digits: str) -> bool:
    """Whether nine digits can be a social security number: no area of 000, 666 or 9xx, no group 00, no serial 0000.

    >>> is_ssn("078051120"), is_ssn("666051120"), is_ssn("078001120")
    (True, False, False)
    """
    area, group, serial = digits[:3], digits[3:5], digits[5:]
    return len(digits) == 9 and area not in {"000", "666"} and area[0] != "9" and group != "00" and serial != "0000"  # noqa: PLR2004


def _is_date(digits: str) -> bool:
    try:
        year = dt.date(int(digits[:4]), int(digits[4:6]), int(digits[6:])).year
    except ValueError:
        return False
    return 1800 <= year < 2100  # noqa: PLR2004 - the centuries that GB 11643 was written for
