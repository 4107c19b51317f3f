from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from practicum_core.errors import DataError
from practicum_jobs.scoring.answers import normalize_text, parse_object, score_answer

EXPECTED = '{"category":"refund","order":"TK-834271","amount":664.80,"urgent":true}'
VALUES = json.loads(EXPECTED)


def write(**changes):
    return json.dumps(VALUES | changes)


@pytest.mark.parametrize(
    "answer",
    [
        EXPECTED,
        f"  {EXPECTED}\n",
        json.dumps(VALUES, indent=2),
        json.dumps(dict(reversed(VALUES.items()))),
        f"```json\n{EXPECTED}\n```",
        f"```\n{EXPECTED}```",
        EXPECTED.replace("664.80", "664.8"),
    ],
)
def test_right_answers_in_any_form_of_json(answer):
    score = score_answer("extract", EXPECTED, answer)
    assert score.is_exact
    assert score.is_json
    assert score.failure == ""
    assert all(score.fields.values())


@pytest.mark.parametrize(
    ("answer", "failure", "right_fields"),
    [
        ("", "empty", 0),
        ("I am sorry to hear that.", "not_json", 0),
        (f"Here it is: {EXPECTED}", "not_json", 0),
        (f"{EXPECTED} Anything else?", "not_json", 0),
        (EXPECTED[:-1], "not_json", 0),
        (f"[{EXPECTED}]", "not_json", 0),
        ('{"category":"refund","category":"refund","order":"TK-834271","amount":664.8,"urgent":true}', "not_json", 0),
        (EXPECTED.replace("664.80", "NaN"), "not_json", 0),
        (write(category="billing"), "wrong:category", 3),
        (write(category="Refund"), "wrong:category", 3),
        (write(amount="664.80"), "wrong:amount", 3),
        (write(urgent=1), "wrong:urgent", 3),
        (write(order=None, amount=1), "wrong:order+amount", 2),
        (write(note="x"), "wrong_keys", 4),
        (json.dumps({key: VALUES[key] for key in ("category", "order", "amount")}), "wrong_keys", 3),
        ("[" * 100_000, "not_json", 0),
    ],
)
def test_wrong_answers_say_what_is_wrong(answer, failure, right_fields):
    score = score_answer("extract", EXPECTED, answer)
    assert not score.is_exact
    assert score.failure == failure
    assert sum(score.fields.values()) == right_fields
    assert list(score.fields) == ["category", "order", "amount", "urgent"]


def test_json_is_scored_as_json_where_a_row_names_no_task():
    assert score_answer("", '{"a": 1}', '{"a":1.0}').is_exact
    assert score_answer("", "plain text", '{"a":1.0}').is_json is None


def test_an_extract_row_without_json_is_the_datas_fault():
    with pytest.raises(DataError, match="not a JSON object"):
        score_answer("extract", "refund", "{}")


@pytest.mark.parametrize(
    ("expected", "answer", "is_exact", "is_mentioned"),
    [
        ("75 days", "75 days.", True, True),
        ("75 days", "７５  DAYS", True, True),
        ("75 days", "You have 75 days to return it.", False, True),
        ("75 days", "175 days", False, False),
        ("40", "40.5", False, False),
        ("40", "28 + 12 = 40.", False, True),
        ("-5", "5", False, False),
        ("75, 76, 77", "75, 76, 77", True, True),
        ("北京", "首都是北京。", False, True),
        ("Paris", "", False, False),
    ],
)
def test_short_texts(expected, answer, is_exact, is_mentioned):
    score = score_answer("question", expected, answer)
    assert (score.is_exact, score.is_mentioned) == (is_exact, is_mentioned)
    assert bool(score.failure) is not is_exact


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**9), 10**9)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.text(min_size=1), _JSON, min_size=1, max_size=5), st.sampled_from(["", "\n", "  "]))
def test_every_object_equals_itself_however_it_is_laid_out(value, margin):
    compact = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    spread = margin + json.dumps(value, indent=3) + margin
    assert score_answer("extract", compact, spread).is_exact


@given(st.text())
def test_no_answer_breaks_the_scorer(text):
    assert score_answer("extract", EXPECTED, text).is_json is (parse_object(text) is not None)
    assert score_answer("question", "yes", text).is_exact is (normalize_text(text) == "yes")
