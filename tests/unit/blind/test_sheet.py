"""Items and key of a blind test."""

from __future__ import annotations

from collections import Counter

import pytest

from answer_pairs import build_pairs
from practicum_core.blind_files import CheckKind, Choice, hash_items
from practicum_jobs.blind.model_names import remove_names
from practicum_jobs.blind.sheet import Options, build_sheet

OPTIONS = Options(num_items=20, num_identical=2, num_planted=2, names=["our-model"], seed=7)


def test_sides_are_balanced_and_the_key_says_them():
    sheet = build_sheet(build_pairs(), OPTIONS, "salt")
    shown = {item.id: item for item in sheet.items}
    pairs = [item for item in sheet.key.items if item.check is None]
    assert len(pairs) == 20
    assert Counter(item.candidate_side for item in pairs) == {Choice.FIRST: 10, Choice.SECOND: 10}
    for item in pairs:
        assert getattr(shown[item.id], item.candidate_side) == item.candidate
    assert sheet.key.items_sha256 == hash_items(sheet.items)
    assert (sheet.key.num_pairs, sheet.key.num_identical_pairs) == (30, 2)


def test_the_seed_draws_the_pairs_and_only_the_salt_decides_the_sides():
    one, again, other = (build_sheet(build_pairs(), OPTIONS, salt).key for salt in ("a", "a", "b"))
    assert one == again
    drawn = [{item.sample for item in key.items if item.check is None} for key in (one, other)]
    assert drawn[0] == drawn[1]
    sides = [{item.sample: item.candidate_side for item in key.items if item.check is None} for key in (one, other)]
    assert sides[0] != sides[1]


def test_pairs_with_equal_answers_are_not_shown_but_the_checks_are_there():
    sheet = build_sheet(build_pairs(), OPTIONS, "salt")
    shown = {item.id: item for item in sheet.items}
    checks = [item for item in sheet.key.items if item.check]
    assert Counter(item.check for item in checks) == {CheckKind.IDENTICAL: 2, CheckKind.PLANTED: 2}
    for item in sheet.key.items:
        assert (shown[item.id].first == shown[item.id].second) == (item.check is CheckKind.IDENTICAL)
    planted = [item for item in checks if item.check is CheckKind.PLANTED]
    assert {item.candidate_side for item in planted} == {Choice.FIRST, Choice.SECOND}


def test_a_pair_without_a_difference_makes_no_sheet():
    assert build_sheet(build_pairs(5, num_equal=5), OPTIONS, "salt") is None


def test_no_page_names_a_model_and_bidi_controls_are_visible():
    sheet = build_sheet(build_pairs(), OPTIONS, "salt")
    shown = "".join(item.first + item.second for item in sheet.items)
    assert "Qwen" not in shown
    assert "通义千问" not in shown
    assert "\u202e" not in shown
    named = [item for item in sheet.key.items if item.names_removed]
    assert len(named) >= 20


@pytest.mark.parametrize(
    ("text", "kept", "expected"),
    [
        ("As ChatGPT-4o, I think", "", "As […], I think"),
        ("我是SmolLM2-135M助手", "", "我是[…]助手"),
        ("OUR-MODEL says hi", "", "[…] says hi"),
        ("the GPTs and glmnet", "", "the GPTs and glmnet"),
        ("Llama 3 is a model.", "Who made Llama?", "Llama 3 is a model."),
    ],
)
def test_names_of_models_are_removed_unless_the_question_is_about_them(text, kept, expected):
    assert remove_names(text, ["our-model"], kept)[0] == expected
