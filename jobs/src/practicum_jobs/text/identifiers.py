"""Decides whether a string of digits and letters is a valid Chinese identifier: checksums, dates, regions.

Pure functions over strings that were already normalised and stripped of separators. Refuses to know where in a
text they were found.
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
    (34, 34, 2, frozenset({15})),  # American Express
    (37, 37, 2, frozenset({15})),  # American Express
    (3528, 3589, 4, frozenset({16})),  # JCB
    (6011, 6011, 4, frozenset({16})),  # Discover
    (644, 659, 3, frozenset({16})),  # Discover
)
"""First and last value of a leading number, its digits, and lengths of the whole (ISO/IEC 7812 issuer ranges)."""


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


def _is_date(digits: str) -> bool:
    try:
        year = dt.date(int(digits[:4]), int(digits[4:6]), int(digits[6:])).year
    except ValueError:
        return False
    return 1800 <= year < 2100  # noqa: PLR2004 - the centuries that GB 11643 was written for
