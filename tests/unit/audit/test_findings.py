"""What is said of single rows, of groups, and of shares; and that excerpts give nothing away."""

from pathlib import Path

import numpy as np
import pytest

from practicum_core.errors import ConfigError
from practicum_core.rows import Message, Row
from practicum_core.scorers import RegexScorer
from practicum_jobs.audit.catalogue import CATALOGUE, get_verdict, resolve_thresholds
from practicum_jobs.audit.checks import check_content, write_excerpt
from practicum_jobs.audit.content import Content, build_content, normalise_content
from practicum_jobs.audit.places import is_defect, read_defect, read_row, write_place
from practicum_jobs.audit.scan import Scan, find_conflicts, read_marks
from practicum_jobs.datasets.formats import detect_format, read_record
from practicum_jobs.datasets.readers import Defect
from practicum_jobs.datasets.row_records import build_record
from practicum_jobs.text.encoding import EncodingDefect
from practicum_jobs.text.pii_kinds import PiiKind
from practicum_jobs.text.refusals import is_refusal
from practicum_jobs.text.secret_kinds import SecretKind
from practicum_jobs.text.shingles import normalise_text


def make(user="hello there", answer="fine", rejected=None, system=None):
    turns = [("user", user)]
    if system:
        turns.insert(0, ("system", system))
    return Content(tuple(turns), answer, rejected)


def test_the_catalogue_names_everything_that_a_check_can_find():
    names = {f"pii:{kind}" for kind in PiiKind} | {f"secret:{kind}" for kind in SecretKind}
    names |= {str(defect) for defect in EncodingDefect}
    assert names <= set(CATALOGUE)


def test_rows_are_checked_in_every_part():
    assert check_content(make()) == []
    assert check_content(make(user="打13800138000找我")) == ["pii:cn_mobile"]
    assert check_content(make(answer="ask a.b@example.com")) == ["pii:email"]
    assert check_content(make(rejected="use AKIAIOSFODNN7EXAMPLE")) == ["secret:aws_key"]
    assert check_content(make(system="mail a.b@example.com")) == ["pii:email"]
    assert check_content(make(answer=" \n")) == ["empty_answer"]
    assert check_content(make(answer="作为一个人工智能语言模型，我不能回答。")) == ["refusal"]


@pytest.mark.parametrize(
    "answer", ["I'm sorry, but I can't help with that.", "As an AI, I have no opinion.", "很抱歉，我无法回答"]
)
def test_refusals(answer):
    assert is_refusal(answer)


@pytest.mark.parametrize(
    "answer", ["Sorry for the delay, your parcel is on its way.", "As a refund.", "抱歉让您久等了", "我是张三"]
)
def test_polite_answers_are_no_refusals(answer):
    assert not is_refusal(answer)


def test_excerpts_stand_around_the_finding_and_mask_every_other_one():
    text = "x " * 200 + "call 13800138000 or mail zhang.san@example.com with AKIAIOSFODNN7EXAMPLE\nnow " + "y " * 200
    for finding in ("pii:cn_mobile", "pii:email", "secret:aws_key", ""):
        excerpt = write_excerpt(text, finding, limit=400)
        assert not any(raw in excerpt for raw in ("13800138000", "zhang.san", "AKIAIOSFODNN7", "\n"))
    assert "***" in write_excerpt(text, "pii:cn_mobile")
    assert write_excerpt("ok " * 100 + "a\ufffdb", "replacement_character").endswith("a\ufffdb")


def test_conflicts_are_whole_groups():
    prompts = np.array([1, 2, 1, 3, 1, 2], np.uint64)
    answers = np.array([7, 8, 7, 9, 6, 8], np.uint64)
    assert find_conflicts(prompts, answers).tolist() == [0, 2, 4]


def test_marks_name_the_findings_of_a_row():
    scan = Scan(num_rows=3, findings={"refusal": np.array([1]), "pii:email": np.array([1, 2])})
    assert [read_marks(mark) for mark in scan.build_marks()] == [[], ["refusal", "pii:email"], ["pii:email"]]


def test_levels_follow_the_share_and_overrides():
    scan = Scan(num_rows=100, findings={"over_long": np.arange(4), "pii:email": np.arange(1)})
    levels = scan.build_levels(resolve_thresholds({}))
    assert (levels["over_long"], levels["pii:email"], levels["refusal"]) == ("warn", "fail", "pass")
    levels = scan.build_levels(resolve_thresholds({"over_long": 0.03, "pii:email": 0.5}))
    assert (levels["over_long"], levels["pii:email"]) == ("fail", "warn")
    assert get_verdict(["pass", "warn", "pass"]) == "warn"


def test_unknown_thresholds_are_all_named():
    with pytest.raises(ConfigError, match=r"over_lang.*did you mean 'over_long'.*refusal: 2.0 is no share"):
        resolve_thresholds({"over_lang": 0.1, "refusal": 2.0})


@pytest.mark.parametrize("rejected", [None, "no"])
def test_a_clean_record_reads_back_as_the_row(rejected):
    messages = [Message(role="system", content="s"), Message(role="user", content="u")]
    row = Row(id="r1", messages=messages, answer="a", rejected=rejected, task="extract", language="en", group="g")
    row = row.model_copy(update={"scorer": RegexScorer(pattern="a+")})
    record = build_record(row)
    assert read_record(record, detect_format(record), "x") == (row, ())
    assert read_row(write_place(row)) == row


def test_lines_tell_rows_and_defects_apart():
    defect = Defect(Path("a/train.jsonl"), 7, "broken_json", 'no "comma"\nat 3')
    row = Row(id="\u2028", messages=[Message(role="user", content="[1]\n")], answer="")
    lines = write_place(defect) + write_place(row)
    first, second = lines.splitlines(keepends=True)
    assert (is_defect(first), is_defect(second)) == (True, False)
    assert (read_defect(first), read_row(second)) == (defect, row)


@pytest.mark.parametrize("content", [make("Ａ b  c", " D "), make("", "x", "y"), make("u", "", None, system="S")])
def test_parts_normalised_one_by_one_are_the_whole_normalised(content):
    assert normalise_content(content).dialogue == normalise_text(content.dialogue)


def test_content_keeps_roles_apart():
    row = Row(
        id="x",
        messages=[
            Message(role="user", content="a"),
            Message(role="assistant", content="b"),
            Message(role="user", content="c"),
        ],
        answer="d",
    )
    content = build_content(row)
    assert content.dialogue == "a\nb\nc\nd"
    assert [turn["role"] for turn in content.build_conversation()] == ["user", "assistant", "user", "assistant"]
