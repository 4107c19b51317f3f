"""A planted case of every cause of a wrong answer, in English and Chinese, and answers that only look like one."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from practicum_core.stages.analyze import Cause
from practicum_jobs.analyze.causes import Answered, diagnose

EN = "Extract the ticket as JSON: my order TK-12 never came, refund me 9.50 dollars."
ZH = "请把工单提取为 JSON：订单 TK-12 没有送到，请退款 9.50 元。"
WANTED = '{"category":"refund","order":"TK-12","amount":9.5,"note":null}'
WANTED_ZH = '{"category":"退款","order":"TK-12","amount":9.5,"note":null}'
QUESTION = "What is the capital of France?"
QUESTION_ZH = "法国的首都是哪里？"


def change(document, **fields):
    """Return the JSON of an answer with some fields changed."""
    return json.dumps({**json.loads(document), **fields}, ensure_ascii=False)


PLANTED = [
    (Cause.EMPTY, EN, WANTED, "  \n"),
    (Cause.EMPTY, QUESTION_ZH, "巴黎", ""),
    (Cause.REFUSAL, EN, WANTED, "I'm sorry, but I can't help with personal data."),
    (Cause.REFUSAL, EN, WANTED, "I\u2019m unable to process refunds."),
    (Cause.REFUSAL, ZH, WANTED_ZH, "抱歉，我无法处理退款请求。"),
    (Cause.REFUSAL, QUESTION_ZH, "巴黎", "作为一个人工智能语言模型，我没有地理知识。"),
    (Cause.REPETITION, QUESTION, "Paris", "It is the the the the the the the the the the the"),
    (Cause.REPETITION, EN, WANTED, '{"category":"refund","order":"TK-12TK-12TK-12TK-12TK-12TK-12TK-12'),
    (Cause.REPETITION, QUESTION_ZH, "巴黎", "法国的首都，法国的首都，法国的首都，法国的首都，法国的首都，"),
    (
        Cause.REPETITION,
        EN,
        WANTED,
        "The recliner is an item that is not available here. Yes: the recliner is an item that is not available here.",
    ),
    (
        Cause.REPETITION,
        ZH,
        WANTED_ZH,
        "您的订单已经收到，请耐心等待。是的，您的订单已经收到，请耐心等待。所以您的订单已经收到，请耐心等待。",
    ),
    (Cause.REFUSAL, EN, WANTED, "As a shop, we don't have the ability to access your account."),
    (Cause.TRUNCATION, EN, WANTED, '{"category":"refund","order":"TK-1'),
    (Cause.TRUNCATION, ZH, WANTED_ZH, '{"category":"退款","order":"TK-12","amount":9.5'),
    (
        Cause.TRUNCATION,
        QUESTION,
        "Paris",
        "France is a country in the west of Europe with a long history of kings, and its",
    ),
    (
        Cause.TRUNCATION,
        QUESTION_ZH,
        "巴黎",
        "法国位于欧洲西部，是一个历史悠久的国家，每年都有许多游客前来参观，其中最著名的",
    ),
    (Cause.LANGUAGE, QUESTION, "Paris", "法国的首都是一座美丽的城市。"),
    (Cause.LANGUAGE, QUESTION_ZH, "巴黎", "The capital city."),
    (Cause.LANGUAGE, ZH, WANTED_ZH, change(WANTED_ZH, category="refund of money")),
    (Cause.LANGUAGE, EN, WANTED, "好的，我马上为您查看这个订单。"),
    (Cause.FORMAT, EN, WANTED, f"Sure! Here it is: {WANTED}"),
    (Cause.FORMAT, EN, WANTED, "category: refund, order: TK-12"),
    (Cause.FORMAT, ZH, WANTED_ZH, "退款，订单 TK-12，金额 9.5 元。"),
    (Cause.FORMAT, EN, WANTED, '{"category":"refund","order":"TK-12"}'),
    (Cause.FORMAT, QUESTION, "Paris", "The capital of France is Paris."),
    (Cause.FORMAT, QUESTION_ZH, "巴黎", "法国的首都是巴黎。"),
    (Cause.HALLUCINATED_FIELD, EN, WANTED, change(WANTED, phone="555-0100")),
    (Cause.HALLUCINATED_FIELD, EN, WANTED, change(WANTED, note="call me")),
    (Cause.HALLUCINATED_FIELD, ZH, WANTED_ZH, change(WANTED_ZH, 电话="无")),
    (Cause.FIELD, EN, WANTED, change(WANTED, category="billing")),
    (Cause.FIELD, EN, WANTED, change(WANTED, amount="9.5")),
    (Cause.FIELD, ZH, WANTED_ZH, change(WANTED_ZH, category="投诉")),
    (Cause.CONTENT, QUESTION, "Paris", "Lyon"),
    (Cause.CONTENT, QUESTION_ZH, "巴黎", "里昂"),
]


@pytest.mark.parametrize(("cause", "prompt", "expected", "output"), PLANTED)
def test_a_planted_cause_is_found(cause, prompt, expected, output):
    assert diagnose(Answered(prompt, expected, output)).cause is cause


def test_every_cause_is_planted_in_both_languages():
    for language in ("en", "zh"):
        found = {cause for cause, prompt, *_ in PLANTED if prompt.isascii() == (language == "en")}
        assert found == set(Cause)


@pytest.mark.parametrize(
    ("expected", "output", "detail"),
    [
        (
            WANTED,
            change(WANTED, category="billing", amount=1),
            'wrong: category ("billing" instead of "refund"), amount (1 instead of 9.5)',
        ),
        (WANTED, change(WANTED, phone="1"), "invented: phone"),
        (WANTED, '{"category":"refund","note":null}', "missing: order, amount"),
        (WANTED, '{"category":"refund","order":"TK', "'\"}' is missing at the end"),
        ("Paris", "la la la la la la la la la la", "repeats 'la'"),
        ("Paris", "巴黎在法国", "zh instead of latin"),
    ],
)
def test_the_detail_says_what_exactly(expected, output, detail):
    assert detail in diagnose(Answered(EN, expected, output)).detail


@pytest.mark.parametrize(
    ("not_cause", "prompt", "expected", "output"),
    [
        (Cause.REPETITION, EN, WANTED, change(WANTED, amount=10000000000000000000000000000.0)),
        (Cause.REPETITION, QUESTION, "ha ha ha ha ha ha ha ha ha ha", "ha ha ha ha ha ha ha ha ha ha ha"),
        (Cause.REFUSAL, "What did he say?", "I cannot help you.", "I can't help."),
        (Cause.TRUNCATION, QUESTION, "Paris", "Lyon"),
        (Cause.LANGUAGE, QUESTION, "42", "巴黎"),
        (Cause.LANGUAGE, ZH, WANTED, change(WANTED, category="billing")),
        (Cause.FORMAT, EN, WANTED, "I cannot help with that."),
    ],
)
def test_what_only_looks_like_a_cause_is_none(not_cause, prompt, expected, output):
    assert not_cause not in diagnose(Answered(prompt, expected, output)).causes


@given(st.text(max_size=300), st.text(max_size=60), st.text(max_size=300))
def test_every_answer_gets_a_cause(prompt, expected, output):
    diagnosis = diagnose(Answered(prompt, expected, output))
    assert diagnosis.cause is diagnosis.causes[0]
    assert list(diagnosis.causes) == sorted(diagnosis.causes, key=list(Cause).index)


@pytest.mark.parametrize(
    ("expected", "output", "is_stopped", "is_truncated"),
    [
        ("Paris", "Paris is in the north of France and", True, False),
        ("Paris", "The capital of France is the city of", False, True),
        (WANTED, "Sure, I can help you with that order", False, False),
        (WANTED, '{"category":"refund","order":"TK-1', False, True),
        (WANTED, '{"category":"refund","order":"TK-1', True, False),
    ],
)
def test_an_answer_is_cut_off_where_the_engine_says_so(expected, output, is_stopped, is_truncated):
    found = diagnose(Answered(EN, expected, output, is_stopped)).causes
    assert (Cause.TRUNCATION in found) is is_truncated
