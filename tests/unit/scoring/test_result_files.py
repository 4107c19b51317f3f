"""Logs that lm-evaluation-harness 0.4.13 wrote with --log_samples (vLLM backend, chat template), cut to three items."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from practicum_core.errors import DataError
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
