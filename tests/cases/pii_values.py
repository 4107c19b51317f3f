"""Invented values of each kind, with right check digits, and the spellings of numbers."""

import random
import string
from collections.abc import Sequence

ALNUM = string.ascii_letters + string.digits
USCC_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
# Value of each letter in Taiwan's identity numbers.
TW_LETTERS = dict(zip("ABCDEFGHJKLMNPQRSTUVXYWZIO", range(10, 36), strict=True))
REGIONS = ("110105", "310115", "350203", "440305", "330106", "510104", "420106", "610113", "320102", "500103", "210102")
# Lengths and forms of national account numbers: d is a digit, a is a capital letter, c is either.
BBANS = {"DE": "d18", "GB": "a4d14", "NL": "a4d10", "CH": "d17", "AT": "d16", "SE": "d20", "DK": "d14", "SA": "d2c18"}
# Networks of the US Department of Defense: global by the registry, and no person's.
UNUSED_NETWORKS = (11, 21, 22, 26, 28, 29, 30, 33, 55)


def make_digits(rng: random.Random, count: int) -> str:
    return "".join(rng.choices(string.digits, k=count))


def make_body(rng: random.Random, count: int, alphabet: str = ALNUM) -> str:
    return "".join(rng.choices(alphabet, k=count))


def compute_resident_check(body: str) -> str:
    """ISO 7064 mod 11-2 over the first 17 digits."""
    total = sum(int(digit) * pow(2, 17 - i, 11) for i, digit in enumerate(body))
    return "10X98765432"[total % 11]


def make_resident_id(rng: random.Random, regions: Sequence[str] = REGIONS) -> str:
    """Sequence number 000, which is issued to nobody."""
    born = f"{rng.randint(1940, 2011)}{rng.randint(1, 12):02}{rng.randint(1, 28):02}"
    body = rng.choice(regions) + born + "000"
    return body + compute_resident_check(body)


def make_old_resident_id(rng: random.Random) -> str:
    """The 15 digits of before 1999, without a check digit."""
    return f"{rng.choice(REGIONS)}{rng.randint(40, 80)}{rng.randint(1, 12):02}{rng.randint(1, 28):02}000"


def compute_luhn(body: str) -> str:
    total = 0
    for i, digit in enumerate(reversed(body)):
        doubled = int(digit) * (2 if i % 2 == 0 else 1)
        total += doubled - 9 if doubled > 9 else doubled
    return str(-total % 10)


def make_card(rng: random.Random, prefixes: Sequence[str], length: int) -> str:
    prefix = rng.choice(prefixes)
    body = prefix + make_digits(rng, length - len(prefix) - 1)
    return body + compute_luhn(body)


def make_iban(rng: random.Random) -> str:
    country, form = rng.choice(sorted(BBANS.items()))
    alphabets = {"d": string.digits, "a": string.ascii_uppercase, "c": string.ascii_uppercase + string.digits}
    bban = ""
    for part in form.replace("d", " d").replace("a", " a").replace("c", " c").split():
        bban += make_body(rng, int(part[1:]), alphabets[part[0]])
    number = int("".join(str(int(char, 36)) for char in bban + country + "00"))
    return f"{country}{98 - number % 97:02}{bban}"


def compute_uscc_check(body: str) -> str:
    """GB 32100, mod 31 over the first 17 characters."""
    total = sum(USCC_ALPHABET.index(char) * pow(3, i, 31) for i, char in enumerate(body))
    return USCC_ALPHABET[-total % 31]


def make_uscc(rng: random.Random) -> str:
    """The organisation code inside has its own check digit (GB 11714)."""
    organisation = rng.choice("M123456789A") + make_body(rng, 7, "0123456789ABCDEFGHJKLMNPQRTUWXY")
    weights = (3, 7, 9, 10, 5, 8, 4, 2)
    total = sum(int(char, 36) * weight for char, weight in zip(organisation, weights, strict=True))
    check = "0123456789X0"[11 - total % 11]
    body = rng.choice(("91", "91", "92", "12", "52")) + rng.choice(REGIONS) + organisation + check
    return body + compute_uscc_check(body)


def make_hk_id(rng: random.Random) -> str:
    """One or two letters, six digits and the check digit, without brackets."""
    letters = rng.choice((*"ABCDEGHKMPRVYZ", "XA", "WX"))
    body = make_digits(rng, 6)
    padded = [36, *(int(char, 36) for char in letters)][-2:] + [int(digit) for digit in body]
    total = sum(value * weight for value, weight in zip(padded, range(9, 1, -1), strict=True))
    return letters + body + "0123456789A"[-total % 11]


def make_tw_id(rng: random.Random, seconds: str = "12") -> str:
    """National id with 1 or 2 in second place, resident certificate with 8 or 9."""
    letter = rng.choice(sorted(TW_LETTERS))
    body = rng.choice(seconds) + make_digits(rng, 7)
    digits = [*divmod(TW_LETTERS[letter], 10), *(int(digit) for digit in body)]
    total = sum(value * weight for value, weight in zip(digits, (1, 9, 8, 7, 6, 5, 4, 3, 2, 1), strict=True))
    return letter + body + str(-total % 10)


def make_macao_id(rng: random.Random) -> str:
    """First digit 1, 5 or 7; the government publishes no rule for the last one."""
    return rng.choice("157") + make_digits(rng, 7)


def make_mobile(rng: random.Random) -> str:
    prefix = rng.choice(
        ("133", "135", "137", "138", "139", "150", "158", "159", "176", "177", "186", "187", "191", "198")
    )
    return prefix + rng.choice("123456789") + make_digits(rng, 7)


def make_landline(rng: random.Random) -> tuple[str, str]:
    """Area code and number."""
    area = rng.choice(("010", "021", "020", "025", "028", "0755", "0571", "0532"))
    return area, rng.choice("5678") + make_digits(rng, 7)


def make_ssn(rng: random.Random) -> tuple[str, str, str]:
    area = rng.choice([n for n in range(1, 773) if n != 666])
    return f"{area:03}", f"{rng.randint(1, 99):02}", f"{rng.randint(1, 9999):04}"


def make_ipv4(rng: random.Random) -> str:
    return ".".join(str(n) for n in (rng.choice(UNUSED_NETWORKS), *(rng.randint(1, 254) for _ in range(3))))


def make_ipv6(rng: random.Random) -> list[str]:
    """Eight groups below 2d00::/8, which is global and given to nobody."""
    return [f"2d{rng.randint(1, 255):02x}", *(f"{rng.randint(4096, 65535):x}" for _ in range(7))]


def make_mac(rng: random.Random) -> list[str]:
    """Six octets with the bit of a local address set, so that no card was ever made with it."""
    first = rng.randrange(2, 256, 4)
    return [f"{octet:02x}" for octet in (first, *(rng.randint(16, 255) for _ in range(5)))]


def make_domain(rng: random.Random) -> str:
    """Reserved for examples, or a name of random letters that nobody has."""
    label = make_body(rng, 11, "bcdfghjkmnpqrtvwxz")
    return rng.choice(
        ("example.com", "example.org", "mail.example.net", f"{label}.cn", f"{label}.edu.cn", f"{label}.io")
    )


def make_local(rng: random.Random) -> str:
    stem = make_body(rng, rng.randint(4, 8), "abcdefghijklmnopqrstuvwxyz")
    return stem + rng.choice(("", ".lab", "_2024", "-ml", "+course", "88", f".{make_body(rng, 3, 'abcdef')}"))


def group(text: str, sizes: Sequence[int], separator: str) -> str:
    """
    >>> group("13800138000", (3, 4, 4), "-")
    '138-0013-8000'
    """
    parts, start = [], 0
    for size in sizes:
        parts.append(text[start : start + size])
        start += size
    return separator.join([*parts, text[start:]] if start < len(text) else parts)


def widen(text: str) -> str:
    """ASCII to full-width forms."""
    return "".join(chr(ord(char) + 0xFEE0) if "!" <= char <= "~" else char for char in text)


def write_in_chinese(digits: str, numerals: str = "零一二三四五六七八九") -> str:
    return "".join(numerals[int(char)] if char.isdigit() else char for char in digits)
