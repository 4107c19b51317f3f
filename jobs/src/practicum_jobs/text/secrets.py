"""Credentials in a text: by the form their issuers gave them, or by words that name them.

A body of few different characters, of words, or with signs of a placeholder is no credential.
"""

from __future__ import annotations

import re

from practicum_jobs.text.rules import Group, Rule, find_places, has_any
from practicum_jobs.text.search_form import Match, SearchForm, fold_for_gate
from practicum_jobs.text.secret_kinds import SecretKind

_BEFORE = r"(?<![0-9A-Za-z_\-])"
_BORDER = r"(?<![0-9A-Za-z])"
_END = r"(?![0-9A-Za-z])"
_PLACEHOLDER = re.compile(
    r"x{4,}|\*{3,}|\.{3,}|[<>{}$]{2}|<|>|\$[A-Z{(]|…|your|placeholder|change.?me|redacted|dummy|替换|你的|0{8,}|1{8,}",
    re.IGNORECASE,
)
_HYPHENATED = re.compile(r"[a-z0-9]+(?:[\-_.][a-z0-9]+)+")
_MIN_DIFFERENT = 6
_MIN_UNNUMBERED = 40
_MIN_DIGITS = 2


def _is_random(body: str) -> bool:
    return _PLACEHOLDER.search(body) is None and len(set(body)) >= _MIN_DIFFERENT


def _has_random_body(match: re.Match[str]) -> bool:
    return _is_random(match["body"])


def _is_service_key(match: re.Match[str]) -> bool:
    body = match["body"]
    # Of 450 keys of 48 letters and digits, one has fewer digits by chance; its capitals tell it from words.
    has_digits = sum(mark.isdigit() for mark in body) >= _MIN_DIGITS
    is_long = len(body) >= _MIN_UNNUMBERED and not body.islower() and not body.isupper()
    return (has_digits or is_long) and _is_random(body) and _HYPHENATED.fullmatch(body) is None


def _is_opaque(match: re.Match[str]) -> bool:
    return any(mark.isdigit() for mark in match["body"]) and _is_random(match["body"])


_PEM = r"(?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----"
_UUID = r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}"
_ISSUED = (
    Rule(
        SecretKind.PRIVATE_KEY,
        re.compile(
            rf"-----BEGIN {_PEM}(?:[\s\S]{{16,20000}}?-----END {_PEM}|[0-9A-Za-z+/=\s\\]{{16,20000}})",
        ),
        needs=("-----BEGIN",),
    ),
    Rule(
        SecretKind.WEBHOOK,
        re.compile(
            r"(?:https?://)?(?:hooks\.slack\.com/(?:services|workflows|triggers)/(?P<slack>[0-9A-Z]{6,}/[0-9A-Z]{6,}/[0-9A-Za-z]{16,})"
            rf"|qyapi\.weixin\.qq\.com/cgi-bin/webhook/(?:send|upload_media)\?key={_UUID}"
            r"|oapi\.dingtalk\.com/robot/send\?access_token=[0-9a-f]{32,64}"
            rf"|open\.(?:feishu\.cn|larksuite\.com)/open-apis/bot/(?:v2/)?hook/(?:{_UUID}|[0-9a-f]{{32}}))(?![0-9A-Za-z])"
        ),
        lambda match: _is_random(match[0].partition("//")[2]),
        needs=("hooks.slack.com", "qyapi.weixin", "oapi.dingtalk", "open-apis/bot"),
    ),
    Rule(
        SecretKind.JWT,
        re.compile(rf"{_BEFORE}eyJ[0-9A-Za-z_\-]{{8,}}\.eyJ[0-9A-Za-z_\-]{{8,}}\.[0-9A-Za-z_\-]{{8,}}"),
        needs=("eyJ",),
    ),
    Rule(
        SecretKind.AWS_KEY,
        re.compile(rf"{_BORDER}(?:AKIA|ASIA)(?P<body>[0-9A-Z]{{16}}){_END}"),
        _has_random_body,
        needs=("AKIA", "ASIA"),
    ),
    Rule(
        SecretKind.GITHUB_TOKEN,
        re.compile(rf"{_BEFORE}(?:gh[pousr]_(?P<body>[0-9A-Za-z]{{36,}})|github_pat_[0-9A-Za-z_]{{60,}})"),
        lambda match: _is_random(match[0].partition("_")[2]),
        needs=("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"),
    ),
    Rule(
        SecretKind.GITLAB_TOKEN,
        re.compile(rf"{_BEFORE}gl(?:pat|dt|rt|cbt|ptt|ft|agent|oas|soat|imt)-(?P<body>[0-9A-Za-z_\-]{{20,}})"),
        _has_random_body,
        needs=("gl",),
    ),
    Rule(
        SecretKind.SLACK_TOKEN,
        re.compile(rf"{_BEFORE}(?:xox[abeoprs]|xapp)-(?P<body>[0-9A-Za-z\-]{{10,}})"),
        _is_opaque,
        needs=("xox", "xapp-"),
    ),
    Rule(
        SecretKind.HUGGINGFACE_TOKEN,
        re.compile(rf"{_BEFORE}hf_(?P<body>[0-9A-Za-z]{{30,}}){_END}"),
        _has_random_body,
        needs=("hf_",),
    ),
    Rule(
        SecretKind.GOOGLE_KEY,
        re.compile(rf"{_BEFORE}AIza(?P<body>[0-9A-Za-z_\-]{{35}})(?![0-9A-Za-z_\-])"),
        _has_random_body,
        needs=("AIza",),
    ),
    Rule(
        SecretKind.STRIPE_KEY,
        re.compile(rf"{_BEFORE}[sr]k_(?:live|test)_(?P<body>[0-9A-Za-z]{{16,}}){_END}"),
        _has_random_body,
        needs=("k_live_", "k_test_"),
    ),
    Rule(
        SecretKind.ALIBABA_KEY,
        re.compile(rf"{_BORDER}LTAI(?P<body>[0-9A-Za-z]{{12,26}}){_END}"),
        _has_random_body,
        needs=("LTAI",),
    ),
    Rule(
        SecretKind.TENCENT_KEY,
        re.compile(rf"{_BORDER}AKID(?P<body>[0-9A-Za-z]{{32,36}}){_END}"),
        _has_random_body,
        needs=("AKID",),
    ),
    Rule(
        SecretKind.AZURE_KEY,
        re.compile(r"(?<![0-9A-Za-z_.~])(?P<body>[0-9A-Za-z_.~\-]{3}[78]Q~[0-9A-Za-z_.~\-]{31,34})"),
        _has_random_body,
        needs=("8Q~", "7Q~"),
    ),
    Rule(
        SecretKind.AZURE_KEY,
        re.compile(r"(?:AccountKey|SharedAccessKey)=(?P<value>(?P<body>[0-9A-Za-z+/]{42,88})={0,2})"),
        _has_random_body,
        needs=("AccountKey", "SharedAccessKey"),
    ),
    Rule(
        SecretKind.OPENAI_KEY,
        re.compile(rf"{_BEFORE}sk-(?P<body>[0-9A-Za-z_\-]{{20,}})"),
        _is_service_key,
        needs=("sk-",),
    ),
    Rule(
        SecretKind.BEARER_TOKEN,
        re.compile(r"(?<![A-Za-z])bearer +(?P<value>(?P<body>[0-9A-Za-z._~+/\-]{20,})=*)", re.IGNORECASE),
        _is_opaque,
        needs=("earer", "EARER"),
    ),
)
"""By the form that the issuer gave, the most specific first."""
_AZURE_SERVICE = Rule(
    SecretKind.AZURE_KEY,
    re.compile(
        r"(?:subscription-key|azure[a-z_\-. ]{0,24}key)[\"']? {0,2}(?:[:=]|是|为|is) {0,2}[\"']?"
        r"(?P<value>(?P<body>[0-9a-f]{32}|[0-9a-z]{84}))(?![0-9a-z])",
        re.IGNORECASE,
    ),
    _has_random_body,
)

_DUMMIES = frozenset({
    "user", "username", "password", "passwd", "pass", "pwd", "secret", "token", "root", "admin", "guest", "test", "key",
    "example", "changeme", "postgres", "mysql",
})  # fmt: skip
_IN_URL = re.compile(r"[A-Za-z][0-9A-Za-z+.\-]*://(?P<user>[^\s:/@\"'<>]*):(?P<value>[^\s/@\"'<>]+)@[0-9A-Za-z\[]")
_KEY_NAME = (
    r"api[_\- ]?key|access[_\- ]?key(?:[_\- ]?(?:id|secret))?|secret(?:[_\- ]?access)?(?:[_\- ]?key)?"
    r"|(?:auth|access|refresh)?[_\- ]?token|密钥|秘钥|令牌"
)
_PASSWORD_NAME = r"passw(?:or)?d|passphrase|pwd|密码|密碼|口令"  # noqa: S105 - names, no password
_SIGN = r"[\"'`*_]{0,3}\s{0,4}(?::=|=>|=|:|是|为|is|\|)\s{0,4}[\"'`*“]{0,3}"
_SIGN_OR_NONE = r"[\"'`*_]{0,3}\s{0,4}(?::=|=>|=|:|是|为|is|\|)?\s{0,4}[\"'`*“]{0,3}"
_VALUE = r"[0-9A-Za-z!#%&*+@^_=?][0-9A-Za-z!#$%&*+\-./:=?@^_~]"
_ASSIGNED_KEY = re.compile(rf"(?:{_KEY_NAME}){_SIGN}(?P<value>{_VALUE}{{7,200}})", re.IGNORECASE)
_ASSIGNED_PASSWORD = re.compile(rf"(?:{_PASSWORD_NAME}){_SIGN}(?P<value>{_VALUE}{{5,200}})", re.IGNORECASE)
_UNSIGNED = re.compile(
    rf"(?:{_PASSWORD_NAME})(?: {{1,2}}|(?<![A-Za-z]))[\"'`“]?(?P<value>{_VALUE}{{5,200}})", re.IGNORECASE
)
_REFERENCE = re.compile(r"https?:|[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+$|[a-z]+(?:_[a-z0-9]+)+$|os\.")
_MIN_PIN_DIFFERENT = 4
_KEY_CHARS = 12
_MANY_SORTS = 2
_IN_ADDRESS = re.compile("://[^/ ]{0,80}@|hooks\\.slack|qyapi\\.weixin|oapi\\.dingtalk|open-apis/bot")


def _is_url_password(match: re.Match[str]) -> bool:
    value = match["value"]
    is_dummy = value.lower() in _DUMMIES or value == match["user"] or set(value) <= {"*", "x", "X", "."}
    return not is_dummy and _PLACEHOLDER.search(value) is None


def _is_credential(match: re.Match[str]) -> bool:
    value = match["value"]
    if match.string[match.end() : match.end() + 1] in {"(", "["} or _REFERENCE.match(value):
        return False
    has_both = any(mark.isdigit() for mark in value) and any(mark.isalpha() for mark in value)
    return has_both and _PLACEHOLDER.search(value) is None and len(set(value)) >= _MIN_PIN_DIFFERENT


def _is_key(match: re.Match[str]) -> bool:
    """Whether what a key's name is given is long, or short and of many sorts of marks."""
    value = match["value"]
    sorts = sum(any(test(mark) for mark in value) for test in (str.islower, str.isupper, str.isdigit))
    is_long = len(value) >= _KEY_CHARS
    return (is_long or sorts + (not value.isalnum()) > _MANY_SORTS) and _is_credential(match)


def _is_password(match: re.Match[str]) -> bool:
    value = match["value"]
    if value.isdigit():
        return len(set(value)) >= _MIN_PIN_DIFFERENT and match.string[match.end() : match.end() + 1] not in {"位", "次"}
    return _is_credential(match)


_GROUPS = (
    Group(None, _ISSUED),
    Group(None, (Rule(SecretKind.URL_PASSWORD, _IN_URL, _is_url_password, needs=("://",)),)),
    Group(
        re.compile(
            rf"(?:(?:[Kk][Ee][Yy]|[Ss][Ee][Cc][Rr][Ee][Tt]|[Tt][Oo][Kk][Ee][Nn]|[Pp][Aa][Ss][Ss](?:[Ww][Oo]?[Rr]?[Dd]|[Pp]hrase)"
            rf"|[Pp][Ww][Dd])(?:[_\- ]?(?:[Ii][Dd]|[Ss]ecret))?(?![A-Za-z])|密[钥码碼]|秘钥|令牌|口令)"
            rf"{_SIGN_OR_NONE}(?=[^\s0-9]{{0,80}}[0-9]){_VALUE}{{5}}"
        ),
        (
            _AZURE_SERVICE,
            Rule(SecretKind.GENERIC, _ASSIGNED_PASSWORD, _is_password),
            Rule(SecretKind.GENERIC, _ASSIGNED_KEY, _is_key),
            Rule(SecretKind.GENERIC, _UNSIGNED, _is_credential),
        ),
        before=40,
        after=240,
    ),
)
_LETTERED = ("akia", "asia", "aiza", "ltai", "akid", "eyj", "bearer", "key", "secret", "token", "pass", "pwd")
_LETTERED_ZH = ("密", "秘钥", "令牌", "口令", "~")
_UNDERLINED = ("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "hf_", "_live_", "_test_")
_HYPHENED = ("sk-", "xox", "xapp-", "-----begin", "glpat-", "gldt-", "glrt-")
_UNSEEN = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]")


def _is_worth_while(folded: str) -> bool:
    """Whether a text holds a mark of some issuer or a word for secrets; single characters are looked for first."""
    if has_any(folded, _LETTERED) or ("/" in folded and _IN_ADDRESS.search(folded)):
        return True
    if "_" in folded and has_any(folded, _UNDERLINED):
        return True
    if "-" in folded and has_any(folded, _HYPHENED):
        return True
    if folded.isascii():
        return "~" in folded
    return has_any(folded, _LETTERED_ZH) or _UNSEEN.search(folded) is not None


def find_secrets(text: str, folded: str | None = None) -> list[Match]:
    """Return credentials in ``text``, in order, without overlaps.

    Args:
        text: Any text.
        folded: The text in NFKC and lower case or case folded, where a caller has it.

    >>> [match.kind for match in find_secrets("密钥AKIAIOSFODNN7EXAMPLE请保存")]
    ['aws_key']
    """
    folded = fold_for_gate(text) if folded is None else folded
    if not _is_worth_while(folded):
        return []
    form = SearchForm(text)
    return sorted((form.locate(*place) for place in find_places(_GROUPS, form.text)), key=lambda match: match.start)
