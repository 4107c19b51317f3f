"""``practicum compare`` on two models and on two files of results."""

from __future__ import annotations

import json

import pytest

from practicum_core.layout import RunLayout
from practicum_core.stages.evaluate import EvaluateRecord
from practicum_core.step_files import read_record


def write_log(path, is_right):
    lines = [
        {
            "doc_id": number,
            "filter": "none",
            "metrics": ["acc"],
            "acc": float(is_right(number)),
            "prompt_hash": f"{number}",
        }
        for number in range(100)
    ]
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return path


@pytest.fixture
def files(tmp_path):
    return write_log(tmp_path / "samples_base.jsonl", lambda number: number % 4 == 0), write_log(
        tmp_path / "samples_candidate.jsonl", lambda number: number % 4 != 1
    )


def test_two_files_get_a_verdict(files, tmp_path, command):
    code, printed, _ = command("compare", *files, "--out", tmp_path / "runs")
    assert (code, "Verdict: improved; candidate minus base +0.500" in printed) == (0, True)
    code, printed, _ = command("compare", *reversed(files), "--out", tmp_path / "runs")
    assert (code, "Verdict: regressed; candidate minus base -0.500" in printed) == (1, True)


def test_a_file_beside_no_file_and_options_of_models_are_refused(files, tmp_path, command):
    code, _, said = command("compare", files[0], tmp_path / "none.jsonl", "--out", tmp_path / "runs")
    assert (code, "none.jsonl: no file" in said) == (3, True)
    code, _, said = command("compare", *files, "--limit", 3, "--out", tmp_path / "runs")
    assert (code, "--limit belong to two models" in said) == (2, True)
    assert not (tmp_path / "runs").exists()


@pytest.mark.timeout(600)
def test_two_models_answer_the_rows_that_were_asked_for(tiny_model_dir, tmp_path, command):
    options = ("--data", "builtin:tickets?rows=200", "--limit", 4, "--set", "evaluate.max_new_tokens=4")
    code, printed, _ = command("compare", tiny_model_dir, tiny_model_dir, *options, "--out", tmp_path / "runs")
    assert (code, "Verdict: underpowered" in printed) == (1, True)
    (run,) = (tmp_path / "runs/comparison").iterdir()
    record = read_record(RunLayout(run), "evaluate")
    assert isinstance(record, EvaluateRecord)
    assert (record.num_rows, record.candidate) == (4, str(tiny_model_dir))
