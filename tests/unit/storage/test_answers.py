"""Kept answers: found by the prompt's token ids, shared by processes, and never wrong after a cut."""

from __future__ import annotations

import json

import pytest

from practicum_jobs.storage.answers import Answer, AnswerStore, open_shared_store

SETTINGS = {"model_sha256": "ab", "engine": {"name": "transformers"}, "sampling": {"max_new_tokens": 8}}
ANSWER = Answer("Zürich 是\u2028城市\n", 5, is_stopped=True)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "answers.jsonl"


def test_an_answer_is_found_by_another_process_with_the_same_prompt_only(path):
    AnswerStore(path, SETTINGS).keep([1, 23], ANSWER)
    store = AnswerStore(path, SETTINGS)
    assert store.find([1, 23]) == ANSWER
    assert store.find([12, 3]) is None
    assert json.loads(path.read_text(encoding="utf-8").splitlines()[0])["settings"] == SETTINGS


@pytest.mark.parametrize("change", ["model", "engine", "sampling"])
def test_other_settings_are_another_file(tmp_path, change):
    open_shared_store(tmp_path, SETTINGS).keep([1], ANSWER)
    other = {
        "model": {**SETTINGS, "model_sha256": "cd"},
        "engine": {**SETTINGS, "engine": {"name": "transformers", "dtype": "bfloat16"}},
        "sampling": {**SETTINGS, "sampling": {"max_new_tokens": 9}},
    }[change]
    assert open_shared_store(tmp_path, other).find([1]) is None
    assert open_shared_store(tmp_path, dict(reversed(SETTINGS.items()))).find([1]) == ANSWER


def test_a_file_cut_at_any_byte_yields_no_wrong_answer(path):
    store = AnswerStore(path, SETTINGS)
    answers = {number: Answer(f"answer {number}", number, is_stopped=False) for number in range(3)}
    for number, answer in answers.items():
        store.keep([number], answer)
    content = path.read_bytes()
    for size in range(len(content)):
        path.write_bytes(content[:size])
        found = {number: AnswerStore(path, SETTINGS).find([number]) for number in answers}
        assert all(found[number] in (None, answers[number]) for number in answers)
    assert found[1] == answers[1]


def test_an_answer_after_a_cut_line_is_kept_whole(path):
    AnswerStore(path, SETTINGS).keep([1], ANSWER)
    path.write_bytes(path.read_bytes()[:-9])
    AnswerStore(path, SETTINGS).keep([2], ANSWER)
    store = AnswerStore(path, SETTINGS)
    assert (store.find([1]), store.find([2])) == (None, ANSWER)


@pytest.mark.parametrize(
    "line", [b"\xff\xfe", b"[]", b"{}", b'{"prompt_sha256": 3, "sha256": "x"}', b"null", b"nan"], ids=repr
)
def test_lines_that_are_no_answers_are_passed_over(path, line):
    AnswerStore(path, SETTINGS).keep([1], ANSWER)
    with path.open("ab") as handle:
        handle.write(line + b"\n")
    assert AnswerStore(path, SETTINGS).find([1]) == ANSWER


def test_a_changed_text_is_not_taken(path):
    AnswerStore(path, SETTINGS).keep([1], Answer("Paris", 2, is_stopped=True))
    path.write_text(path.read_text(encoding="utf-8").replace("Paris", "Lyon!"), encoding="utf-8")
    assert AnswerStore(path, SETTINGS).find([1]) is None
