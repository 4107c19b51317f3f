"""Calibration sets, recipes and the cache of artifacts: what is refused, and what is made once."""

from __future__ import annotations

import dataclasses

import pytest

from practicum_core.errors import ConfigError, DataError
from practicum_core.rows import Message, Row
from practicum_core.stages.quantize import QuantizeConfig
from practicum_jobs.quantize.artifacts import ensure_artifact, place
from practicum_jobs.quantize.calibration import build_calibration, build_texts
from practicum_jobs.quantize.recipes import Recipe
from practicum_jobs.quantize.shapes import check_formats


class Words:
    """A tokenizer of whole words, enough for what calibration asks of one."""

    def render(self, messages, *, add_generation_prompt, tools=()):
        return " ".join(message.content for message in messages)

    def encode(self, text):
        return list(range(len(text.split())))


def build_row(number, words, row_id="row"):
    text = " ".join(f"{row_id}{number}w{place}" for place in range(words))
    return Row(id=f"{row_id}-{number}", messages=[Message(role="user", content=text)], answer="yes", language="en")


def test_calibration_takes_the_first_rows_that_are_long_enough():
    rows = [build_row(0, 3), build_row(1, 30), build_row(2, 50)]
    calibration = build_calibration(rows, 2, [build_row(9, 30, "test")], Words(), (8, 40))
    assert [len(row) for row in calibration.rows] == [31, 40]
    assert calibration.leaked_ids == []


def test_calibration_rows_that_are_too_short_are_counted_in_one_message():
    with pytest.raises(DataError, match="1 calibration rows, and 2 are needed; 2 more have fewer than 8 tokens"):
        build_calibration([build_row(0, 3), build_row(1, 30), build_row(2, 2)], 2, [], Words(), (8, 40))


def test_a_test_row_in_the_calibration_set_is_found():
    rows = [build_row(number, 30) for number in range(4)]
    leaked = rows[2].model_copy(update={"id": "test-2"})
    calibration = build_calibration(rows, 4, [build_row(7, 30, "test"), leaked], Words(), (8, 40))
    assert calibration.leaked_ids == ["test-2"]


def test_texts_keep_prompt_and_expected_answer():
    (text,) = build_texts([build_row(0, 5)], 3, Words(), 4)
    assert (text.id, text.language, len(text.token_ids), text.expected) == ("row-0", "en", 4, "yes")


@pytest.mark.parametrize(
    ("sizes", "name", "message"),
    [
        ((576, 1536), "gguf-q4_k_m", None),
        ((64, 128), "gguf-q8_0", None),
        ((64, 128), "gguf-q4_k_m", "too small for a K-quant"),
        ((48, 1536), "gguf-q8_0", "multiples of 32"),
        ((576, 1536), "gptq", None),
        ((576, 1520), "awq", "groups of 128, 64, 32 weights, and layers of width 576, 1520"),
    ],
)
def test_a_model_that_a_format_cannot_hold_is_refused_before_anything_is_made(sizes, name, message):
    config = {"hidden_size": sizes[0], "intermediate_size": sizes[1], "num_attention_heads": 4}
    if message is None:
        check_formats(config, ["gguf-f16", name])
        return
    with pytest.raises(ConfigError, match=message) as caught:
        check_formats(config, ["gguf-f16", name])
    assert name in caught.value.fix


def test_a_format_is_named_once():
    with pytest.raises(ValueError, match="named twice"):
        QuantizeConfig(formats=("int8", "int8"))


RECIPE = Recipe("int8", "vllm", {"tool": "1.0"})


def fill_with(text, calls):
    def fill(folder):
        calls.append(text)
        (folder / "model.bin").write_text(text)

    return fill


def test_an_artifact_is_made_once_for_a_model_and_a_recipe(tmp_path):
    calls = []
    first = ensure_artifact(RECIPE, "m1", tmp_path, fill_with("one", calls))
    again = ensure_artifact(RECIPE, "m1", tmp_path, fill_with("two", calls))
    assert (first.is_cached, again.is_cached, calls) == (False, True, ["one"])
    assert (again.sha256, again.make_s) == (first.sha256, first.make_s)
    ensure_artifact(RECIPE, "m2", tmp_path, fill_with("other model", calls))
    ensure_artifact(dataclasses.replace(RECIPE, settings={"tool": "2.0"}), "m1", tmp_path, fill_with("tool", calls))
    assert calls == ["one", "other model", "tool"]


@pytest.mark.parametrize("damage", ["cut", "gone", "no note"])
def test_a_half_written_artifact_is_made_again(tmp_path, damage):
    calls = []
    made = ensure_artifact(RECIPE, "m1", tmp_path, fill_with("whole", calls))
    file = made.folder / "model.bin"
    if damage == "cut":
        file.write_text("wh")
    elif damage == "gone":
        file.unlink()
    else:
        (made.folder.parent / "made.json").write_text("{")
    again = ensure_artifact(RECIPE, "m1", tmp_path, fill_with("whole", calls))
    assert not again.is_cached
    assert calls == ["whole", "whole"]
    assert (again.folder / "model.bin").read_text() == "whole"


def test_a_killed_attempt_leaves_nothing_that_looks_whole(tmp_path):
    def fail(folder):
        (folder / "model.bin").write_text("ha")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ensure_artifact(RECIPE, "m1", tmp_path, fail)
    made = ensure_artifact(RECIPE, "m1", tmp_path, fill_with("whole", []))
    assert not made.is_cached
    place(made, tmp_path / "run")
    place(made, tmp_path / "run")
    assert (tmp_path / "run" / "model.bin").read_text() == "whole"
