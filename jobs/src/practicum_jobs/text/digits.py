"""Digits that are written in groups: patterns for them, and whether the groups are one number.

A number is written with one separator throughout. What has another digit beside it after the same separator is a
part of something longer, unless its groups are those in which the kind is usually written.
"""

from __future__ import annotations

import re
from collections.abc import Set as AbstractSet

SEPARATOR = r"(?: - |  |[ \-._/·,])"
"""What may stand between two groups; the form of the text has brought dashes and spaces to one."""
SEVEN_DIGITS = re.compile(
    r"[0-9](?:[^0-9A-Za-z\u4e00-\u9fff]{0,3}+[0-9]){5}"
    r"(?:(?:[^0-9A-Za-z\u4e00-\u9fff]{0,3}+[0-9])++| ?\( ?[Aa]|[Aa](?![0-9A-Za-z]))"
)
"""Seven digits or more, whatever stands between them, or six and the check mark of a Hong Kong card."""
START = r"(?<![0-9A-Za-z])"
END = r"(?![0-9A-Za-z])"
_SEPARATED = re.compile(SEPARATOR)
_NOT_MARKS = re.compile(r"[^0-9A-Za-z]")
_EXACT = frozenset({",", "/"})
"""Separators that also stand in lists and ratios: only single digits or usual groups are one number."""

Sizes = tuple[int, ...]


def spell(first: str, rest: str, count: int | str) -> str:
    """Return a pattern of a first mark and ``count`` further ones, each after a separator or none.

    >>> re.fullmatch(spell("1", "[0-9]", 3), "1-2 34")[0]
    '1-2 34'
    """
    return rf"{first}(?:{SEPARATOR}?{rest}){{{count}}}"


def strip_marks(value: str) -> str:
    """Return the letters and digits alone.

    >>> strip_marks("A 123-456(7)")
    'A1234567'
    """
    return _NOT_MARKS.sub("", value)


def read_groups(value: str) -> tuple[Sizes, set[str]]:
    """Return the sizes of the groups and the separators between them.

    >>> read_groups("138-0013-8000")
    ((3, 4, 4), {'-'})
    """
    return tuple(len(group) for group in _SEPARATED.split(value)), set(_SEPARATED.findall(value))


def is_one_number(text: str, start: int, end: int, usual: AbstractSet[Sizes] = frozenset()) -> bool:
    """Whether the groups from ``start`` to ``end`` are a number of their own.

    Args:
        text: The form of the text.
        start: Where the number begins.
        end: Where it ends.
        usual: Sizes of groups in which the kind is usually written.

    >>> is_one_number("4 138 0013", 2, 10), is_one_number("4 138 0013", 2, 10, {(3, 4)})
    (False, True)
    >>> is_one_number("0.13800138000", 2, 13), is_one_number("138 0013-8000", 0, 13)
    (False, False)
    """
    sizes, separators = read_groups(text[start:end])
    if len(separators) > 1:
        return False
    if not separators:
        is_fraction = text[start - 1 : start] == "." and not text[start - 2 : start - 1].isalpha()
        return not is_fraction and not (text[end : end + 1] == "." and text[end + 1 : end + 2].isdigit())
    if sizes in usual:
        return True
    separator = next(iter(separators))
    if separator in _EXACT and set(sizes) != {1}:
        return False
    width = len(separator)
    continues_left = text[max(0, start - width) : start] == separator and text[: max(0, start - width)][-1:].isdigit()
    continues_right = text.startswith(separator, end) and text[end + width : end + width + 1].isdigit()
    return not continues_left and not continues_right
