"""Cases of identity numbers, permits, passports, plates, cards and accounts."""

import random
from collections.abc import Callable, Sequence

import pii_values as values
from pii_shapes import ANYWHERE, Shape

ID_CARRIERS = ("身份证号{}", "居民身份证：{}。", "ID number: {}", *ANYWHERE[:7])
CARD_CARRIERS = ("卡号{}", "请转到银行卡 {} 里", "card {} expires 12/31", *ANYWHERE[:6])
NBSP, NARROW, IDEOGRAPHIC, ZERO_WIDTH, WIDE_HYPHEN = "\u00a0", "\u202f", "\u3000", "\u200b", "\uff0d"


def make_groups(
    kind: str, make: Callable[[random.Random], str], sizes: Sequence[int], carriers: Sequence[str], count: int
) -> list[Shape]:
    """One shape for each separator between the groups."""
    separators = {
        "space": " ",
        "hyphen": "-",
        "dot": ".",
        "NBSP": NBSP,
        "U+202F": NARROW,
        "U+3000": IDEOGRAPHIC,
        "full-width hyphen": WIDE_HYPHEN,
        "U+200B": ZERO_WIDTH,
    }
    name = "-".join(str(size) for size in sizes)

    def spell(separator: str) -> Callable[[random.Random], str]:
        return lambda rng: values.group(make(rng), sizes, separator)

    return [
        Shape(f"{kind} {name} {label}", (f"pii:{kind}",), spell(separator), carriers, count)
        for label, separator in separators.items()
    ]


def list_resident_ids() -> list[Shape]:
    kind = ("pii:cn_resident_id",)
    make = values.make_resident_id
    return [
        Shape("cn_resident_id plain", kind, make, ID_CARRIERS, 10),
        Shape("cn_resident_id glued", kind, make, ("我叫学生甲{}请登记", "证号{}已核验", "id{}end"), 6),
        Shape("cn_resident_id lower x", kind, lambda rng: make_ending_x(rng).lower(), ID_CARRIERS, 5),
        Shape("cn_resident_id full-width", kind, lambda rng: values.widen(make(rng)), ID_CARRIERS, 5),
        Shape("cn_resident_id digit by digit", kind, lambda rng: " ".join(make(rng)), ID_CARRIERS, 6),
        Shape("cn_resident_id digit by digit, comma", kind, lambda rng: "，".join(make(rng)), ID_CARRIERS[:3], 3),
        Shape("cn_resident_id residence permit", kind, lambda rng: make(rng, ("810000", "820000", "830000")), count=4),
        Shape("cn_resident_id 15 digits", kind, values.make_old_resident_id, ID_CARRIERS[:2], 4),
        *make_groups("cn_resident_id", make, (6, 8, 4), ID_CARRIERS, 4),
        *make_groups("cn_resident_id", make, (6, 4, 4, 4), ID_CARRIERS, 2),
    ]


def make_ending_x(rng: random.Random) -> str:
    while not (value := values.make_resident_id(rng)).endswith("X"):
        pass
    return value


def list_regional_ids() -> list[Shape]:
    hk, tw, macao, permit = ("pii:hk_id",), ("pii:tw_id",), ("pii:macao_id",), ("pii:travel_permit",)
    hk_said = ("香港身份證號碼：{}", "HKID: {}", "HKID No. {}", "香港身份证{}", "持有人身份證{}", '{"hkid": "{}"}')
    tw_said = ("身分證字號：{}", "台灣身分證{}", "Taiwan ID {}", "國民身分證統一編號 {}", '{"tw_id": "{}"}')
    macao_said = ("澳門居民身份證：{}", "澳门身份证{}", "BIR No. {}", "Macao ID {}", "澳門身份證號碼 {}")
    make_hk, make_tw, make_macao = values.make_hk_id, values.make_tw_id, values.make_macao_id
    return [
        Shape("hk_id brackets", hk, lambda rng: bracket(make_hk(rng)), (*hk_said, *ANYWHERE), 16),
        Shape("hk_id plain in context", hk, make_hk, hk_said, 12),
        Shape("hk_id full-width brackets", hk, lambda rng: bracket(make_hk(rng), "（）"), hk_said, 8),
        Shape("hk_id lower case", hk, lambda rng: bracket(make_hk(rng).lower()), hk_said, 6),
        Shape("hk_id spaced", hk, lambda rng: space_hk(make_hk(rng)), hk_said, 6),
        Shape("tw_id plain", tw, make_tw, (*tw_said, *ANYWHERE), 18),
        Shape("tw_id lower case", tw, lambda rng: make_tw(rng).lower(), tw_said, 7),
        Shape("tw_id full-width", tw, lambda rng: values.widen(make_tw(rng)), tw_said, 7),
        Shape("tw_id spaced", tw, lambda rng: values.group(make_tw(rng), (1, 3, 3, 3), " "), tw_said, 7),
        Shape("tw_id resident certificate", tw, lambda rng: make_tw(rng, "89"), ("居留證號碼 {}", *tw_said), 7),
        Shape("macao_id brackets", macao, lambda rng: bracket(make_macao(rng)), macao_said, 14),
        Shape("macao_id slashes", macao, lambda rng: values.group(make_macao(rng), (1, 6, 1), "/"), macao_said, 12),
        Shape("macao_id plain", macao, make_macao, macao_said, 10),
        Shape("macao_id spaced", macao, lambda rng: values.group(make_macao(rng), (4, 4), " "), macao_said, 8),
        Shape(
            "travel_permit HK and MO residents",
            permit,
            lambda rng: rng.choice("HM") + values.make_digits(rng, rng.choice((8, 10))),
            ("回乡证号{}", "港澳居民来往内地通行证：{}", "Home Return Permit {}", "回鄉證 {} 有效", "通行证号码{}"),
            15,
        ),
        Shape(
            "travel_permit TW residents",
            permit,
            lambda rng: values.make_digits(rng, 8),
            ("台胞证号 {}", "台湾居民来往大陆通行证：{}", "台胞證{}", "Mainland Travel Permit for Taiwan Residents {}"),
            15,
        ),
        Shape(
            "travel_permit mainland residents",
            permit,
            lambda rng: rng.choice(("C", "W", "T", "L", "CA", "CB")) + values.make_digits(rng, 8),
            ("往来港澳通行证{}", "港澳通行证号码：{}", "往来台湾通行证 {}", "大陆居民往来台湾通行证号{}"),
            15,
        ),
        Shape(
            "travel_permit lower case or spaced",
            permit,
            lambda rng: rng.choice(("h ", "m", "c ", "H ")) + values.make_digits(rng, 8),
            ("通行证号：{}", "港澳通行证 {}", "回乡证{}"),
            8,
        ),
    ]


def bracket(value: str, pair: str = "()") -> str:
    return f"{value[:-1]}{pair[0]}{value[-1]}{pair[1]}"


def space_hk(value: str) -> str:
    return f"{value[:-7]} {value[-7:-1]} ({value[-1]})"


def list_passports() -> list[Shape]:
    kind = ("pii:cn_passport",)
    said = (
        "护照号{}",
        "护照号码：{}",
        "passport no. {}",
        "Passport: {} (China)",
        "护照 {} 将于明年到期",
        '{"护照": "{}"}',
    )

    def make(rng: random.Random) -> str:
        if rng.random() < 0.5:
            return rng.choice("EG") + values.make_digits(rng, 8)
        return "E" + rng.choice("ABCDEFGHJK") + values.make_digits(rng, 7)

    return [
        Shape("cn_passport in context", kind, make, said, 16),
        Shape("cn_passport lower case", kind, lambda rng: make(rng).lower(), said, 10),
        Shape("cn_passport spaced", kind, lambda rng: values.group(make(rng), (1, 4, 4), " "), said, 8),
        Shape("cn_passport letter apart", kind, lambda rng: values.group(make(rng), (2, 7), " "), said, 6),
        Shape("cn_passport full-width", kind, lambda rng: values.widen(make(rng)), said, 6),
        Shape("cn_passport NBSP", kind, lambda rng: values.group(make(rng), (1, 8), NBSP), said, 5),
    ]


def list_companies_and_plates() -> list[Shape]:
    uscc, plate = ("pii:cn_uscc",), ("pii:cn_plate",)
    said = ("统一社会信用代码：{}", "信用代码{}", "USCC {}", "税号 {}，开票用", *ANYWHERE[:5])
    seen = ("车牌{}", "车牌号：{}", "{}已入校", "plate {}", "司机开的是{}，停在东门", "|车辆|{}|", *ANYWHERE[:3])
    make = values.make_uscc
    return [
        Shape("cn_uscc plain", uscc, make, said, 15),
        Shape("cn_uscc lower case", uscc, lambda rng: make(rng).lower(), said, 9),
        Shape("cn_uscc spaced 4", uscc, lambda rng: values.group(make(rng), (4, 4, 4, 4), " "), said, 9),
        Shape("cn_uscc spaced 2-6-9-1", uscc, lambda rng: values.group(make(rng), (2, 6, 9, 1), " "), said, 7),
        Shape("cn_uscc hyphens", uscc, lambda rng: values.group(make(rng), (8, 8), "-"), said, 6),
        Shape("cn_uscc full-width", uscc, lambda rng: values.widen(make(rng)), said, 6),
        Shape("cn_plate plain", plate, make_plate, seen, 8),
        Shape("cn_plate dot", plate, lambda rng: values.group(make_plate(rng), (2, 5), "·"), seen, 7),
        Shape("cn_plate lower case", plate, lambda rng: make_plate(rng).lower(), seen, 7),
        Shape("cn_plate spaced", plate, lambda rng: values.group(make_plate(rng), (2, 5), " "), seen, 7),
        Shape("cn_plate hyphen", plate, lambda rng: values.group(make_plate(rng), (2, 5), "-"), seen[:4], 4),
        Shape("cn_plate new energy", plate, make_green_plate, seen, 10),
        Shape("cn_plate new energy dot", plate, lambda rng: values.group(make_green_plate(rng), (2, 6), "·"), seen, 6),
        Shape("cn_plate new energy lower case", plate, lambda rng: make_green_plate(rng).lower(), seen, 6),
        Shape("cn_plate full-width", plate, lambda rng: values.widen(make_plate(rng)), seen, 5),
        Shape("cn_plate special", plate, lambda rng: make_plate(rng)[:-1] + rng.choice("学警"), seen, 5),
    ]


def make_plate(rng: random.Random) -> str:
    return rng.choice("京津沪渝冀豫云辽黑湘皖鲁苏浙赣鄂桂晋陕吉闽粤川") + rng.choice("ABCDEFGH") + make_serial(rng)


def make_serial(rng: random.Random) -> str:
    if rng.random() < 0.5:
        return values.make_digits(rng, 5)
    return rng.choice("ABCDEFGHJKLMNPQRSTUVWXYZ") + values.make_digits(rng, 4)


def make_green_plate(rng: random.Random) -> str:
    """Small cars have D or F before five digits, large ones after."""
    head, digits, letter = make_plate(rng)[:2], values.make_digits(rng, 5), rng.choice("DF")
    return head + (letter + digits if rng.random() < 0.7 else digits + letter)


def list_cards_and_accounts() -> list[Shape]:
    card, iban = ("pii:bank_card",), ("pii:iban",)
    accounts = (
        "IBAN {}",
        "IBAN: {}",
        "收款账号（IBAN）{}",
        "Please wire to {} today",
        "账户{}，币种欧元",
        *ANYWHERE[:4],
    )

    def make_16(rng: random.Random) -> str:
        return values.make_card(rng, ("6222", "6217", "4", "51", "55"), 16)

    def make_19(rng: random.Random) -> str:
        return values.make_card(rng, ("6222", "6217", "6228"), 19)

    def make_amex(rng: random.Random) -> str:
        return values.make_card(rng, ("34", "37"), 15)

    def make_diners(rng: random.Random) -> str:
        return values.make_card(rng, ("300", "305", "36", "38"), 14)

    def make_lower(rng: random.Random) -> str:
        return values.make_iban(rng).lower()

    return [
        Shape("bank_card 16 plain", card, make_16, CARD_CARRIERS, 9),
        Shape("bank_card 19 plain", card, make_19, CARD_CARRIERS, 9),
        Shape("bank_card 19 full-width", card, lambda rng: values.widen(make_19(rng)), CARD_CARRIERS, 4),
        Shape("bank_card digit by digit", card, lambda rng: " ".join(make_16(rng)), CARD_CARRIERS[:3], 4),
        *make_groups("bank_card", make_16, (4, 4, 4, 4), CARD_CARRIERS, 3),
        *make_groups("bank_card", make_19, (4, 4, 4, 4, 3), CARD_CARRIERS, 2),
        *make_groups("bank_card", make_19, (6, 13), CARD_CARRIERS[:3], 1),
        *make_groups("bank_card", make_amex, (4, 6, 5), CARD_CARRIERS, 2),
        *make_groups("bank_card", make_diners, (4, 6, 4), CARD_CARRIERS, 2),
        Shape("bank_card Amex plain", card, make_amex, CARD_CARRIERS, 4),
        Shape("bank_card Diners plain", card, make_diners, CARD_CARRIERS[:3], 4),
        Shape("iban plain", iban, values.make_iban, accounts, 18),
        Shape("iban groups of 4", iban, lambda rng: group_by_4(values.make_iban(rng), " "), accounts, 14),
        Shape("iban groups of 4 NBSP", iban, lambda rng: group_by_4(values.make_iban(rng), NBSP), accounts, 6),
        Shape("iban hyphens", iban, lambda rng: group_by_4(values.make_iban(rng), "-"), accounts[:3], 4),
        Shape("iban lower case", iban, make_lower, accounts[:3], 5),
        Shape("iban full-width", iban, lambda rng: values.widen(values.make_iban(rng)), accounts[:3], 4),
    ]


def group_by_4(value: str, separator: str) -> str:
    return values.group(value, (4,) * (len(value) // 4), separator)


def list_us_ssn() -> list[Shape]:
    kind = ("pii:us_ssn",)
    said = (
        "SSN: {}",
        "my social security number is {}",
        "Social Security No. {}",
        "美国社会安全号码 {}",
        '{"ssn": "{}"}',
    )
    return [
        Shape("us_ssn hyphens", kind, lambda rng: "-".join(values.make_ssn(rng)), (*said, "SSN{}"), 16),
        Shape("us_ssn spaces", kind, lambda rng: " ".join(values.make_ssn(rng)), said, 10),
        Shape("us_ssn plain", kind, lambda rng: "".join(values.make_ssn(rng)), said, 10),
        Shape("us_ssn dots", kind, lambda rng: ".".join(values.make_ssn(rng)), said, 5),
        Shape("us_ssn NBSP", kind, lambda rng: NBSP.join(values.make_ssn(rng)), said, 5),
        Shape("us_ssn full-width", kind, lambda rng: values.widen("-".join(values.make_ssn(rng))), said, 5),
    ]


def list_shapes() -> list[Shape]:
    return [
        *list_resident_ids(),
        *list_regional_ids(),
        *list_passports(),
        *list_companies_and_plates(),
        *list_cards_and_accounts(),
        *list_us_ssn(),
    ]
