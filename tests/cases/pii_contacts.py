"""Cases of telephones, mail addresses, network addresses, QQ and WeChat names."""

import random
from collections.abc import Callable

import pii_values as values
from pii_identities import IDEOGRAPHIC, NARROW, NBSP, WIDE_HYPHEN, ZERO_WIDTH
from pii_shapes import ANYWHERE, Shape

CALL = ("电话{}", "手机：{}", "打{}找我", "联系方式 {} ，随时可以", "Call {} please", *ANYWHERE[:8])


def list_mobiles() -> list[Shape]:
    kind = ("pii:cn_mobile",)
    make = values.make_mobile
    separators = {
        "hyphen": "-",
        "space": " ",
        "dot": ".",
        "NBSP": NBSP,
        "U+202F": NARROW,
        "U+3000": IDEOGRAPHIC,
        "full-width hyphen": WIDE_HYPHEN,
        "U+200B": ZERO_WIDTH,
        "en dash": "\u2013",
        "underscore": "_",
    }

    def spell(sizes: tuple[int, ...], separator: str) -> Callable[[random.Random], str]:
        return lambda rng: values.group(make(rng), sizes, separator)

    return [
        Shape("cn_mobile plain", kind, make, CALL, 10),
        Shape("cn_mobile glued to Latin letters", kind, make, ("tel{}", "phone{}ok", "mobile{}", "call{}now"), 8),
        *(Shape(f"cn_mobile 3-4-4 {label}", kind, spell((3, 4, 4), sep), CALL, 4) for label, sep in separators.items()),
        Shape("cn_mobile 4-4-3", kind, spell((4, 4, 3), " "), CALL, 4),
        Shape("cn_mobile 4-4-3 hyphen", kind, spell((4, 4, 3), "-"), CALL, 4),
        Shape("cn_mobile 3-3-3-2", kind, spell((3, 3, 3, 2), " "), CALL[:4], 4),
        Shape("cn_mobile leading 0", kind, lambda rng: "0" + make(rng), ("外地拨{}即可", "电话{}", "手机 {}"), 5),
        Shape("cn_mobile country code", kind, write_with_code, CALL, 10),
        Shape("cn_mobile full-width", kind, lambda rng: values.widen(make(rng)), CALL, 5),
        Shape("cn_mobile digit by digit", kind, spell((1,) * 11, " "), CALL[:4], 5),
        Shape("cn_mobile digit by digit, hyphen", kind, spell((1,) * 11, "-"), CALL[:4], 3),
        Shape("cn_mobile U+200B digit by digit", kind, spell((1,) * 11, ZERO_WIDTH), CALL[:4], 3),
        Shape("cn_mobile Chinese numerals", kind, lambda rng: values.write_in_chinese(make(rng)), CALL[:4], 6),
        Shape(
            "cn_mobile spoken numerals",
            kind,
            lambda rng: values.write_in_chinese(make(rng), "〇幺二三四五六七八九"),
            CALL[:4],
            4,
        ),
        Shape(
            "cn_mobile in a link", kind, make, ("[拨打](tel:{})", "https://h5.example.com/call?mobile={}&from=qr"), 5
        ),
        Shape("cn_mobile in code", kind, make, ("user = {'phone': '{}'}", "insert into t values (1, '{}');"), 5),
    ]


def write_with_code(rng: random.Random) -> str:
    mobile = values.make_mobile(rng)
    spaced = values.group(mobile, (3, 4, 4), rng.choice(" -"))
    return rng.choice(
        (f"+86{mobile}", f"+86 {spaced}", f"(+86){mobile}", f"0086-{mobile}", f"86-{mobile}", f"+86-{spaced}")
    )


def list_landlines() -> list[Shape]:
    kind = ("pii:cn_landline",)
    said = ("座机{}", "办公电话：{}", "总机{}，请拨", "Tel: {}", "|电话|{}|", "传真 {}", '{"tel": "{}"}')

    def spell(form: str, separator: str = "") -> Callable[[random.Random], str]:
        def write(rng: random.Random) -> str:
            area, number = values.make_landline(rng)
            return form.format(area=area, number=values.group(number, (4, 4), separator), bare=area[1:])

        return write

    return [
        Shape("cn_landline hyphen", kind, spell("{area}-{number}"), said, 8),
        Shape("cn_landline brackets", kind, spell("({area}){number}"), said, 5),
        Shape("cn_landline full-width brackets", kind, spell("（{area}）{number}"), said, 4),
        Shape("cn_landline 4-4", kind, spell("{area}-{number}", "-"), said, 4),
        Shape("cn_landline 4-4 space", kind, spell("{area} {number}", " "), said, 4),
        Shape("cn_landline NBSP", kind, spell("{area}\u00a0{number}"), said, 4),
        Shape("cn_landline U+3000", kind, spell("{area}\u3000{number}"), said, 3),
        Shape("cn_landline full-width hyphen", kind, spell("{area}－{number}"), said, 4),
        Shape("cn_landline en dash", kind, spell("{area}–{number}"), said, 3),
        Shape("cn_landline extension", kind, spell("{area}-{number}转805"), said, 4),
        Shape("cn_landline country code", kind, spell("+86 {bare} {number}", " "), said, 5),
        Shape("cn_landline glued", kind, spell("{area}{number}"), said[:3], 4),
        Shape("cn_landline without area code", kind, spell("{number}"), ("本地座机：{}", "座机号码{}"), 4),
        Shape("cn_landline full-width", kind, lambda rng: values.widen("-".join(values.make_landline(rng))), said, 4),
    ]


def list_other_phones() -> list[Shape]:
    kind = ("pii:phone",)

    def digits(*parts: str) -> Callable[[random.Random], str]:
        """Replaces each # by a digit; one of the forms is taken."""

        def write(rng: random.Random) -> str:
            return "".join(values.make_digits(rng, 1) if char == "#" else char for char in rng.choice(parts))

        return write

    hong_kong = ("香港電話 {}", "香港手机{}", "Hong Kong tel {}", "HK mobile: {}", "WhatsApp（香港）{}")
    taiwan = ("台灣手機 {}", "手機：{}", "請撥 {}", "Taiwan mobile {}", "行動電話{}")
    us = ("Call {} please", "Phone: {}", "my cell is {}", "美国电话 {}", "text me at {}")
    uk = ("Ring {}", "UK mobile {}", "Tel: {} (London)", "英国电话 {}", "call me on {}")
    japan = ("電話 {}", "携帯：{}", "日本手机{}", "TEL {}", "ご連絡は{}まで")
    american = ("212-555-01##", "(415) 555-01##", "617 555 01##", "312.555.01##", "1-206-555-01##")
    return [
        Shape(
            "phone Hong Kong",
            kind,
            digits("9### ####", "6### ####", "9###-####", "6#######", "2### ####"),
            hong_kong,
            10,
        ),
        Shape("phone Hong Kong +852", kind, digits("+852 9### ####", "+852-6###-####", "(852) 9### ####"), CALL, 6),
        Shape("phone Taiwan", kind, digits("091#-###-###", "0928 ### ###", "0937######", "(02) 27##-####"), taiwan, 10),
        Shape("phone Taiwan +886", kind, digits("+886 91# ### ###", "+886-928-###-###", "+886937######"), CALL, 6),
        Shape("phone US", kind, digits(*american), us, 12),
        Shape("phone US +1", kind, digits(*(f"+1 {form}" for form in american[:4])), (*us, *CALL), 6),
        Shape("phone UK", kind, digits("020 7946 0###", "0161 496 0###", "07712 ######", "(0121) 496 0###"), uk, 12),
        Shape(
            "phone UK +44", kind, digits("+44 20 7946 0###", "+44 (0)20 7946 0###", "+44 7712 ######"), (*uk, *CALL), 6
        ),
        Shape(
            "phone Japan", kind, digits("090-3###-####", "080-5###-####", "03-3###-####", "070 3### ####"), japan, 12
        ),
        Shape("phone Japan +81", kind, digits("+81 90-3###-####", "+81-3-3###-####"), (*japan, *CALL), 6),
        Shape(
            "phone link", kind, digits("+4420794600##", "+8529123####"), ("[call](tel:{})", '<a href="tel:{}">x</a>'), 4
        ),
    ]


def list_mail() -> list[Shape]:
    kind = ("pii:email",)
    said = ("邮箱{}", "e-mail: {}", "发到{}即可", "Contact {} for the data.", *ANYWHERE[:8])

    def spell(at: str, dot: str = ".") -> Callable[[random.Random], str]:
        return lambda rng: values.make_local(rng) + at + values.make_domain(rng).replace(".", dot)

    marks = ("[写信](mailto:{})", "**{}**", "<{}>", "_{}_ 是他的地址", "[{}](mailto:{})", "`{}`")
    return [
        Shape("email plain", kind, spell("@"), said, 16),
        Shape("email glued to CJK", kind, spell("@"), ("请联系{}谢谢", "邮箱是{}哦"), 5),
        Shape("email in Markdown", kind, spell("@"), marks, 10),
        Shape("email full-width at", kind, spell("＠"), said, 5),
        Shape("email [at]", kind, spell(" [at] "), said, 5),
        Shape("email [at] [dot]", kind, spell(" [at] ", " [dot] "), said, 5),
        Shape("email (at)", kind, spell("(at)"), said, 4),
        Shape("email spaced", kind, spell(" @ "), ("邮箱：{}", "e-mail: {}"), 3),
        Shape("email at and dot as words", kind, spell(" at ", " dot "), ("邮箱：{}", "e-mail: {}"), 3),
        Shape("email in a URL", kind, spell("@"), ("https://example.com/reset?user={}&step=2",), 3),
        Shape("email in code", kind, spell("@"), ('author = "{}"', "git config user.email {}"), 4),
    ]


def list_network() -> list[Shape]:
    v4, v6, mac = ("pii:ipv4",), ("pii:ipv6",), ("pii:mac",)
    said = ("登录IP：{}", "来自{}的请求", "client {} connected", "ssh root@{}", *ANYWHERE[:5])
    cards = ("MAC地址{}", "MAC: {}", "wlan0 link/ether {} brd", "设备 {} 已上线", *ANYWHERE[:5])

    def write_mac(separator: str) -> Callable[[random.Random], str]:
        return lambda rng: separator.join(values.make_mac(rng))

    def compress(rng: random.Random) -> str:
        groups = values.make_ipv6(rng)
        return f"{':'.join(groups[:3])}::{':'.join(groups[6:])}"

    def write_v6(rng: random.Random) -> str:
        return ":".join(values.make_ipv6(rng))

    return [
        Shape("ipv4 plain", v4, values.make_ipv4, said, 14),
        Shape("ipv4 with port", v4, lambda rng: f"{values.make_ipv4(rng)}:{rng.choice((22, 443, 8080))}", said, 8),
        Shape("ipv4 in a URL", v4, values.make_ipv4, ("http://{}/login", "https://{}:8443/api?x=1"), 8),
        Shape(
            "ipv4 log line", v4, values.make_ipv4, ('{} - - [02/Jan/2024:10:11:12 +0800] "GET / HTTP/1.1" 200 512',), 6
        ),
        Shape("ipv4 full-width", v4, lambda rng: values.widen(values.make_ipv4(rng)), said[:2], 5),
        Shape("ipv4 JSON", v4, values.make_ipv4, ('{"remote_addr": "{}"}',), 5),
        Shape("ipv6 full", v6, write_v6, said, 16),
        Shape("ipv6 compressed", v6, compress, said, 12),
        Shape("ipv6 upper case", v6, lambda rng: compress(rng).upper(), said, 8),
        Shape("ipv6 in brackets", v6, compress, ("http://[{}]/", "https://[{}]:8443/v1"), 6),
        Shape("ipv6 prefix", v6, lambda rng: f"{compress(rng)}/64", ("inet6 {} scope global", "前缀 {}"), 6),
        Shape("mac colons", mac, write_mac(":"), cards, 14),
        Shape("mac hyphens upper case", mac, lambda rng: "-".join(values.make_mac(rng)).upper(), cards, 12),
        Shape(
            "mac Cisco dots", mac, lambda rng: values.group("".join(values.make_mac(rng)), (4, 4, 4), "."), cards[:3], 8
        ),
        Shape("mac bare in context", mac, write_mac(""), ("MAC: {}", "MAC地址：{}", "mac={}"), 8),
        Shape("mac upper case colons", mac, lambda rng: ":".join(values.make_mac(rng)).upper(), cards, 6),
    ]


def list_messengers() -> list[Shape]:
    qq, wechat = ("pii:qq",), ("pii:wechat",)

    def make_qq(rng: random.Random) -> str:
        return rng.choice("123456789") + values.make_digits(rng, rng.choice((6, 7, 8, 9)))

    def make_name(rng: random.Random) -> str:
        return values.make_body(rng, 5, "abcdefghkmnpqrstuvwxyz") + rng.choice("_-0") + values.make_digits(rng, 4)

    def make_wxid(rng: random.Random) -> str:
        return "wxid_" + values.make_body(rng, 14, "abcdefghijklmnopqrstuvwxyz0123456789")

    names = ("微信号{}", "微信：{}", "加我微信 {} 备注课程", "WeChat: {}", "wechat id {}", "VX {}", "v信：{}", "wx: {}")
    numbers = ("QQ：{}", "qq号{}", "我的QQ是{}", "加QQ {} 领资料", "扣扣{}", "QQ:{}", "企鹅号 {}", '{"qq": "{}"}')
    return [
        Shape("qq in context", qq, make_qq, numbers, 32),
        Shape("qq full-width", qq, lambda rng: values.widen(make_qq(rng)), numbers[:4], 6),
        Shape("qq spaced", qq, lambda rng: values.group(make_qq(rng), (3, 3), " "), numbers[:4], 6),
        Shape("qq English", qq, make_qq, ("my QQ number is {}", "QQ {}"), 6),
        Shape("wechat name", wechat, make_name, names, 24),
        Shape("wechat wxid", wechat, make_wxid, (*names, *ANYWHERE[:4]), 16),
        Shape("wechat JSON or table", wechat, make_name, ('{"wechat": "{}"}', "| 微信 | {} |", "**微信号**：{}"), 9),
    ]


def list_shapes() -> list[Shape]:
    return [
        *list_mobiles(),
        *list_landlines(),
        *list_other_phones(),
        *list_mail(),
        *list_network(),
        *list_messengers(),
    ]
