"""Credentials, damage by wrong decoding, and scripts."""

import base64
import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from practicum_jobs.text.encoding import EncodingDefect, find_defects
from practicum_jobs.text.script import Script, classify_texts
from practicum_jobs.text.secrets import find_secrets

RNG = random.Random(4)
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


def draw(length):
    return "".join(RNG.choices(ALPHABET, k=length))


def build_jwt():
    parts = [
        base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")
        for part in ({"alg": "HS256"}, {"sub": "1234567"})
    ]
    return ".".join([*parts, draw(43)])


SECRETS = {
    "aws_key": "AKIAIOSFODNN7EXAMPLE",
    "openai_key": "sk-proj-" + draw(48),
    "github_token": "ghp_" + draw(36),
    "slack_token": "xoxb-123456789012-" + draw(24),
    "private_key": "-----BEGIN RSA PRIVATE KEY-----\n" + draw(64) + "\n-----END RSA PRIVATE KEY-----",
    "jwt": build_jwt(),
}


@pytest.mark.parametrize(("kind", "value"), SECRETS.items())
@pytest.mark.parametrize("frame", ["{}", "我的密钥是{}请保存", "use {} here", '{{"k": "{}"}}'])
def test_every_credential_is_found_whole(kind, value, frame):
    text = frame.format(value)
    found = find_secrets(text)
    assert [match.kind for match in found] == [kind]
    assert value in text[found[0].start : found[0].end] + "\n-----END"


def test_a_key_of_which_chance_made_few_digits_is_found():
    found = find_secrets("x sk-EXAMPLEKycLWpCumVjtQuGpkLgOOqkDO2vGQKsSRFhqiRVAZ y")
    assert [match.kind for match in found] == ["openai_key"]
    assert not find_secrets("x sk-learn-Extensions-for-Everybody-in-the-Classroom-of-Tomorrow y".lower())


@pytest.mark.parametrize(
    "text",
    ["password=hX9kQ2mZ7pLw4", "api_key: 'a8F3kd92LmQ0zXcV'", "数据库密码是hX9kQ2mZ7pLw4。", "TOKEN=hX9kQ2mZ7pLw4vB"],
)
def test_random_values_assigned_to_a_name_are_found(text):
    assert [match.kind for match in find_secrets(text)] == ["generic"]


@pytest.mark.parametrize(
    "text",
    [
        "password=changemeplease",
        "the token of gratitude",
        "my key is on the table",
        "sk-eleton keys",
        "eight ghosts, xoxo",
        "密码不对，打不开订单TK-595575",
        "AKIA is a prefix",
        "-----BEGIN CERTIFICATE-----",
        "secret: aaaaaaaaaaaaaaaa1",
    ],
)
def test_ordinary_words_are_no_credentials(text):
    assert find_secrets(text) == []


@pytest.mark.parametrize(
    "text", ["我想退货，请尽快处理。谢谢", "It’s the café “à la carte” — naïve façade", "订单TK-1的发票", "价格是10€"]
)
def test_misread_text_is_found_and_the_text_itself_is_not(text):
    assert find_defects(text) == []
    if not text.isascii():
        assert find_defects(text.encode().decode("latin-1")) == [EncodingDefect.MOJIBAKE]


def test_utf8_read_as_gbk_is_found():
    for text in ("我想退货，请尽快处理。", "这是一个用户的问题，请回答。"):
        assert EncodingDefect.MOJIBAKE in find_defects(text.encode().decode("gbk", "replace"))


def test_lost_and_control_characters_are_found():
    assert find_defects("a\ufffdb") == [EncodingDefect.REPLACEMENT]
    assert find_defects("锟斤拷锟斤拷") == [EncodingDefect.REPLACEMENT]
    assert find_defects("a\x00b") == [EncodingDefect.CONTROL]
    assert find_defects("a\tb\r\nc") == []


CHINESE = st.text(st.characters(min_codepoint=0x4E00, max_codepoint=0x9FA5), min_size=1, max_size=60)


@given(CHINESE)
def test_arbitrary_ideographs_are_next_to_never_called_misread(text):
    # GBK-looking runs are only asked about where a typical misread character stands; random text seldom fits.
    assert EncodingDefect.MOJIBAKE not in find_defects(text) or len(text) < 6


@given(st.text(max_size=100))
def test_any_text_can_be_checked(text):
    find_defects(text)
    find_secrets(text)
    assert len(classify_texts([text])) == 1


def test_scripts():
    texts = [
        "hello you",
        "你好",
        "これは本です",
        "안녕하세요",
        "привет",
        "مرحبا",
        "12 + 3",
        "请用 Python 的 list 和 dict 实现",
        "GPU显卡驱动安装失败了怎么办",
    ]
    assert classify_texts(texts) == [
        Script.LATIN,
        Script.CHINESE,
        Script.JAPANESE,
        Script.KOREAN,
        Script.CYRILLIC,
        Script.ARABIC,
        Script.NONE,
        Script.MIXED,
        Script.CHINESE,
    ]
