r"""Personal data in a text, by kind, and how it is masked.

A gate looks first, at the text in NFKC and lower case, whether there is anything to look for at all; it is quick, and
most rows end there. The rest is searched in its :class:`~practicum_jobs.text.search_form.SearchForm`, rule by rule.
Borders are ASCII look-arounds, not ``\b``: to Python an ideograph is a word character, so ``\b`` misses whatever is
glued to Chinese text. Names and addresses are not looked for: without a model they cannot be told from other words.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from practicum_jobs.text.addresses import MACHINE_GROUPS, MAIL_GROUPS
from practicum_jobs.text.digits import SEVEN_DIGITS
from practicum_jobs.text.documents import ACCOUNT_GROUP, NUMBER_RULES, OTHER_GROUP, PROVINCE
from practicum_jobs.text.phones import PHONE_RULES, SPOKEN_GROUP
from practicum_jobs.text.rules import Group, find_places, has_any
from practicum_jobs.text.search_form import Match, SearchForm, fold_for_gate

_NUMERALS = "〇零一幺壹二贰两三叁四肆五伍六陆七柒八捌九玖"
_UNSEEN = "\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufe00-\ufe0f\ufeff"
_GAP = r"[^0-9a-z\u4e00-\u9fff]{0,3}+"
_AFTER_DIGIT = (
    rf"(?:{_GAP}[0-9]){{5}}(?:{_GAP}[0-9]| ?\( ?a|a(?![0-9a-z]))"
    r"|\.[0-9]{1,3}\.[0-9]|[0-9a-f]{0,3}+:[0-9a-f]{0,4}+:"
    r"|[0-9a-f]?-[0-9a-f]{2}-[0-9a-f]{2}-|[0-9a-f]{0,3}\.[0-9a-f]{4}(?![0-9a-z])"
    r"|(?<=[a-z]{2}[0-9])(?<![0-9a-z][a-z]{2}[0-9])[0-9](?:[ \-]?[0-9a-z]{4}){2}"
)
_ASCII_GATE = re.compile(rf"[0-9@](?:(?<=[0-9])(?:{_AFTER_DIGIT})|(?<=@))")
_GATE = re.compile(
    rf"[0-9@{PROVINCE}{_NUMERALS}{_UNSEEN}](?:(?<=[0-9])(?:{_AFTER_DIGIT})|(?<=[@{_UNSEEN}])"
    rf"|(?<=[{PROVINCE}]) ?[a-z]|(?<=[{_NUMERALS}])(?:[ \-]?[0-9{_NUMERALS}]){{10}})"
)
"""What a text must hold to be worth a closer look; its first character is one class, which ``re`` scans for fast."""
_BARE_CARD = re.compile(r"mac.{0,16}[0-9a-f]{12}")
_WORDS_ZH = ("微信", "薇信", "威信", "v信", "加v", "扣扣", "企鹅", "q号")
_WORDS = ("qq", "wx", "vx", "wechat", "weixin", " dot ")
_BRACKETS = (")", "]", "}", ">")
_CLOSED_AT = ("at]", "at)", "at}", "at>")
_GROUPS = (
    *MAIL_GROUPS,
    *MACHINE_GROUPS,
    ACCOUNT_GROUP,
    OTHER_GROUP,
    Group(SEVEN_DIGITS, NUMBER_RULES + PHONE_RULES, before=10, after=36),
    SPOKEN_GROUP,
)


def _is_worth_while(folded: str) -> bool:
    """Whether a text holds a sign or a word beside which personal data stands."""
    if folded.isascii():
        if _ASCII_GATE.search(folded):
            return True
    elif _GATE.search(folded) or has_any(folded, _WORDS_ZH):
        return True
    if has_any(folded, _WORDS) or ("%" in folded and "%40" in folded):
        return True
    if has_any(folded, _BRACKETS) and has_any(folded, _CLOSED_AT):
        return True
    return "mac" in folded and _BARE_CARD.search(folded) is not None


def find_pii(text: str, folded: str | None = None) -> list[Match]:
    """Return personal data in ``text``, in order, without overlaps.

    Args:
        text: Any text.
        folded: The text in NFKC and lower case or case folded, where a caller has it.

    >>> [match.kind for match in find_pii("我的邮箱zhang.san@example.com,手机１３８００１３８０００谢谢")]
    ['email', 'cn_mobile']
    """
    folded = fold_for_gate(text) if folded is None else folded
    if not _is_worth_while(folded):
        return []
    form = SearchForm(text)
    return sorted((form.locate(*place) for place in find_places(_GROUPS, form.text)), key=lambda match: match.start)


def mask_value(value: str) -> str:
    """Mask one piece of personal data or one secret, leaving at most a fifth of it and no more than four characters.

    >>> mask_value("13800138000"), mask_value("a@b.cn"), mask_value("zhang.san@example.com")
    ('1*********0', 'a*****', 'zh*****************om')
    """
    kept = min(len(value) // 10, 2)
    if not kept:
        return value[:1] + "*" * (len(value) - 1)
    return value[:kept] + "*" * (len(value) - 2 * kept) + value[-kept:]


def mask_matches(text: str, matches: Iterable[Match]) -> str:
    """Mask places of a text, and whatever repeats them; places may overlap and come in any order.

    >>> mask_matches("call 13800138000!", [Match("cn_mobile", 5, 16)])
    'call 1*********0!'
    """
    places = list(matches)
    masked = list(text)
    for match in places:
        masked[match.start : match.end] = mask_value("".join(masked[match.start : match.end]))
    whole = "".join(masked)
    for value in {text[match.start : match.end] for match in places}:
        whole = whole.replace(value, mask_value(value))
    return whole
