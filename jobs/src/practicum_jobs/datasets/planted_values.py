"""Personal data and secrets that are planted in ``builtin:tickets-flawed``: well-formed, but belonging to nobody.

Where a range is reserved for fiction or documentation it is used (555-01xx, the drama numbers of Ofcom and ACMA,
example.com, ``EXAMPLE`` in access keys); resident ids and company codes carry a province's own code, which is issued
to nobody; addresses are those of public DNS resolvers. Everything else is random with a valid
checksum. The code is independent of the validators of the audit, so that each checks the other.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping

from practicum_jobs.datasets.draws import Draw

_UPPER_DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_ALPHANUMERIC = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_USCC_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_PLATE_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ"
_PROVINCES = ("110000", "310000", "440000", "510000", "420000", "610000", "330000", "350000")
_RESOLVERS = (
    "8.8.8.8", "8.8.4.4", "1.1.1.1", "1.0.0.1", "9.9.9.9", "149.112.112.112", "208.67.222.222", "208.67.220.220",
    "114.114.114.114", "223.5.5.5", "223.6.6.6", "119.29.29.29", "180.76.76.76", "94.140.14.14", "77.88.8.8",
)  # fmt: skip
_WORDS = ("blue", "lucky", "tiny", "north", "old", "quick", "grey", "calm")


def compute_luhn_digit(body: str) -> str:
    """Return the check digit of a card number without it (ISO/IEC 7812-1, annex B).

    >>> compute_luhn_digit("7992739871")
    '3'
    """
    total = 0
    for place, digit in enumerate(reversed(body)):
        value = int(digit) * (2 if place % 2 == 0 else 1)
        total += value - 9 if value > 9 else value  # noqa: PLR2004 - the digits of a two-digit product are added
    return str(-total % 10)


def _build_resident_id(draw: Draw) -> str:
    day = f"{1950 + draw.below(55)}{1 + draw.below(12):02d}{1 + draw.below(28):02d}"
    body = draw.pick(_PROVINCES) + day + draw.digits(3)
    # ISO 7064 mod 11-2: the weighted sum of all 18 values is 1 modulo 11.
    total = sum(int(digit) * pow(2, 17 - place, 11) for place, digit in enumerate(body))
    return body + "0123456789X"[(1 - total) % 11]


def _build_uscc(draw: Draw) -> str:
    body = "91" + draw.pick(_PROVINCES) + "MA" + draw.letters(_USCC_ALPHABET, 7)
    total = sum(_USCC_ALPHABET.index(mark) * pow(3, place, 31) for place, mark in enumerate(body))
    return body + _USCC_ALPHABET[-total % 31]


def _build_bank_card(draw: Draw) -> str:
    start, length = draw.pick((("622800", 19), ("411111", 16), ("510000", 16), ("620000", 16)))
    body = start + draw.digits(length - len(start) - 1)
    return body + compute_luhn_digit(body)


def _build_mobile(draw: Draw) -> str:
    return draw.pick(("138", "139", "150", "186", "188", "135")) + "0000" + draw.digits(4)


def _build_landline(draw: Draw) -> str:
    area = draw.pick(("010", "021", "020", "0755", "0571", "028"))
    number = draw.pick("5678") + draw.digits(7)
    # No number of the plan begins with 800 behind an area code: these are free of charge and have none.
    return f"{area}-{'801' + number[3:] if number.startswith('800') else number}"


def _build_plate(draw: Draw) -> str:
    place = draw.pick("京沪粤浙苏川鄂陕闽湘") + draw.pick("ABCDEF")
    if draw.below(4) == 0:
        return f"{place}D{draw.digits(5)}"
    return f"{place}{draw.letters(_PLATE_LETTERS, 1)}{draw.digits(4)}"


def _build_passport(draw: Draw) -> str:
    return draw.pick("EG") + draw.digits(8)


def _build_email(draw: Draw) -> str:
    host = draw.pick(("example.com", "example.org", "example.net", "mail.example.com"))
    name = draw.pick(_WORDS) + draw.pick((".", "_", "")) + draw.letters("abcdefghijkmnprstuvw", 5)
    return f"{name}{draw.digits(2)}@{host}"


def _build_ipv4(draw: Draw) -> str:
    return draw.pick(_RESOLVERS)


def _build_phone(draw: Draw) -> str:
    kind = draw.below(3)
    if kind == 0:
        return f"+1 {draw.pick(('212', '415', '206', '312'))}-555-01{draw.digits(2)}"
    if kind == 1:
        return f"+44 20 7946 0{draw.digits(3)}"
    return f"+61 2 5550 {draw.digits(4)}"


PII: Mapping[str, Callable[[Draw], str]] = {
    "cn_resident_id": _build_resident_id,
    "cn_uscc": _build_uscc,
    "bank_card": _build_bank_card,
    "cn_mobile": _build_mobile,
    "cn_landline": _build_landline,
    "cn_plate": _build_plate,
    "cn_passport": _build_passport,
    "email": _build_email,
    "ipv4": _build_ipv4,
    "phone": _build_phone,
}
"""Kind of personal data to its generator."""


def _build_aws_key(draw: Draw) -> str:
    return "AKIA" + draw.letters(_UPPER_DIGITS, 9) + "EXAMPLE"


def _build_openai_key(draw: Draw) -> str:
    return "sk-" + draw.pick(("", "proj-")) + "EXAMPLE" + draw.letters(_ALPHANUMERIC, 41)


def _build_github_token(draw: Draw) -> str:
    return "ghp_" + "EXAMPLE" + draw.letters(_ALPHANUMERIC, 29)


def _build_slack_token(draw: Draw) -> str:
    return "xoxb-" + "EXAMPLE" + f"-{draw.digits(12)}-" + draw.letters(_ALPHANUMERIC, 24)


def _build_private_key(draw: Draw) -> str:
    label = draw.pick(("RSA PRIVATE KEY", "PRIVATE KEY", "EC PRIVATE KEY"))
    lines = [draw.letters(_ALPHANUMERIC + "+/", 64) for _ in range(3)]
    return "\n".join(
        [f"-----BEGIN {label}-----", *lines, draw.letters(_ALPHANUMERIC, 30) + "==", f"-----END {label}-----"]
    )


def _build_jwt(draw: Draw) -> str:
    parts = ('{"alg":"HS256","typ":"JWT"}', f'{{"sub":"example-{draw.digits(6)}","iat":{draw.digits(5)}}}')
    encoded = [base64.urlsafe_b64encode(part.encode()).decode().rstrip("=") for part in parts]
    return ".".join([*encoded, draw.letters(_ALPHANUMERIC, 43)])


def _build_password(draw: Draw) -> str:
    return "password=" + draw.letters(_ALPHANUMERIC, 12) + draw.digits(2) + draw.letters("XYZwvu", 2)


SECRETS: Mapping[str, Callable[[Draw], str]] = {
    "aws_key": _build_aws_key,
    "openai_key": _build_openai_key,
    "github_token": _build_github_token,
    "slack_token": _build_slack_token,
    "private_key": _build_private_key,
    "jwt": _build_jwt,
    "generic": _build_password,
}
"""Kind of secret to its generator."""

_FULL_WIDTH = str.maketrans("0123456789", "０１２３４５６７８９")


def widen_digits(text: str) -> str:
    """Return the text with full-width digits.

    >>> widen_digits("a1")
    'a１'
    """
    return text.translate(_FULL_WIDTH)


CARRIERS_ZH: Mapping[str, tuple[str, ...]] = {
    "cn_resident_id": ("我的身份证{v}已经登记", "身份证号是{v}请核对"),
    "cn_uscc": ("发票抬头税号{v}请开票", "公司代码{v}麻烦备案"),
    "bank_card": ("请退到卡{v}谢谢", "银行卡号{v}是我本人的"),
    "cn_mobile": ("请打{v}联系我", "我的手机号{v}一直开机"),
    "cn_landline": ("办公室电话{v}有人接", "座机{v}白天能通"),
    "cn_plate": ("送货车{v}停在楼下", "我的车牌{v}可以进小区"),
    "cn_passport": ("护照号{v}在附件里", "登记用的护照{v}没过期"),
    "email": ("回信请发{v}收到即可", "邮箱{v}是常用的"),
    "ipv4": ("我从{v}登录的页面", "服务器{v}一直报错"),
    "phone": ("国外请拨{v}找我", "国际电话{v}也能打通"),
}
CARRIERS_EN: Mapping[str, tuple[str, ...]] = {
    "cn_resident_id": ("My identity card says {v}.", "The Chinese ID on file is {v}."),
    "cn_uscc": ("Our company code is {v}.", "Put {v} on the paper for our firm."),
    "bank_card": ("Send the money to card {v}.", "I used {v} at the till."),
    "cn_mobile": ("Call me in China at {v}.", "My mobile there is {v}."),
    "cn_landline": ("The office there answers at {v}.", "Our desk phone in China is {v}."),
    "cn_plate": ("The van had the plate {v}.", "My car is {v}."),
    "cn_passport": ("I am registered with passport {v}.", "The passport number was {v}."),
    "email": ("Write to {v} please.", "You find me under {v}."),
    "ipv4": ("I came from {v} when the page failed.", "The address was {v} that day."),
    "phone": ("Ring me at {v}.", "The best number is {v}."),
}
SECRET_CARRIERS: Mapping[str, tuple[str, ...]] = {
    "en": ("By mistake I also pasted {v} here.", "The script prints {v} and stops."),
    "zh": ("我不小心把{v}也贴了进来。", "脚本输出{v}然后就停了。"),
}
