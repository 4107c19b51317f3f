import ipaddress
import re
import unicodedata

import phonenumbers
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from practicum_jobs.datasets.draws import Draw
from practicum_jobs.datasets.planted_values import (
    CARRIERS_EN,
    CARRIERS_ZH,
    PII,
    SECRETS,
    compute_luhn_digit,
    widen_digits,
)
from practicum_jobs.text.identifiers import is_bank_card, is_resident_id, is_uscc
from practicum_jobs.text.pii import find_pii
from practicum_jobs.text.pii_kinds import PiiKind
from practicum_jobs.text.secret_kinds import SecretKind
from practicum_jobs.text.secrets import find_secrets

KEYS = st.integers(0, 2**63)


def test_every_planted_kind_is_known_to_the_audit():
    assert set(PII) <= {kind.value for kind in PiiKind}
    assert set(SECRETS) <= {kind.value for kind in SecretKind}


@given(KEYS)
def test_numbers_carry_valid_checksums(key):
    assert is_resident_id(PII["cn_resident_id"](Draw(key)))
    assert is_uscc(PII["cn_uscc"](Draw(key)))
    assert is_bank_card(PII["bank_card"](Draw(key)))


def test_luhn_of_published_test_numbers():
    # Test numbers that payment providers publish.
    for number in ("4242424242424242", "5555555555554444", "378282246310005", "6011111111111117"):
        assert compute_luhn_digit(number[:-1]) == number[-1]


@given(KEYS)
@example(9072632)
def test_telephones_are_in_the_numbering_plan(key):
    for kind in ("cn_mobile", "cn_landline"):
        assert phonenumbers.is_valid_number(phonenumbers.parse(PII[kind](Draw(key)), "CN"))
    assert phonenumbers.is_valid_number(phonenumbers.parse(PII["phone"](Draw(key)), None))


@given(KEYS)
def test_values_are_nobodys(key):
    assert PII["cn_resident_id"](Draw(key))[2:6] == "0000"
    assert PII["cn_uscc"](Draw(key))[4:8] == "0000"
    assert re.search(r"@(mail\.)?example\.(com|org|net)$", PII["email"](Draw(key)))
    assert ipaddress.IPv4Address(PII["ipv4"](Draw(key))).is_global
    assert re.match(r"\+1 \d{3}-555-01\d\d$|\+44 20 7946 0\d{3}$|\+61 2 5550 \d{4}$", PII["phone"](Draw(key)))
    for kind in ("aws_key", "openai_key", "github_token", "slack_token"):
        assert "EXAMPLE" in SECRETS[kind](Draw(key))


@given(KEYS, st.sampled_from(sorted(PII)))
def test_carriers_bring_values_into_text_that_the_audit_finds(key, kind):
    value = PII[kind](Draw(key))
    for carriers, written in ((CARRIERS_EN, value), (CARRIERS_ZH, value), (CARRIERS_ZH, widen_digits(value))):
        for carrier in carriers[kind]:
            assert [match.kind for match in find_pii(carrier.format(v=written))] == [kind]


@given(KEYS, st.sampled_from(sorted(SECRETS)))
def test_secrets_have_their_issuers_form(key, kind):
    assert [match.kind for match in find_secrets(f"x {SECRETS[kind](Draw(key))} y")] == [kind]


def test_wide_digits_are_the_same_after_nfkc():
    assert unicodedata.normalize("NFKC", widen_digits("13800001234")) == "13800001234"


@pytest.mark.parametrize("kind", [*PII, *SECRETS])
def test_values_vary(kind):
    build = (PII | SECRETS)[kind]
    assert len({build(Draw(key)) for key in range(100)}) >= 10
