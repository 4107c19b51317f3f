"""Detection of text that was damaged by wrong decoding: replacement characters, control characters, mojibake."""

from __future__ import annotations

import re
from enum import StrEnum


class EncodingDefect(StrEnum):
    """How a text is damaged."""

    REPLACEMENT = "replacement_character"
    """Holds U+FFFD, or what remains of it after a second wrong decoding: the original bytes are lost."""
    MOJIBAKE = "mojibake"
    """UTF-8 that was read as Latin-1, Windows-1252 or GBK; decoding it back gives sensible text."""
    CONTROL = "control_character"
    """Holds control characters other than tab and line ends."""


_SUSPECT = re.compile(
    "[\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f-\\xff\u0152\u0153\u0160\u0161\u0178\u017d\u017e\u0192"
    "\u02c6\u02dc\u2018-\u201e\u2020-\u2022\u2026\u2030\u2039\u203a\u20ac\u2122\ufffd"
    "\u951f\u9225\u9286\u951b\u6d93\u9428\u93c4\u9359\u93b4\u7487\u7ed4\u9470\u93c8\u95ab]"
)
"""What any defect holds at least one of. The ideographs are what common Chinese UTF-8 lead bytes look like in GBK."""
_CONTROL = re.compile("[\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f]")
_LATIN_RUN = re.compile(
    "[\u0080-\u00ff\u0152\u0153\u0160\u0161\u0178\u017d\u017e\u0192\u02c6\u02dc\u2013\u2014"
    "\u2018-\u201e\u2020-\u2022\u2026\u2030\u2039\u203a\u20ac\u2122]{2,}"
)
_IDEOGRAPH_RUN = re.compile("[\u20ac\u3000-\u303f\u3400-\u9fff\ue000-\uf8ff\uff00-\uffef?]{3,}")
_MIN_SENSIBLE = 2
_LOST_GBK = "\u951f\u65a4\u62f7"
"""Two replacement characters, written as UTF-8 and read as GBK."""


def find_defects(text: str) -> list[EncodingDefect]:
    r"""Return how ``text`` is damaged, each kind once.

    >>> find_defects("caf\u00e9 ok"), find_defects("it\u00e2\u20ac\u2122s")
    ([], [<EncodingDefect.MOJIBAKE: 'mojibake'>])
    """
    if text.isascii() and text.isprintable():
        return []
    if not _SUSPECT.search(text):
        return []
    defects = []
    if "\ufffd" in text or _LOST_GBK in text:
        defects.append(EncodingDefect.REPLACEMENT)
    if any(_is_misread_latin(run) for run in _LATIN_RUN.findall(text)) or _is_misread_gbk(text):
        defects.append(EncodingDefect.MOJIBAKE)
    if _CONTROL.search(text):
        defects.append(EncodingDefect.CONTROL)
    return defects


def _is_misread_latin(run: str) -> bool:
    """Whether the run's bytes in Windows-1252 (Latin-1 where that has none) are UTF-8 of something else."""
    try:
        raw = b"".join(_to_byte(mark) for mark in run)
    except UnicodeEncodeError:
        return False
    # A cut-off sequence at the end is common: a space or an ASCII letter swallowed the last byte.
    decoded = raw.decode("utf-8", "ignore")
    return bool(decoded) and len(decoded.encode()) >= len(raw) - 3 and len(decoded.encode()) >= 2  # noqa: PLR2004


def _to_byte(mark: str) -> bytes:
    try:
        return mark.encode("cp1252")
    except UnicodeEncodeError:
        return mark.encode("latin-1")


def _is_misread_gbk(text: str) -> bool:
    """Whether a run of ideographs is UTF-8 text that was read as GBK."""
    for run in _IDEOGRAPH_RUN.findall(text):
        decoded = run.encode("gb18030", "ignore").decode("utf-8", "ignore")
        num_sensible = sum("\u4e00" <= mark <= "\u9fff" for mark in decoded)
        # Read rightly, Chinese of n marks has 2n bytes in GBK and gives 2n/3 marks; by chance next to none decode.
        if num_sensible >= _MIN_SENSIBLE and num_sensible * 3 >= 0.7 * 2 * len(run):
            return True
    return False
