"""Personal data: each kind in each way of writing, and what only looks like it."""

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from practicum_jobs.text.identifiers import (
    compute_resident_check,
    compute_uscc_check,
    is_bank_card,
    is_luhn,
    is_resident_id,
    is_uscc,
)
from practicum_jobs.text.pii import find_pii, mask_matches, mask_value, normalise_for_search

VALUES = {
    "cn_resident_id": ["11010519491231002X", "440524188001010014", "110105491231002", "110105 19491231 002X"],
    "cn_uscc": ["91350100M000100Y43"],
    "bank_card": ["4111111111111111", "4111 1111 1111 1111", "5555-5555-5555-4444", "6200000000000005"],
    "cn_mobile": ["13800138000", "138 0013 8000", "138-0013-8000", "+86 138 0013 8000", "8613800138000"],
    "cn_landline": ["010-62771234", "0755-26771234", "(021)62771234", "+86 10 6277 1234"],
    "cn_plate": ["京A12345", "粤BD12345", "沪A·12345", "京A1234学"],
    "cn_passport": ["E12345678", "G87654321", "EA1234567"],
    "email": ["zhang.san@example.com", "a_b+c@mail.example.co.uk"],
    "ipv4": ["8.8.8.8", "114.114.114.114"],
    "phone": ["+1 415-555-2671", "+44 20 7946 0018", "(415) 555-2671", "+81 3-1234-5678"],
}
FRAMES = ("{}", "请看{}谢谢", "see {}, thanks", "号码：{}。", "\n{}\n", "“{}”")
FULL_WIDTH = str.maketrans("0123456789", "０１２３４５６７８９")
PAIRS = [(kind, value) for kind, values in VALUES.items() for value in values]


@pytest.mark.parametrize(("kind", "value"), PAIRS)
def test_every_kind_is_found_in_every_frame(kind, value):
    for frame, written in itertools.product(FRAMES, (value, value.translate(FULL_WIDTH))):
        text = frame.format(written)
        found = find_pii(text)
        assert [match.kind for match in found] == [kind], (text, found)
        assert normalise_for_search(text)[found[0].start : found[0].end] == value.replace("·", "·")


@pytest.mark.parametrize(
    "text",
    [
        "订单TK-945747共183.06元",
        "11010519491231002X0",
        "110105194912310021",
        "999999194912310021",
        "4111111111111112",
        "1234567812345670",
        "23800138000",
        "138001380001",
        "A13800138000",
        "192.168.1.1 10.0.0.1 127.0.0.1 256.1.1.1",
        "version 8.8.8.8",
        "1.2.3.4.5",
        "京城A1",
        "京AABCDE",
        "user@localhost",
        "a@b",
        "2024-01-02 10:20:30.123456",
        "3.14159265358979",
        "P12345678",
        "0000000000000000",
        "+999 123456789",
        "ISBN 978-7-302-12345-6",
    ],
)
def test_what_only_looks_like_it_is_left_alone(text):
    assert find_pii(text) == []


def test_a_service_passport_needs_its_context():
    assert [match.kind for match in find_pii("护照号P12345678")] == ["cn_passport"]


def test_neighbours_are_told_apart():
    text = "13800138000,4111111111111111 zhang@example.com/8.8.8.8"
    assert [match.kind for match in find_pii(text)] == ["cn_mobile", "bank_card", "email", "ipv4"]


@given(st.integers(0, 10**17 - 1))
def test_any_wrong_digit_breaks_a_resident_id(number):
    rng = random.Random(number)
    body = f"110105{rng.randint(1950, 2000)}{rng.randint(1, 12):02d}{rng.randint(1, 28):02d}{rng.randint(0, 999):03d}"
    text = body + compute_resident_check(body)
    assert is_resident_id(text)
    place = rng.randrange(14, 17)
    wrong = str((int(text[place]) + rng.randint(1, 9)) % 10)
    assert not is_resident_id(text[:place] + wrong + text[place + 1 :])


@given(st.text("0123456789ABCDEFGHJKLMNPQRTUWXY", min_size=9, max_size=9))
def test_one_check_mark_in_31_fits_a_company_code(body):
    code = "91350100" + body
    fits = [mark for mark in "0123456789ABCDEFGHJKLMNPQRTUWXY" if is_uscc(code + mark)]
    assert fits == [compute_uscc_check(code)]


@given(st.text("0123456789", min_size=15, max_size=15))
def test_one_digit_in_ten_fits_a_card(body):
    assert sum(is_luhn(body + digit) for digit in "0123456789") == 1
    assert not is_bank_card("99" + body)


@given(st.text(max_size=200))
def test_any_text_can_be_searched_and_places_are_inside_it(text):
    normal = normalise_for_search(text)
    places = find_pii(text)
    assert all(0 <= match.start < match.end <= len(normal) for match in places)
    assert len(mask_matches(normal, places)) == len(normal)


@pytest.mark.parametrize(("kind", "value"), PAIRS)
def test_a_mask_shows_at_most_a_fifth(kind, value):
    masked = mask_value(value)
    assert len(masked) == len(value)
    assert sum(mark != "*" for mark in masked) <= max(1, len(value) // 5)
    assert find_pii(f"请看{masked}谢谢") == []
