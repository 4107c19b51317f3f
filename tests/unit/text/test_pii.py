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
from practicum_jobs.text.pii import find_pii, mask_matches, mask_value

VALUES = {
    "cn_resident_id": [
        "11010519491231002X",
        "440524188001010014",
        "110105 19491231 002X",
        "身份证110105491231002",
    ],
    "cn_uscc": [
        "91350100M000100Y43",
        "91350100m000100y43",
        "91 350100 M000100Y4 3",
        "9135-0100-M000-100Y-43",
    ],
    "bank_card": [
        "4111111111111111",
        "4111 1111 1111 1111",
        "5555-5555-5555-4444",
        "6200000000000005",
        "3782.822463.10005",
    ],
    "iban": [
        "DE89370400440532013000",
        "GB29 NWBK 6016 1331 9268 19",
        "NO93 8601 1117 947",
        "fr1420041010050500013m02606",
    ],
    "cn_mobile": [
        "13800138000",
        "138 0013 8000",
        "138-0013-8000",
        "+86 138 0013 8000",
        "8613800138000",
        "1380-0138-000",
        "138.0013.8000",
        "013800138000",
        "一三八零零一三八零零零",
        "幺三八〇〇幺三八〇〇〇",
        "tel13800138000",
    ],
    "cn_landline": [
        "010-62771234",
        "0755-26771234",
        "(021)62771234",
        "+86 10 6277 1234",
        "电话01062771234",
        "座机：62771234",
    ],
    "cn_plate": ["京A12345", "粤BD12345", "沪A·12345", "京A1234学", "粤b·d12345"],
    "cn_passport": ["护照E12345678", "passport no. g87654321", "护照号EA 123 4567"],
    "travel_permit": ["回乡证H12345678", "台胞证号 12345678", "往来港澳通行证C12345678"],
    "hk_id": ["A123456(3)", "香港身份证A1234563", "AB987654（3）"],
    "macao_id": ["澳门身份证1234567(8)", "Macao ID 5/123456/7"],
    "tw_id": ["A123456789", "身分證字號 a123456789"],
    "us_ssn": ["SSN 078-05-1120", "social security number: 078 05 1120"],
    "email": [
        "zhang.san@example.com",
        "a_b+c@mail.example.co.uk",
        "zhang [at] example [dot] com",
        "zhang @ example.com",
    ],
    "ipv4": ["8.8.8.8", "114.114.114.114"],
    "ipv6": ["2400:3200::1", "2400:3200:baba:0:0:0:0:1"],
    "mac": ["3c:22:fb:01:02:0a", "3C-22-FB-01-02-0A", "3c22.fb01.020a", "MAC地址3c22fb01020a"],
    "phone": [
        "+1 415-555-2671",
        "+44 20 7946 0018",
        "(415) 555-2671",
        "+81 3-1234-5678",
        "日本电话 090-1234-5678",
        "香港电话 2345 6789",
        "台灣手機 0912-345-678",
        "Call 415 555 2671",
    ],
    "qq": ["QQ：123456", "qq号 1234 56789"],
    "wechat": ["wxid_a1b2c3d4e5f6g7", "微信号：zhang_san1", "加微信zhangsan88"],
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
        assert written.endswith(text[found[0].start : found[0].end])


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
        "G83233659",
        "part no. E12345678",
        "订单13800138000",
        "快递单号 13800138000",
        "0.13800138000",
        "13800138000 tokens",
        "电话 400-810-8888",
        "icon72@2x.png",
        "git@github.com:owner/name.git",
        "x@w.transpose",
        "section 3.2.1.4",
        "编号A123456788",
        "DE88370400440532013000",
        "12:34:56 ff:ff:ff:ff:ff:ff",
        "2001:db8::1 fe80::1",
        "std::vector<int>::iterator",
        "微信公众号",
        "用QQ传了123456个文件",
        "3.14159265358979",
        "P12345678",
        "0000000000000000",
        "+999 123456789",
        "ISBN 978-7-302-12345-6",
    ],
)
def test_what_only_looks_like_it_is_left_alone(text):
    assert find_pii(text) == []


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
    places = find_pii(text)
    assert all(0 <= match.start < match.end <= len(text) for match in places)
    assert len(mask_matches(text, places)) == len(text)


ASCII_SEPARATORS = (" ", "  ", "-", ".", "_", " - ")
SEPARATORS = (*ASCII_SEPARATORS, "·", "\u00a0", "\u202f", "\u3000", "－", "–", "\u2011", "\u200b", "\u2060")
SPLIT = {
    "cn_resident_id": ("身份证", "11010519491231002X"),
    "cn_uscc": ("税号", "91350100M000100Y43"),
    "bank_card": ("卡号", "4111111111111111"),
    "iban": ("IBAN ", "DE89370400440532013000"),
    "cn_mobile": ("手机", "13800138000"),
    "tw_id": ("身分證", "A123456789"),
    "us_ssn": ("SSN ", "078051120"),
    "cn_passport": ("护照", "E12345678"),
    "travel_permit": ("回乡证", "H12345678"),
    "qq": ("QQ", "1234567890"),
}


@given(
    st.sampled_from(sorted(SPLIT)),
    st.sampled_from(SEPARATORS),
    st.sets(st.integers(4, 15), max_size=5),
    st.booleans(),
    st.sampled_from(["", "好", "\u200b"]),
)
def test_a_number_is_found_whatever_splits_it(kind, separator, places, is_wide, tail):
    label, value = SPLIT[kind]
    cuts = [0, *sorted(place for place in places if place < len(value)), len(value)]
    parts = [value[start:end] for start, end in itertools.pairwise(cuts)]
    written = separator.join(parts)
    text = f"{label}{written.translate(FULL_WIDTH) if is_wide else written}{tail}"
    found = find_pii(text)
    assert [match.kind for match in found] == [kind]
    assert text[found[0].start : found[0].end] == text[len(label) : len(text) - len(tail)]


@given(st.sampled_from(PAIRS), st.text(max_size=20), st.text(max_size=20))
def test_a_masked_text_holds_no_value_that_was_found(pair, before, after):
    text = f"{before} {pair[1]} {after} 订单{pair[1]}"
    places = find_pii(text)
    masked = mask_matches(text, places)
    assert [text[p.start : p.end] for p in places if text[p.start : p.end] in masked] == []


@pytest.mark.parametrize("value", [value for _, value in PAIRS])
def test_a_mask_shows_at_most_a_fifth(value):
    masked = mask_value(value)
    assert len(masked) == len(value)
    assert sum(mark != "*" for mark in masked) <= max(1, len(value) // 5)
    assert find_pii(f"请看{masked}谢谢") == []
