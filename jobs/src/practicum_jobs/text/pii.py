r"""Decides which parts of a text are personal data, by kind, and how they are masked.

Text is normalised to NFKC first, because full-width digits defeat every pattern. Borders are ASCII look-arounds, not
``\b``: to Python an ideograph is a word character, so ``\b`` misses whatever is glued to Chinese text. Names and
addresses are not looked for: without a model they cannot be told from other words.

What a kind must pass: checksums where the number has one (:mod:`practicum_jobs.text.identifiers`), the numbering
plan where it is a telephone (``phonenumbers``), the public address space where it is an IP address.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

import phonenumbers

from practicum_jobs.text.identifiers import is_bank_card, is_resident_id, is_uscc


class PiiKind(StrEnum):
    """What personal data is of."""

    CN_RESIDENT_ID = "cn_resident_id"
    """Resident identity number, 18 or legacy 15."""
    CN_USCC = "cn_uscc"
    """Unified social credit code of an organisation."""
    BANK_CARD = "bank_card"
    """Payment card number."""
    CN_MOBILE = "cn_mobile"
    """Mainland mobile number."""
    CN_LANDLINE = "cn_landline"
    """Mainland fixed line with its area code."""
    CN_PLATE = "cn_plate"
    """Vehicle plate."""
    CN_PASSPORT = "cn_passport"
    """Passport or travel permit number."""
    EMAIL = "email"
    """E-mail address."""
    IPV4 = "ipv4"
    """Public IPv4 address."""
    PHONE = "phone"
    """Telephone number of another country."""


@dataclass(frozen=True, slots=True)
class Match:
    """A place in the normalised text. ``kind`` is a :class:`PiiKind` or a kind of secret."""

    kind: str
    start: int
    end: int


_PROVINCE = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼"
_BEFORE = r"(?<![0-9A-Za-z])"
_AFTER = r"(?![0-9A-Za-z])"

_TRIGGER = re.compile(
    rf"[0-9０-９@＠{_PROVINCE}]"
    r"(?:(?<=[@＠])|(?<=[0-9])(?:[ ()\-]{0,2}[0-9]){6}|(?<=[0-9])\.[0-9]{1,3}\.[0-9]"
    rf"|(?<=[０-９])|(?<=[{_PROVINCE}])[A-Zａ-ｚＡ-Ｚa-z])"
)
"""What a text must hold to be worth a closer look; its first character is one class, which ``re`` scans for fast."""

_EMAIL = re.compile(
    r"(?<![0-9A-Za-z._%+\-])[0-9A-Za-z][0-9A-Za-z._%+\-]{0,63}@(?:[0-9A-Za-z](?:[0-9A-Za-z\-]{0,61}[0-9A-Za-z])?\.)+"
    r"[A-Za-z]{2,24}(?![0-9A-Za-z\-])"
)
_IPV4 = re.compile(r"(?<![0-9A-Za-z.])[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?![0-9A-Za-z]|\.[0-9])")
_VERSION = re.compile(r"(?:version|release|版本|版)[\s:：号]*$", re.IGNORECASE)
_RESIDENT = re.compile(
    rf"{_BEFORE}(?:[1-8][0-9]{{5}}[ \-]?(?:18|19|20)[0-9]{{6}}[ \-]?[0-9]{{3}}[0-9Xx]|[1-8][0-9]{{14}}){_AFTER}"
)
_USCC = re.compile(rf"{_BEFORE}[0-9A-HJ-NPQRTUWXY]{{2}}[0-9]{{6}}[0-9A-HJ-NPQRTUWXY]{{10}}{_AFTER}")
_CARD = re.compile(
    rf"{_BEFORE}(?:[2-6][0-9]{{12,18}}|[2-6][0-9]{{3}}(?:[ \-][0-9]{{4}}){{3}}(?:[ \-]?[0-9]{{1,3}})?){_AFTER}"
)
_MOBILE = re.compile(rf"{_BEFORE}(?:(?:\+|00)?86[ \-]?)?1[3-9][0-9](?:[ \-]?[0-9]{{4}}){{2}}{_AFTER}")
_AREA = r"(?:10|2[0-9]|[3-9][0-9]{2})"
_LANDLINE = re.compile(
    rf"{_BEFORE}(?:(?:\+|00)86[ \-]?\(?0?|\(?0){_AREA}\)?[ \-]?[2-8][0-9]{{2,3}}[ \-]?[0-9]{{4}}{_AFTER}"
)
_MARK = "[0-9A-HJ-NP-Z]"
_PLATE = re.compile(
    rf"[{_PROVINCE}][A-HJ-NP-Z][ ·•]?"
    rf"(?:{_MARK}{{4}}[0-9A-HJ-NP-Z挂学警港澳]|[DF]{_MARK}[0-9]{{4}}|[0-9]{{5}}[DF]){_AFTER}"
)
_PASSPORT = re.compile(rf"{_BEFORE}(?:[EG][0-9]{{8}}|E[A-HJ-NP-Z][0-9]{{7}}|[DSPHCM][0-9]{{8}}){_AFTER}")
_PASSPORT_CONTEXT = re.compile(r"护照|通行证|证件|passport|travel document", re.IGNORECASE)
_CONTEXT_CHARS = 40
_INTERNATIONAL = re.compile(rf"(?<![0-9A-Za-z])(?:\+|00)[1-9][0-9]{{0,2}}(?:[ ()\-.]{{0,2}}[0-9]){{5,13}}{_AFTER}")
_NATIONAL = re.compile(
    rf"{_BEFORE}(?:\([2-9][0-9]{{2}}\) ?|[2-9][0-9]{{2}}[\-.])[2-9][0-9]{{2}}[\-.][0-9]{{4}}{_AFTER}"
)
_MIN_PLATE_DIGITS = 2
_NEEDS = {PiiKind.EMAIL: "@", PiiKind.IPV4: "."}
"""What a kind's every match holds; looking for it first is quicker than the pattern."""
_SEPARATORS = str.maketrans("", "", " -()")


def normalise_for_search(text: str) -> str:
    """Return the text in which :func:`find_pii` gives positions: NFKC."""
    return text if text.isascii() else unicodedata.normalize("NFKC", text)


def find_pii(text: str) -> list[Match]:
    """Return personal data in ``text``, in order, without overlaps; positions are in the NFKC form of the text.

    >>> [match.kind for match in find_pii("我的邮箱zhang.san@example.com,手机１３８００１３８０００谢谢")]
    ['email', 'cn_mobile']
    """
    if not _TRIGGER.search(text):
        return []
    normal = normalise_for_search(text)
    found: list[Match] = []
    for kind, pattern, is_valid in _RULES:
        if _NEEDS.get(kind, "") not in normal:
            continue
        for match in pattern.finditer(normal):
            if is_valid(match) and not _overlaps(found, match.start(), match.end()):
                found.append(Match(kind.value, match.start(), match.end()))
    return sorted(found, key=lambda place: place.start)


def mask_value(value: str) -> str:
    """Mask one piece of personal data or one secret, leaving at most a fifth of it and no more than four characters.

    >>> mask_value("13800138000"), mask_value("a@b.cn"), mask_value("zhang.san@example.com")
    ('1*********0', 'a*****', 'zh*****************om')
    """
    kept = min(len(value) // 10, 2)
    if not kept:
        return value[:1] + "*" * (len(value) - 1)
    return value[:kept] + "*" * (len(value) - 2 * kept) + value[-kept:]


def mask_matches(normal: str, matches: Iterable[Match]) -> str:
    """Mask places of a normalised text; places may overlap and come in any order.

    >>> mask_matches("call 13800138000!", [Match("cn_mobile", 5, 16)])
    'call 1*********0!'
    """
    masked = list(normal)
    for match in matches:
        masked[match.start : match.end] = mask_value("".join(masked[match.start : match.end]))
    return "".join(masked)


def _overlaps(found: list[Match], start: int, end: int) -> bool:
    return any(start < match.end and match.start < end for match in found)


def _is_resident(match: re.Match[str]) -> bool:
    return is_resident_id(match[0].translate(_SEPARATORS))


def _is_card(match: re.Match[str]) -> bool:
    return is_bank_card(match[0].translate(_SEPARATORS))


def _is_public_address(match: re.Match[str]) -> bool:
    try:
        address = ipaddress.IPv4Address(match[0])
    except ValueError:
        return False
    return address.is_global and not address.is_multicast and not _VERSION.search(match.string[: match.start()])


def _is_plate(match: re.Match[str]) -> bool:
    return sum(mark.isdigit() for mark in match[0]) >= _MIN_PLATE_DIGITS


def _is_passport(match: re.Match[str]) -> bool:
    if match[0][0] in "EG":
        return True
    around = match.string[max(0, match.start() - _CONTEXT_CHARS) : match.end() + _CONTEXT_CHARS]
    return _PASSPORT_CONTEXT.search(around) is not None


def _build_phone_check(region: str | None, *, is_foreign: bool) -> Callable[[re.Match[str]], bool]:
    def is_phone(match: re.Match[str]) -> bool:
        number = match[0]
        if number.startswith("00"):
            number = f"+{number[2:]}"
        try:
            parsed = phonenumbers.parse(number, region)
        except phonenumbers.NumberParseException:
            return False
        is_chinese = parsed.country_code == 86  # noqa: PLR2004 - ITU E.164
        return is_chinese != is_foreign and phonenumbers.is_valid_number(parsed)

    return is_phone


_RULES: tuple[tuple[PiiKind, re.Pattern[str], Callable[[re.Match[str]], bool]], ...] = (
    (PiiKind.EMAIL, _EMAIL, lambda _: True),
    (PiiKind.IPV4, _IPV4, _is_public_address),
    (PiiKind.CN_RESIDENT_ID, _RESIDENT, _is_resident),
    (PiiKind.CN_USCC, _USCC, lambda match: is_uscc(match[0])),
    (PiiKind.BANK_CARD, _CARD, _is_card),
    (PiiKind.PHONE, _INTERNATIONAL, _build_phone_check(None, is_foreign=True)),
    (PiiKind.CN_MOBILE, _MOBILE, lambda _: True),
    (PiiKind.CN_LANDLINE, _LANDLINE, _build_phone_check("CN", is_foreign=False)),
    (PiiKind.PHONE, _NATIONAL, _build_phone_check("US", is_foreign=True)),
    (PiiKind.CN_PLATE, _PLATE, _is_plate),
    (PiiKind.CN_PASSPORT, _PASSPORT, _is_passport),
)
"""Most specific first: a place taken by one rule is not given to a later one."""
