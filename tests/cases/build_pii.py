"""Cases of personal data and secrets: writes pii.jsonl beside this file, always the same one.

    python tests/cases/build_pii.py

The cases were written before the detector was mended and not by whoever mends it. Do not fit them to the detector:
a case that is wrong is corrected here, with the reason in the commit.

One case a line: id, text, truth (the kinds in it, named as in the audit's report; empty for a hard negative) and
shape. The rules of the truth:

- No value belongs to anybody where its scheme has room for that: resident ids have the sequence number 000, MAC
  addresses are local ones, IPv6 addresses lie in 2d00::/8, IPv4 addresses in networks that serve no person, telephones
  of the United States and landlines of the United Kingdom in the ranges for films. The rest is random.
- An IPv4 or IPv6 address counts if it is global. Private, loopback, link-local, multicast, mask and documentation
  addresses do not. Nothing is said of well-known servers (8.8.8.8).
- A MAC address counts unless it is all zeros or all ones. Nothing is said of the documentation range.
- A number with a check digit counts only if the digit is right. Macao ids, travel permits, passports, SSN, QQ and
  WeChat names have none (or no published one): they count in context.
- Emergency numbers and hotlines (110, 10086, 95588, 400, 800) are no person's.
- A secret counts if its body is random. Placeholders, masks and names of variables do not. A bare key prefix or the
  header of a private key without a body is left out.
- `secret:generic` is a password or key named by the words before it. `secret:bearer_token` is an opaque token after
  Bearer, `secret:url_password` a password in the user part of a URL, `secret:webhook` the address of a chat robot.

Prefixes by which hosting services recognise keys are written with a JSON escape, so that the file holds none of them.
"""

import json
import random
import re
import unicodedata
from pathlib import Path

import pii_contacts
import pii_identities
import pii_negatives
import pii_secrets
import pii_values as values
from pii_shapes import Case, expand

SEED = 20_241_124
TARGET = Path(__file__).with_name("pii.jsonl")
PREFIXES = re.compile(
    r"sk-|[sr]k_live_|hf_|AIza|AKIA|ASIA|AKID|LTAI|gh[pos]_|github_pat_|xox[bp]-|xapp-|glpat-|gldt-|glrt-|eyJ"
    r"|-----BEGIN|hooks\.slack|webhook/send|robot/send|bot/v2/hook|AccountKey|8Q~|[Bb]earer (?=\S{40})"
    r"|://(?=[a-z0-9]+:[A-Za-z0-9]+@)"
)


def list_mixed(rng: random.Random) -> list[Case]:
    """Several kinds in one text, as in the records of a help desk."""
    cases = []
    for i in range(24):
        mobile, mail = values.make_mobile(rng), f"{values.make_local(rng)}@{values.make_domain(rng)}"
        resident, address = values.make_resident_id(rng), values.make_ipv4(rng)
        card = values.make_card(rng, ("6222", "6217"), 19)
        texts: tuple[tuple[str, tuple[str, ...]], ...] = (
            (f"学生电话{mobile}，邮箱{mail}，请尽快联系。", ("pii:cn_mobile", "pii:email")),
            (f"证件 {resident} 手机 {mobile}", ("pii:cn_mobile", "pii:cn_resident_id")),
            (f'{{"ip": "{address}", "mail": "{mail}"}}', ("pii:email", "pii:ipv4")),
            (f"| 卡号 | 手机 |\n|---|---|\n| {card} | {mobile} |", ("pii:bank_card", "pii:cn_mobile")),
        )
        text, truth = texts[i % len(texts)]
        cases.append(Case(text, truth, "mixed"))
    return cases


def write_text(text: str) -> str:
    """JSON with what nobody sees, and the prefixes of keys, as escapes."""
    guarded = PREFIXES.sub(lambda match: f"{match[0][0]}\0{match[0][1:]}", text)
    written = json.dumps(guarded, ensure_ascii=False)
    written = re.sub(r"\\u0000(.)", lambda match: f"\\u{ord(match[1]):04x}", written)
    return "".join(
        f"\\u{ord(char):04x}" if char != " " and unicodedata.category(char) in {"Zs", "Cf"} else char
        for char in written
    )


def list_cases() -> list[Case]:
    rng = random.Random(SEED)
    shapes = [*pii_identities.list_shapes(), *pii_contacts.list_shapes(), *pii_secrets.list_shapes()]
    cases = [case for shape in shapes for case in expand(shape, rng)]
    return [*cases, *list_mixed(rng), *pii_negatives.list_cases(rng)]


def write_lines() -> str:
    """One line a case; of equal texts the first is kept."""
    cases = {case.text: case for case in reversed(list_cases())}
    return "".join(
        f'{{"id": {i}, "text": {write_text(case.text)}, "truth": {json.dumps(case.truth)}, '
        f'"shape": {json.dumps(case.shape, ensure_ascii=False)}}}\n'
        for i, case in enumerate(reversed(cases.values()))
    )


if __name__ == "__main__":
    TARGET.write_text(write_lines(), encoding="utf-8")
