"""Addresses: of mail, of machines on the internet, of network cards."""

from __future__ import annotations

import ipaddress
import re

import phonenumbers

from practicum_jobs.text.labels import SIGN, get_before, has_label
from practicum_jobs.text.pii_kinds import PiiKind
from practicum_jobs.text.rules import Group, Rule

_LOCAL = r"(?<![0-9A-Za-z._%+\-])(?P<local>[0-9A-Za-z_][0-9A-Za-z._%+\-]{0,63})"
_LABEL = r"[0-9A-Za-z](?:[0-9A-Za-z\-]{0,61}[0-9A-Za-z])?"
_TOP = r"(?P<top>[A-Za-z]{2,24})(?![0-9A-Za-z\-]|\.[0-9A-Za-z])"
_EMAIL = re.compile(rf"{_LOCAL}(?:@|%40)(?P<host>{_LABEL})(?:\.{_LABEL})*?\.{_TOP}")
_LOOSE = re.compile(
    rf"{_LOCAL}(?: ?@ ?| ?[\[({{<] ?(?:at|AT|@) ?[\])}}>] ?)(?P<host>{_LABEL})"
    rf"(?:(?:\.| ?[\[({{<] ?(?:dot|DOT|\.) ?[\])}}>] ?){_LABEL})*?(?:\.| ?[\[({{<] ?(?:dot|DOT|\.) ?[\])}}>] ?){_TOP}"
)
_SPOKEN = re.compile(rf"{_LOCAL} (?:at|AT) (?P<host>{_LABEL})(?: (?:dot|DOT) {_LABEL})*? (?:dot|DOT) {_TOP}")
_MAIL_LABEL = re.compile(r"邮|郵|mail|contact|联系", re.IGNORECASE)
_USED_TOPS = frozenset({
    "uk", "eu", "su", "com", "net", "org", "edu", "gov", "mil", "int", "info", "biz", "name", "pro", "app", "dev",
    "xyz", "top", "site", "online", "shop", "club", "tech", "store", "cloud", "live", "mobi", "asia", "academy",
    "email", "work", "team", "group", "vip", "wang", "ren", "ltd", "ink", "fun", "art", "blog", "space", "website",
    "link", "press", "wiki", "center", "today", "world", "life", "city", "company", "network", "systems",
    "solutions", "digital", "agency", "studio", "design", "media", "news", "school", "university", "institute",
    "science", "engineering", "health", "care", "finance", "bank", "law", "games", "video", "zone", "host", "page",
    "codes", "software", "services", "support", "international", "global", "green", "earth", "jobs", "museum",
    "aero", "coop", "travel", "cat", "tel", "post", "arpa",
})  # fmt: skip
_TOPS = frozenset(region.lower() for region in phonenumbers.SUPPORTED_REGIONS) | _USED_TOPS
"""All of two letters (ISO 3166) and the most used others; the rest count beside a word for mail."""
_FILES = frozenset({
    "png", "jpg", "jpeg", "gif", "svg", "webp", "bmp", "ico", "css", "js", "ts", "py", "md", "sh", "rs", "pl", "so",
    "cc", "ps", "json", "yaml", "yml", "xml", "html", "htm", "txt", "csv", "log", "pdf", "zip", "gz", "tar", "whl",
})  # fmt: skip
_SCALE = re.compile(r"[0-9]+(?:\.[0-9]+)?x", re.IGNORECASE)
_USER_OF_URL = re.compile(r"://[^\s/@]*$")

_IPV4 = re.compile(r"(?<![0-9A-Za-z.])(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?![0-9A-Za-z]|\.[0-9])")
_NO_ADDRESS_BEFORE = re.compile(
    r"(?:version|release|v|ver|build|版本|版|升级到|升级至|更新到|section|sec\.?|chapter|clause|appendix|figure|fig\.?"
    r"|table|§+|第|图|表|附录|章节|小节|见|节|条款|条|==|>=|<=|~=|firmware|driver|kernel|patch|sdk"
    r"|固件|驱动|内核|补丁|软件)(?:号)?[\s:=(]*$|(?<![.A-Za-z])[A-Za-z]+/$",
    re.IGNORECASE,
)
_NO_ADDRESS_AFTER = re.compile(r"\s?(?:版|节|章|条|小节|所示|号)")
_ADDRESS_LABEL = re.compile(
    r"(?<![a-z])ip(?:v4)?(?![a-z])|addr|地址|服务器|主机|登录|登陆|来自|访问|网关|host|server|client|login|logged|from|dns"
    r"|ping|ssh|remote|connect|proxy|gateway|node|请求|://",
    re.IGNORECASE,
)
_SMALL_OCTET = 32
"""Section and version numbers have parts below this; an address of such parts alone needs words that name it."""

_IPV6 = re.compile(
    r"(?<![0-9A-Za-z.])[23][0-9a-f]{3}:[0-9a-f:]{2,34}(?:(?:[0-9]{1,3}\.){3}[0-9]{1,3})?(?![0-9A-Za-z:])", re.IGNORECASE
)
_GROUP_BEFORE = re.compile(r"(?:(?<![0-9A-Za-z])[0-9A-Fa-f]{1,4}:|::)$")
_IPV6_DOCUMENTATION = ipaddress.IPv6Network("3fff::/20")
_HEX = "[0-9A-Fa-f]"
_MAC = re.compile(
    rf"(?<![0-9A-Za-z])(?<!{_HEX}[:\-.]){_HEX}{{2}}"
    rf"(?P<joint>[:\-])(?:{_HEX}{{2}}(?P=joint)){{4}}{_HEX}{{2}}(?![0-9A-Za-z]|[:\-]{_HEX})"
    rf"|(?<![0-9A-Za-z])(?<!{_HEX}[:\-.]){_HEX}{{4}}\.{_HEX}{{4}}\.{_HEX}{{4}}(?![0-9A-Za-z]|\.{_HEX})"
)
_MAC_BARE = re.compile(
    rf"(?<![A-Za-z])mac(?:[ _\-]?addr(?:ess)?|地址)?{SIGN}(?P<value>{_HEX}{{12}})(?![0-9A-Za-z])",
    re.IGNORECASE,
)


def _is_mail(match: re.Match[str]) -> bool:
    top = match["top"].lower()
    if top in _FILES and (top not in _TOPS or _SCALE.fullmatch(match["host"])):
        return False
    if match["local"].lower() == "git" or _SCALE.fullmatch(match["host"]):
        return False
    text = match.string
    if text[match.end() : match.end() + 1] == "(" or _USER_OF_URL.search(get_before(text, match.start(), 80)):
        return False
    return top in _TOPS or _MAIL_LABEL.search(get_before(text, match.start())) is not None


def _is_public_address(match: re.Match[str]) -> bool:
    text = match.string
    try:
        address = ipaddress.IPv4Address(match[0])
    except ValueError:
        return False
    if not address.is_global or address.is_multicast:
        return False
    before = get_before(text, match.start())
    if _NO_ADDRESS_BEFORE.search(before) or _NO_ADDRESS_AFTER.match(text, match.end()):
        return False
    is_small = all(octet < _SMALL_OCTET for octet in address.packed)
    return not is_small or len(set(address.packed)) == 1 or has_label(_ADDRESS_LABEL, text, *match.span())


def _is_public_v6(match: re.Match[str]) -> bool:
    try:
        address = ipaddress.IPv6Address(match[0])
    except ValueError:
        return False
    if _GROUP_BEFORE.search(get_before(match.string, match.start(), 8)):
        return False
    return address.is_global and not address.is_multicast and address not in _IPV6_DOCUMENTATION


def _is_card_address(match: re.Match[str]) -> bool:
    marks = re.sub("[^0-9a-f]", "", match[0].lower())
    is_blank = set(marks) in ({"0"}, {"f"})
    has_letter = any(mark.isalpha() for mark in marks)
    is_named = re.search("mac|ether|硬件", get_before(match.string, match.start()), re.IGNORECASE) is not None
    return not is_blank and (has_letter or match["joint"] == ":" or is_named)


def _is_bare_card_address(match: re.Match[str]) -> bool:
    return set(match["value"].lower()) not in ({"0"}, {"f"})


MAIL_GROUPS = (
    Group(
        re.compile(r"[@%\[({<](?:(?<=@)|40| ?(?:at|AT))"),
        (Rule(PiiKind.EMAIL, _EMAIL, _is_mail, needs=("@", "%40")), Rule(PiiKind.EMAIL, _LOOSE, _is_mail)),
        before=70,
        after=140,
    ),
    Group(None, (Rule(PiiKind.EMAIL, _SPOKEN, _is_mail, needs=(" dot ", " DOT ")),)),
)
MACHINE_GROUPS = (
    Group(
        re.compile(r"[:.\-][0-9A-Fa-f]{0,4}[:.\-][0-9A-Fa-f:]"),
        (
            Rule(PiiKind.IPV6, _IPV6, _is_public_v6, needs=(":",)),
            Rule(PiiKind.MAC, _MAC, _is_card_address),
            Rule(PiiKind.IPV4, _IPV4, _is_public_address, needs=(".",)),
        ),
        before=8,
        after=16,
    ),
    Group(
        None,
        (Rule(PiiKind.MAC, _MAC_BARE, _is_bare_card_address, needs=("mac", "MAC", "Mac")),),
    ),
)
