"""Every scorer: what counts as right, what a wrong answer is called, and how a wrong row is told."""

from __future__ import annotations

import pytest
import sacrebleu
from pydantic import TypeAdapter, ValidationError

from practicum_core.errors import ConfigError, DataError
from practicum_core.problems import list_problems
from practicum_core.rows import Row
from practicum_core.scorers import ChrfScorer, RougeScorer, Scorer
from practicum_jobs.datasets.formats import read_record
from practicum_jobs.datasets.readers import Defect, iter_rows
from practicum_jobs.scoring.scorers import score_row
from practicum_jobs.scoring.similarity import score_chrf, score_rouge

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": False}
ADD = "```python\ndef add(a, b):\n    return a + b\n```"


def build_row(answer: str, scorer: object = None) -> Row:
    return Row.model_validate(
        {"id": "r1", "messages": [{"role": "user", "content": "q"}], "answer": answer, "scorer": scorer}
    )


@pytest.mark.parametrize(
    ("scorer", "expected", "answer", "failure"),
    [
        ({"kind": "text"}, '{"a": 1}', '{"a": 1}', ""),
        ({"kind": "text"}, '{"a": 1}', '{"a":1}', "wrong_text"),
        ({"kind": "json"}, '{"a": 1}', '{"a":1.0}', ""),
        ({"kind": "regex", "pattern": r"answer is (\w+)"}, "Paris", "The answer is paris.", ""),
        ({"kind": "regex", "pattern": r"answer is (\w+)"}, "Paris", "The answer is Lyon, not Paris", "wrong_match"),
        ({"kind": "regex", "pattern": r"answer is (\w+)"}, "Paris", "Paris", "no_match"),
        ({"kind": "regex", "pattern": r"\b[AB]\b", "take": "last"}, "B", "A or B", ""),
        ({"kind": "regex", "pattern": r"^\d+$"}, "", "123", ""),
        ({"kind": "numeric"}, "72", "48 / 2 = 24, altogether 72.", ""),
        ({"kind": "numeric", "take": "first"}, "72", "48 / 2 = 24, altogether 72.", "wrong_number"),
        ({"kind": "numeric"}, "1000", "１，０００", ""),
        ({"kind": "numeric"}, "1000", "约 1,000 元", ""),
        ({"kind": "numeric", "relative": 0.01}, "100", "100.9", ""),
        ({"kind": "numeric", "absolute": 0.5}, "100", "100.9", "wrong_number"),
        ({"kind": "numeric"}, "5", "five", "no_number"),
        ({"kind": "numeric", "until": ["Q:"]}, "5", "5\nQ: 6", ""),
        ({"kind": "numeric"}, "5", "1e999", "wrong_number"),
        ({"kind": "schema", "json_schema": SCHEMA}, "", '{"n": 3}', ""),
        ({"kind": "schema", "json_schema": SCHEMA}, "", '{"n": "3"}', "schema:type"),
        ({"kind": "schema", "json_schema": SCHEMA}, "", "n = 3", "not_json"),
        ({"kind": "chrf", "threshold": 0.9}, "退款已经处理", "退款已经处理", ""),
        ({"kind": "chrf", "threshold": 0.9}, "退款已经处理", "正在处理退款", "low_chrf"),
        ({"kind": "rouge", "threshold": 0.5}, "退款已经处理", "退款处理", ""),
        ({"kind": "rouge", "threshold": 0.5}, "the cat sat", "", "empty"),
        ({"kind": "choice", "choices": ["yes", "no"]}, "yes", "yes", ""),
        ({"kind": "choice", "choices": ["yes", "no"]}, "yes", "no", "wrong_choice"),
    ],
)
def test_what_counts_as_right(scorer, expected, answer, failure):
    score = score_row(build_row(expected, scorer), answer)
    assert (score.failure, score.is_exact) == (failure, not failure)


def test_grades_are_those_of_the_libraries():
    answer, expected = "the parcel arrived late", "your parcel has arrived two days late"
    grade = score_chrf(ChrfScorer(), expected, answer).value
    assert grade == pytest.approx(sacrebleu.sentence_chrf(answer, [expected]).score / 100)
    # Four words and seven; "parcel arrived late" is the longest common subsequence: F1 = 2 * 3 / (4 + 7).
    assert score_rouge(RougeScorer(), expected, answer).value == pytest.approx(6 / 11)


@pytest.mark.parametrize(
    ("code", "tests", "failure"),
    [
        (ADD, "assert add(2, 3) == 5", ""),
        (ADD, "assert add(2, 3) == 6", "tests_failed"),
        ("def add(a, b: return", "assert add(2, 3) == 5", "tests_failed"),
        ("import os; os._exit(0)", "assert False", "tests_failed"),
        ("raise SystemExit(0)", "assert False", "tests_failed"),
        ("print('practicum: every test passed'); raise SystemExit(0)", "assert False", "tests_failed"),
        ("import sys; print(sys.stdin.read()); raise SystemExit(0)", "assert False", "tests_failed"),
        ("print('no newline', end='')", "assert True", ""),
        ("while True: pass", "assert True", "tests_timeout"),
        ("x = bytearray(10**9)", "assert x", "tests_failed"),
        ("while True: print('x' * 10**6)", "assert True", "tests_failed"),
        ("import subprocess; subprocess.Popen(['sleep', '60'])", "assert True", ""),
        ("", "assert True", "empty"),
    ],
)
def test_code_is_scored_by_its_tests_within_limits(code, tests, failure):
    scorer = {"kind": "unit_test", "tests": tests, "timeout_s": 2, "memory_mib": 256}
    assert score_row(build_row("", scorer), code, may_run_code=True).failure == failure


def test_code_does_not_run_unless_that_is_asked_for_by_name(tmp_path):
    row = build_row("", {"kind": "unit_test", "tests": f"open({str(tmp_path / 'ran')!r}, 'w')"})
    with pytest.raises(ConfigError, match="row r1") as caught:
        score_row(row, "x = 1")
    assert "evaluate.run_code=true" in caught.value.fix
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("scorer", "expected", "message"),
    [
        ({"kind": "numeric"}, "many", "holds no number"),
        ({"kind": "json"}, "[]", "not a JSON object"),
        ({"kind": "choice", "choices": ["a", "b"]}, "c", "none of the choices"),
        ({"kind": "schema", "json_schema": {"type": "objekt"}}, "", "wrong at type"),
        ({"kind": "schema", "json_schema": {"$ref": "http://127.0.0.1:9/x.json"}}, "", "refers to something"),
        ({"kind": "regex", "pattern": r"(?:a+)+$"}, "a", "more than 1 s"),
    ],
)
def test_a_row_that_does_not_fit_its_scorer_is_named(scorer, expected, message):
    answer = "a" * 40_000 + "b" if scorer["kind"] == "regex" else "{}"
    with pytest.raises(DataError, match=f"row r1: .*{message}") as caught:
        score_row(build_row(expected, scorer), answer)
    assert caught.value.fix


@pytest.mark.parametrize(
    ("scorer", "message"),
    [
        ({"kind": "regexp"}, "input tag 'regexp'"),
        ({"kind": "regex", "pattern": "("}, "regex.pattern: no regular expression"),
        ({"kind": "regex", "pattern": "(a)(b)"}, "the pattern has 2 groups"),
        ({"kind": "numeric", "tolerance": 1}, "numeric.tolerance: unknown key"),
        ({"kind": "chrf", "threshold": 50}, "chrf.threshold: input should be less than or equal to 1"),
        ({"kind": "choice", "choices": ["a", "a"]}, "choices must differ"),
        ({"pattern": "a"}, "discriminator 'kind'"),
    ],
)
def test_wrong_options_are_told_in_one_line(scorer, message):
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(Scorer).validate_python(scorer)
    (problem,) = list_problems(caught.value)
    assert message in problem
    assert "\n" not in problem


def test_a_row_of_a_file_chooses_its_scorer(tmp_path):
    row, unread = read_record({"question": "6*7?", "answer": "42", "scorer": {"kind": "numeric"}}, "auto", "file:1")
    assert (row.scorer.kind, unread) == ("numeric", ())
    file = tmp_path / "rows.csv"
    file.write_text('question,answer,scorer\n6*7?,42,numeric\n1?,1,"{""kind"": ""chrf"", ""threshold"": 7}"\n')
    good, bad = iter_rows(file)
    assert good.scorer.kind == "numeric"
    assert isinstance(bad, Defect)
    assert "column 'scorer': chrf.threshold" in bad.detail


def test_a_row_without_a_scorer_is_written_as_before():
    assert "scorer" not in build_row("x").model_dump_json()
