"""Logs that lm-evaluation-harness 0.4.13 wrote with --log_samples (vLLM backend, chat template), cut to three items."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from practicum_core.errors import DataError
from practicum_core.stages.evaluate import EvaluateRecord, EvaluationSample
from practicum_jobs.scoring.result_files import pair_results, read_results

LOGS = Path(__file__).parents[2] / "cases/lm_eval"
NOTES, CHOICES = (next(LOGS.glob(f"samples_{task}_*.jsonl")) for task in ("notes", "choices"))


def change(tmp_path, log, old, new):
    path = tmp_path / log.name
    text = log.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    return path


@pytest.mark.parametrize(("log", "task"), [(NOTES, "notes"), (CHOICES, "choices")])
def test_items_of_a_log_have_their_ids_task_prompt_and_score(log, task):
    results = read_results(log)
    assert [(one.id, one.task, one.score) for one in results] == [(str(number), task, 0.0) for number in range(3)]
    assert len({one.prompt_hash for one in results}) == 3
    assert len(pair_results(results, results)) == 3


def test_of_two_filters_the_first_counts_and_of_two_metrics_the_first(tmp_path):
    lines = [json.loads(line) for line in NOTES.read_text(encoding="utf-8").split("\n") if line]
    assert [line["filter"] for line in lines] == ["strict"] * 3 + ["flexible"] * 3
    path = change(tmp_path, CHOICES, '"acc": 0.0', '"acc": 1.0')
    assert [one.score for one in read_results(path)] == [1.0] * 3


def test_answers_of_another_limit_or_chat_template_do_not_align(tmp_path):
    base = read_results(NOTES)
    assert json.loads(base[0].sampling)["max_gen_toks"] == 6
    other = read_results(change(tmp_path, NOTES, '"max_gen_toks": 6', '"max_gen_toks": 60'))
    with pytest.raises(DataError, match=r"3 items \(0, 1, 2\) were sampled otherwise"):
        pair_results(base, other)
    other = read_results(change(tmp_path, NOTES, '"prompt_hash": "', '"prompt_hash": "0'))
    with pytest.raises(DataError, match="had another prompt in the second file"):
        pair_results(base, other)


def test_scores_of_another_filter_or_metric_do_not_align(tmp_path):
    base = read_results(NOTES)
    assert {one.measure for one in base} == {"strict/exact_match"}
    lines = NOTES.read_text(encoding="utf-8").splitlines(keepends=True)
    flexible = tmp_path / NOTES.name
    flexible.write_text("".join(line for line in lines if json.loads(line)["filter"] == "flexible"), encoding="utf-8")
    told = r"3 items \(0, 1, 2\) were scored otherwise: strict/exact_match in the first file, flexible/exact_match in"
    with pytest.raises(DataError, match=told):
        pair_results(base, read_results(flexible))
    other = change(tmp_path, CHOICES, '"metrics": ["acc", "acc_norm"]', '"metrics": ["acc_norm", "acc"]')
    with pytest.raises(DataError, match="none/acc in the first file, none/acc_norm in the second"):
        pair_results(read_results(CHOICES), read_results(other))


def write_evaluation(folder, scorer=None, score=None):
    folder.mkdir()
    sample = EvaluationSample(id="1", split="test", prompt="2 + 2", output="4", correct=True, score=score)
    path = folder / "samples.jsonl"
    path.write_text(sample.model_dump_json(exclude_unset=True) + "\n", encoding="utf-8")
    if scorer is not None:
        record = EvaluateRecord(
            stage="evaluate",
            step="evaluate",
            started_at="",
            finished_at="",
            duration_s=1,
            num_rows=1,
            model="",
            data_sha256="",
            predictions_sha256="",
            scorer=scorer,
        )
        path.with_name("record.json").write_text(record.model_dump_json(), encoding="utf-8")
    return read_results(path)


def test_evaluations_with_other_scorers_do_not_align(tmp_path):
    text, numeric = (write_evaluation(tmp_path / name, name) for name in ("text", "numeric"))
    with pytest.raises(DataError, match=r"1 items \(1\) were scored otherwise: text in the first file, numeric in the"):
        pair_results(text, numeric)
    unknown = write_evaluation(tmp_path / "unknown")
    assert len(pair_results(text, unknown)) == 1
    with pytest.raises(DataError, match="right in the first file, grade in the second"):
        pair_results(unknown, write_evaluation(tmp_path / "graded", score=0.5))
