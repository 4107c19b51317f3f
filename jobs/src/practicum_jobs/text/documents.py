"""Numbers of identity documents, cards, accounts and vehicles.

A number with a check digit is told by it. One without (passports, permits, Macao cards, social security numbers, QQ
and WeChat names) looks like many other numbers and counts only beside words that name it.
"""

from __future__ import annotations

import re

from practicum_jobs.text.digits import END, SEPARATOR, START, is_one_number, read_groups, strip_marks
from practicum_jobs.text.identifiers import (
    IBAN_LENGTHS,
    is_bank_card,
    is_hk_id,
    is_iban,
    is_resident_id,
    is_ssn,
    is_tw_id,
    is_uscc,
)
from practicum_jobs.text.labels import SIGN, counts_something, get_before, has_label
from practicum_jobs.text.pii_kinds import PiiKind
from practicum_jobs.text.rules import Group, Rule

PROVINCE = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼"
_SEP = rf"{SEPARATOR}?"
_ANY_CASE = re.IGNORECASE | re.ASCII

_RESIDENT = re.compile(rf"(?<![0-9])[1-8](?:{_SEP}[0-9]){{16}}{_SEP}[0-9Xx](?![0-9])")
_RESIDENT_GROUPS = frozenset({(6, 8, 4), (6, 4, 4, 4), (6, 4, 2, 2, 4), (3, 3, 8, 4)})
_LEGACY = re.compile(rf"{START}[1-8](?:{_SEP}[0-9]){{14}}{END}")
_LEGACY_LABEL = re.compile(r"身份|身分|证件|证号|居民|identity|(?<![a-z])id(?![a-z])", re.IGNORECASE)
_USCC = re.compile(
    rf"{START}[1-9ANY]{_SEP}[0-9](?:{_SEP}[0-9]){{6}}(?:{_SEP}[0-9A-HJ-NPQRTUWXY]){{10}}{END}", _ANY_CASE
)
_IBAN = re.compile(
    rf"{START}(?:"
    + "|".join(
        rf"(?:{'|'.join(code for code, own in IBAN_LENGTHS.items() if own == length)})"
        rf"(?:{_SEP}[0-9]){{2}}(?:{_SEP}[0-9A-Z]){{{length - 4}}}"
        for length in sorted(set(IBAN_LENGTHS.values()))
    )
    + f"){END}",
    _ANY_CASE,
)
_IBAN_MIN_DIGITS = 4
_IBAN_LABEL = re.compile(r"iban|account|账户|账号|帳戶|收款", re.IGNORECASE)
_USCC_GROUPS = frozenset(
    {(8, 8, 2), (2, 6, 9, 1), (2, 6, 10), (4, 4, 4, 4, 2), (8, 9, 1), (8, 10), (6, 6, 6), (9, 9), (2, 16)}
)
_USCC_LABEL = re.compile(r"信用代码|信用代碼|税号|稅號|社会信用|uscc|credit code|taxpayer", re.IGNORECASE)
_CARD = re.compile(rf"{START}[2-6](?:{_SEP}[0-9]){{12,18}}{END}")
_CARD_GROUPS = frozenset(
    {(4, 4, 4, 4), (4, 4, 4, 4, 3), (4, 6, 5), (4, 6, 4), (6, 13), (6, 10), (4, 4, 4, 4, 1), (4, 4, 4, 4, 2)}
)
_CARD_LABEL = re.compile(r"卡|card|visa|银行|付款|支付|account|账号", re.IGNORECASE)
_SSN = re.compile(rf"(?:{START}|(?<=[Ss][Ss][Nn]))(?:[0-9]{_SEP}){{8}}[0-9]{END}")
_SSN_LABEL = re.compile(r"(?<![a-z])ssn(?![a-z])|social.?security|社会安全|社會安全|社安", re.IGNORECASE)

_HK = re.compile(rf"{START}[A-Z]{_SEP}[A-Z]?(?:{_SEP}[0-9]){{6}} ?(?:\( ?[0-9A] ?\)|{_SEP}[0-9A]{END})", _ANY_CASE)
_HK_LABEL = re.compile(
    r"身份|身分|hk ?id|hkic|identity|(?<![a-z])id(?![a-z])|香港.{0,4}[证證]|hong ?kong", re.IGNORECASE
)
_TW = re.compile(rf"{START}[A-Z]{_SEP}[1289A-D](?:{_SEP}[0-9]){{8}}{END}", _ANY_CASE)
_TW_LABEL = re.compile(r"身份|身分|居留|统一编号|統一編號|taiwan|(?<![a-z])tw|(?<![a-z])id(?![a-z])|arc", re.IGNORECASE)
_MACAO = re.compile(rf"{START}[1578](?:{_SEP}[0-9]){{6}} ?(?:\( ?[0-9] ?\)|{_SEP}[0-9]{END})")
_MACAO_LABEL = re.compile(
    r"(?:澳门|澳門|maca[uo]).{0,10}(?:身份|身分|证|證|id|identity|bir)|(?<![a-z])bir(?![a-z])", re.IGNORECASE
)

_LETTERED = re.compile(rf"{START}[A-Z](?:{_SEP}[A-Z])?(?:{_SEP}[0-9]){{7,10}}{END}", _ANY_CASE)
_PERMIT = re.compile(rf"{START}(?:[A-Z]{_SEP}[A-Z]?{_SEP})?(?:[0-9]{_SEP}){{7,9}}[0-9]{END}", _ANY_CASE)
_PASSPORT_LABEL = re.compile(r"护照|護照|证件号|证件：|证件:|passport|travel document", re.IGNORECASE)
_PERMIT_LABEL = re.compile(
    r"通行[证證]|台胞[证證]|回[乡鄉][证證]|home.?return|(?:travel|entry|mainland).{0,12}permit|compatriot",
    re.IGNORECASE,
)
_PERMIT_LABEL_CHARS = 60
_PERMIT_FORMS = re.compile(r"[CWTLHM][A-HJ-NP-Z]?[0-9]{7,10}|[0-9]{8}|[0-9]{10}")
_PASSPORT_FORMS = re.compile(r"[A-Z][0-9]{7,8}|[A-Z]{2}[0-9]{7}", re.ASCII)

_MARK = "[0-9A-HJ-NP-Z]"
_PLATE = re.compile(
    rf"[{PROVINCE}] ?[A-HJ-NP-Z][ ·.\-]{{0,2}}(?:[DF]{_MARK}[0-9]{{4}}|[0-9]{{5}}[DF]|[A-HJK]{_MARK}[0-9]{{4}}"
    rf"|{_MARK}{{4}}[0-9A-HJ-NP-Z挂学警港澳领使]){END}",
    re.IGNORECASE,
)
_MIN_PLATE_DIGITS = 2
_QQ = re.compile(
    r"(?:(?<![A-Za-z])QQ|扣扣|企鹅|Q(?=号)) ?(?:号码|号|號碼|號|账号|帐号|帳號|number|num|no\.?|id|account)?"
    rf"{SIGN}(?P<value>[1-9](?:{_SEP}[0-9]){{4,10}}){END}",
    re.IGNORECASE,
)
_WECHAT_MARKS = ("信", "echat", "eChat", "ECHAT", "eixin", "wx", "WX", "Wx", "vx", "VX", "Vx", "加v", "加V")
_WXID = re.compile(r"(?<![0-9A-Za-z])wxid_[0-9a-z]{8,20}", re.ASCII)
_WECHAT = re.compile(
    r"(?:(?P<said>[微薇威]信[ _]?(?:号|號|id)|(?:加|我的?)(?:我的?)?(?:[微薇威]信|wx|vx|v)"
    r"|wechat[ _]?(?:id|account|name|handle|number|no\.?)|(?<![0-9a-z_\-])(?:vx|wx|v信)(?:号|_?id)?)"
    r"|[微薇威]信|weixin|wechat)"
    rf"(?:同?号码?|账号|帐号|名|联系方式?|联系我|联系|用户名)?{SIGN}"
    r"(?P<value>[a-z][0-9a-z_\-]{5,19})(?![0-9a-z_\-(@=]|\.[a-z])",
    re.IGNORECASE | re.ASCII,
)


def _is_whole(match: re.Match[str], usual: frozenset[tuple[int, ...]] = frozenset()) -> bool:
    return is_one_number(match.string, match.start(), match.end(), usual)


def _is_resident(match: re.Match[str]) -> bool:
    return is_resident_id(strip_marks(match[0])) and _is_whole(match, _RESIDENT_GROUPS)


def _is_legacy(match: re.Match[str]) -> bool:
    is_labelled = _LEGACY_LABEL.search(get_before(match.string, match.start())) is not None
    return is_labelled and is_resident_id(strip_marks(match[0])) and _is_whole(match)


def _is_written(match: re.Match[str], usual: frozenset[tuple[int, ...]], label: re.Pattern[str]) -> bool:
    """Whether letters and digits are grouped as usual, so that no words of the text are among them, or labelled."""
    sizes, _ = read_groups(match[0])
    is_usual = sizes in usual or set(sizes) == {1} or len(sizes) == 1
    return _is_whole(match) and (is_usual or label.search(get_before(match.string, match.start())) is not None)


def _is_uscc(match: re.Match[str]) -> bool:
    return is_uscc(strip_marks(match[0]).upper()) and _is_written(match, _USCC_GROUPS, _USCC_LABEL)


def _is_iban(match: re.Match[str]) -> bool:
    account = strip_marks(match[0]).upper()
    if not is_iban(account) or sum(mark.isdigit() for mark in account) < _IBAN_MIN_DIGITS:
        return False
    num_fours, rest = divmod(len(account), 4)
    groups = frozenset({(4,) * num_fours + ((rest,) if rest else ())})
    return _is_written(match, groups, _IBAN_LABEL)


def _is_card(match: re.Match[str]) -> bool:
    is_labelled = _CARD_LABEL.search(get_before(match.string, match.start())) is not None
    return (
        is_bank_card(strip_marks(match[0]))
        and _is_whole(match, _CARD_GROUPS if is_labelled else frozenset())
        and not counts_something(match.string, match.start(), match.end())
    )


def _is_ssn(match: re.Match[str]) -> bool:
    is_labelled = has_label(_SSN_LABEL, match.string, match.start(), match.end())
    return is_labelled and is_ssn(strip_marks(match[0])) and _is_whole(match, frozenset({(3, 2, 4)}))


def _is_hk(match: re.Match[str]) -> bool:
    if not is_hk_id(strip_marks(match[0]).upper()):
        return False
    return match[0].endswith(")") or has_label(_HK_LABEL, match.string, match.start(), match.end())


def _is_tw(match: re.Match[str]) -> bool:
    text, value = match.string, strip_marks(match[0]).upper()
    if not is_tw_id(value):
        return False
    if has_label(_TW_LABEL, text, match.start(), match.end()):
        return True
    return len(value) == len(match[0]) and match[0][0].isupper() and not counts_something(text, *match.span())


def _is_macao(match: re.Match[str]) -> bool:
    return has_label(_MACAO_LABEL, match.string, match.start(), match.end())


def _find_last(label: re.Pattern[str], text: str) -> int:
    return max((match.end() for match in label.finditer(text)), default=-1)


def _is_permit(match: re.Match[str]) -> bool:
    before = get_before(match.string, match.start(), _PERMIT_LABEL_CHARS)
    permit = _find_last(_PERMIT_LABEL, before)
    is_nearer = permit > _find_last(_PASSPORT_LABEL, before)
    return permit >= 0 and is_nearer and _PERMIT_FORMS.fullmatch(strip_marks(match[0]).upper()) is not None


def _is_passport(match: re.Match[str]) -> bool:
    is_form = _PASSPORT_FORMS.fullmatch(strip_marks(match[0]).upper()) is not None
    return is_form and has_label(_PASSPORT_LABEL, match.string, match.start(), match.end())


def _is_plate(match: re.Match[str]) -> bool:
    return sum(mark.isdigit() for mark in match[0]) >= _MIN_PLATE_DIGITS


def _is_qq(match: re.Match[str]) -> bool:
    start, end = match.span("value")
    return not match.string[end : end + 2].lstrip().startswith(_COUNTED) and is_one_number(match.string, start, end)


def _is_wechat(match: re.Match[str]) -> bool:
    has_digit = any(mark.isdigit() for mark in match["value"])
    is_sure = match["said"] is not None and match["said"].lower() not in {"wx", "vx"}
    return is_sure or has_digit


_COUNTED = ("个", "次", "条", "人", "年", "月", "日", "万", "亿", "元", "%", "版", "字")

_IN_ACCOUNT = (
    r"[0-9](?<=[A-Za-z]{2}[0-9])(?<![0-9A-Za-z][A-Za-z]{2}[0-9])[0-9]"
    rf"(?:(?:{_SEP}[0-9A-Z]){{11}}|(?:{_SEP}[0-9A-Za-z]{{4}}){{2}}|(?:{SEPARATOR}[0-9A-Za-z]){{11}})"
)
ACCOUNT_GROUP = Group(re.compile(_IN_ACCOUNT), (Rule(PiiKind.IBAN, _IBAN, _is_iban),), before=6, after=72)
NUMBER_RULES = (
    Rule(PiiKind.CN_RESIDENT_ID, _RESIDENT, _is_resident, min_size=17),
    Rule(PiiKind.CN_USCC, _USCC, _is_uscc, min_size=8),
    Rule(PiiKind.CN_RESIDENT_ID, _LEGACY, _is_legacy, min_size=15),
    Rule(PiiKind.BANK_CARD, _CARD, _is_card, min_size=13),
    Rule(PiiKind.US_SSN, _SSN, _is_ssn, needs=("SN", "sn", "ocial", "OCIAL", "社"), min_size=9),
    Rule(PiiKind.TRAVEL_PERMIT, _PERMIT, _is_permit, needs=("证", "證", "ermit", "ERMIT", "eturn", "ompatriot")),
    Rule(PiiKind.TW_ID, _TW, _is_tw, min_size=9),
    Rule(PiiKind.HK_ID, _HK, _is_hk),
    Rule(PiiKind.MACAO_ID, _MACAO, _is_macao, needs=("澳", "aca", "ACA", "BIR", "bir"), min_size=7),
    Rule(PiiKind.CN_PASSPORT, _LETTERED, _is_passport),
)
"""Of numbers that have seven digits, or six and a check mark."""
OTHER_GROUP = Group(
    None,
    (
        Rule(PiiKind.QQ, _QQ, _is_qq, needs=("Q", "q", "扣", "企鹅")),
        Rule(PiiKind.WECHAT, _WXID, needs=("wxid_",)),
        Rule(PiiKind.WECHAT, _WECHAT, _is_wechat, needs=_WECHAT_MARKS),
        Rule(PiiKind.CN_PLATE, _PLATE, _is_plate),
    ),
)
