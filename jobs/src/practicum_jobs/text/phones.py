"""Telephone numbers: mainland mobiles and fixed lines, and numbers of other countries.

The numbering plan (``phonenumbers``) says what a number can be. A number without its country's code is a telephone
where it is written as one, or where words beside it say so; those words also say which country's it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import phonenumbers

from practicum_jobs.text.digits import END, SEPARATOR, START, is_one_number, read_groups, spell, strip_marks
from practicum_jobs.text.labels import (
    AFTER_CHARS,
    LANDLINE,
    PHONE_WORD,
    counts_something,
    get_before,
    has_phone_label,
)
from practicum_jobs.text.pii_kinds import PiiKind
from practicum_jobs.text.rules import Group, Rule

_CHINA = 86
_NUMERALS = str.maketrans("〇零○一幺壹二贰两三叁四肆五伍六陆七柒八捌九玖", "00011122233445566778899")
_NUMERAL = "[0-9〇零○一幺壹二贰两三叁四肆五伍六陆七柒八捌九玖]"
_MIN_NUMERALS = 6
_MOBILE_CHARS = 11

_COUNTRY = r"\(?(?:\+|00)?86\)?(?: ?- ?|[ ._]{0,2})"
_MOBILE = re.compile(
    rf"(?<![0-9])(?P<country>{_COUNTRY}|0)?(?P<body>1{SEPARATOR}?[3-9](?:{SEPARATOR}?[0-9]){{9}})(?![0-9])"
)
_MOBILE_GROUPS = frozenset(
    {(3, 4, 4), (4, 4, 3), (3, 3, 3, 2), (3, 3, 5), (3, 8), (4, 7), (7, 4), (3, 4, 2, 2), (5, 6), (3, 5, 3)}
)
_QUAD = re.compile(r"(?:(?:25[0-5]|2[0-4][0-9]|[01]?[0-9]{1,2})\.){3}(?:25[0-5]|2[0-4][0-9]|[01]?[0-9]{1,2})")
_SPOKEN = re.compile(rf"(?<!{_NUMERAL})(?<!点)[1一幺壹](?:[ \-]?{_NUMERAL}){{10}}(?!{_NUMERAL})(?![点年月百千万亿])")
_LANDLINE = re.compile(
    rf"{START}(?P<lead>{_COUNTRY}\(?0?|\(?0)(?P<area>10|2[0-9]|[3-9][0-9]{{2}})(?P<joint>\)?[ \-/._]{{0,3}})"
    rf"[2-8][0-9]{{2,3}}{SEPARATOR}?[0-9]{{4}}{END}"
)
_LOCAL = re.compile(rf"{START}{spell('[2-8]', '[0-9]', '6,7')}{END}")
_INTERNATIONAL = re.compile(r"(?<![0-9A-Za-z+])\(?(?:\+|00)[1-9][0-9]{0,2}\)?(?:[ ()\-./]{0,3}[0-9]){5,13}(?![0-9])")
_NATIONAL = re.compile(rf"(?<![0-9A-Za-z.+])(?<![0-9][\-)/])\(?[0-9](?:[ ()\-./]{{0,2}}[0-9]){{7,12}}{END}")
_WRITTEN: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("US", re.compile(r"(?:1[ \-.])?\([2-9][0-9]{2}\) ?[2-9][0-9]{2}[ \-.][0-9]{4}")),
    ("US", re.compile(r"(?:1[ \-.])?[2-9][0-9]{2}([\-.])[2-9][0-9]{2}\1[0-9]{4}")),
    ("JP", re.compile(r"0[5789]0-[0-9]{4}-[0-9]{4}")),
    ("TW", re.compile(r"09[0-9]{2}-[0-9]{3}-?[0-9]{3}|\(0[2-8]\) ?[0-9]{3,4}-[0-9]{4}")),
    ("GB", re.compile(r"07[0-9]{3} [0-9]{6}")),
    ("GB", re.compile(r"\(01[0-9]{3}\) ?[0-9]{6}|\(0(?:20|1[0-9]{2})\) ?[0-9]{3,4} [0-9]{4}")),
)
"""Ways of writing that telephones alone have, by region."""
_REGIONS = re.compile(
    r"(?P<HK>香港|[Hh]ong ?[Kk]ong|\bHK\b)|(?P<TW>台[灣湾]|臺灣|[Tt]aiwan|[Tt]aipei|台北|\bTW\b)"
    r"|(?P<JP>日本|[Jj]apan|携帯|[Tt]okyo|[东東]京|\bJP\b)|(?P<GB>英[国國]|[Bb]ritain|[Ll]ondon|[伦倫]敦|\bUK\b|\bGB\b)"
    r"|(?P<US>美[国國]|America|\bUSA?\b)|(?P<MO>澳[门門]|[Mm]aca[uo])|(?P<SG>新加坡|[Ss]ingapore)|(?P<KR>[韩韓][国國]|[Kk]orea)"
    r"|(?P<DE>德[国國]|[Gg]ermany)|(?P<FR>法[国國]|[Ff]rance)|(?P<AU>澳大利[亚亞]|澳洲|[Aa]ustralia)",
    re.ASCII,
)
"""Words that say which country's telephone it is."""
_TRADITIONAL_LABEL = re.compile("電話|手機|請撥|撥打|聯絡|聯繫|傳真")
_TRADITIONAL = ("TW", "HK", "JP", "MO")
"""Regions where such words are written."""
_LIKELY = ("US", "GB", "JP", "TW")
"""Regions whose national numbers are tried where words say telephone and not which country's."""
_NOBODYS = frozenset(
    {
        phonenumbers.PhoneNumberType.TOLL_FREE,
        phonenumbers.PhoneNumberType.PREMIUM_RATE,
        phonenumbers.PhoneNumberType.SHARED_COST,
        phonenumbers.PhoneNumberType.UAN,
    }
)
_HINT_CHARS = 40
_BESIDE_CHARS = 10
_AREA_SIZES = frozenset({1, 3, 4})
_YEARS = re.compile(r"(?:19|20)[0-9]{2}[^0-9]{0,2}(?:19|20)[0-9]{2}")


def _is_valid(number: str, region: str | None, *, is_chinese: bool, is_named: bool = False) -> bool:
    """Whether the numbering plan has a number; of what words call a telephone the length is enough."""
    try:
        parsed = phonenumbers.parse(number, region)
    except phonenumbers.NumberParseException:
        return False
    if (parsed.country_code == _CHINA) != is_chinese:
        return False
    if not phonenumbers.is_valid_number(parsed):
        return is_named and phonenumbers.is_possible_number(parsed)
    return phonenumbers.number_type(parsed) not in _NOBODYS


def _is_mobile(match: re.Match[str]) -> bool:
    text, (start, end) = match.string, match.span("body")
    sizes, separators = read_groups(match["body"])
    rest = text[start:] if match["country"] else text
    shift = start if match["country"] else 0
    is_labelled = has_phone_label(text, match.start())
    if not is_one_number(rest, start - shift, end - shift, _MOBILE_GROUPS if is_labelled else frozenset()):
        return False
    if counts_something(text, match.start(), end) or _QUAD.fullmatch(match["body"]) or match["body"].endswith("000000"):
        return False
    before, after = text[match.start() - 1 : match.start()], text[end : end + 1]
    is_glued = before.isascii() and before.isalpha()
    if is_glued and not PHONE_WORD.search(get_before(text, match.start())):
        return False
    if not is_glued and after.isascii() and after.isalpha():
        return False
    is_usual = sizes in _MOBILE_GROUPS and not separators & {",", "/"}
    return is_usual or set(sizes) in ({1}, {_MOBILE_CHARS}) or is_labelled


def _is_spoken(match: re.Match[str]) -> bool:
    digits = strip_marks(match[0].translate(_NUMERALS))
    num_numerals = sum(not mark.isascii() for mark in match[0])
    return num_numerals >= _MIN_NUMERALS and digits[1] in "3456789"


def _is_landline(match: re.Match[str]) -> bool:
    text = match.string
    if counts_something(text, match.start(), match.end()):
        return False
    is_joined = not match["joint"] and match["lead"] in {"0", "86", "0086"}
    if is_joined and not has_phone_label(text, match.start()):
        return False
    number = "0" + match["area"] + strip_marks(match[0][match.end("joint") - match.start() :])
    return _is_valid(number, "CN", is_chinese=True)


def _is_local(match: re.Match[str]) -> bool:
    before = get_before(match.string, match.start())
    return (
        LANDLINE.search(before) is not None
        and not _list_hinted(match)
        and is_one_number(match.string, match.start(), match.end(), {(4, 4), (3, 4)})
    )


def _has_area_code(match: re.Match[str]) -> bool:
    """Whether the first group can be a Chinese area code, where there are groups."""
    sizes, _ = read_groups(match[0])
    return match[0].lstrip("(").startswith("0") and (len(sizes) == 1 or sizes[0] in _AREA_SIZES)


def _is_labelled_chinese(match: re.Match[str]) -> bool:
    digits = strip_marks(match[0])
    if not _has_area_code(match) or not has_phone_label(match.string, match.start()):
        return False
    return not counts_something(match.string, match.start(), match.end()) and _is_valid(digits, "CN", is_chinese=True)


def _is_international(match: re.Match[str]) -> bool:
    number = match[0].lstrip("(")
    number = f"+{number[2:]}" if number.startswith("00") else number
    return _is_valid(number, None, is_chinese=False, is_named=has_phone_label(match.string, match.start()))


def _list_hinted(match: re.Match[str]) -> list[str]:
    text = match.string
    around = get_before(text, match.start(), _HINT_CHARS) + " " + text[match.end() : match.end() + AFTER_CHARS]
    hinted = [found.lastgroup for found in _REGIONS.finditer(around) if found.lastgroup]
    is_london = around.isascii() and match[0].startswith("020") and read_groups(match[0])[0] == (3, 4, 4)
    return ["GB"] if is_london and not hinted else hinted


def _is_of_any(match: re.Match[str], regions: Iterable[str], *, is_named: bool = False) -> bool:
    return any(_is_valid(match[0], region, is_chinese=False, is_named=is_named) for region in regions)


def _is_hinted(match: re.Match[str]) -> bool:
    text, start = match.string, match.start()
    named = _list_hinted(match)
    written = _TRADITIONAL if _TRADITIONAL_LABEL.search(get_before(text, start)) else ()
    if not (named or written) or counts_something(text, start, match.end()):
        return False
    if not has_phone_label(text, start):
        is_beside = _REGIONS.search(get_before(text, start, _BESIDE_CHARS)) is not None
        return is_beside and not _YEARS.fullmatch(match[0]) and _is_of_any(match, named)
    is_possible = not (_has_area_code(match) and _is_valid(match[0], "CN", is_chinese=True))
    return _is_of_any(match, named, is_named=is_possible) or _is_of_any(match, written)


def _is_national(match: re.Match[str]) -> bool:
    if counts_something(match.string, match.start(), match.end()):
        return False
    regions = [region for region, written in _WRITTEN if written.fullmatch(match[0])]
    is_named = has_phone_label(match.string, match.start())
    if _is_of_any(match, regions) or (is_named and _is_of_any(match, _LIKELY)):
        return True
    return is_named and "GB" in regions and _is_of_any(match, ("GB",), is_named=True)


PHONE_RULES = (
    Rule(PiiKind.PHONE, _INTERNATIONAL, _is_international, needs=("+", "00"), min_size=7),
    Rule(PiiKind.PHONE, _NATIONAL, _is_hinted),
    Rule(PiiKind.CN_MOBILE, _MOBILE, _is_mobile, min_size=11),
    Rule(PiiKind.CN_LANDLINE, _LANDLINE, _is_landline),
    Rule(PiiKind.CN_LANDLINE, _NATIONAL, _is_labelled_chinese),
    Rule(PiiKind.CN_LANDLINE, _LOCAL, _is_local),
    Rule(PiiKind.PHONE, _NATIONAL, _is_national),
)
SPOKEN_GROUP = Group(None, (Rule(PiiKind.CN_MOBILE, _SPOKEN, _is_spoken, needs=("一", "幺", "壹")),))
