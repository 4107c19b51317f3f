"""Task files: rows from a data file, a prompt and a scorer; tasks of lm-evaluation-harness; what is refused and why."""

from __future__ import annotations

import json

import pytest
import yaml

from practicum_core.data_folders import list_path
from practicum_core.errors import ConfigError, DataError
from practicum_jobs.datasets.readers import Defect
from practicum_jobs.datasets.sources import open_source
from practicum_jobs.datasets.tasks import read_task

ITEMS = [
    {"country": "France", "capital": "Paris", "wrong": "Lyon", "label": 0, "part": "Europe"},
    {"country": "日本", "capital": "东京", "wrong": "大阪", "label": 1, "part": "Asia"},
]
TASK = {
    "task": "capitals",
    "data": "items.jsonl",
    "system": "Answer with one word.",
    "prompt": "What is the capital of {{ country }}?",
    "answer": "{{ capital }}",
    "group": "{{ part }}",
    "scorer": {"kind": "regex", "pattern": r"\w+"},
}
HARNESS = {
    "task": "capitals",
    "dataset_path": "json",
    "dataset_kwargs": {"data_files": {"test": "items.jsonl"}},
    "test_split": "test",
    "output_type": "generate_until",
    "doc_to_text": "Capital of {{country}}?",
    "doc_to_target": "capital",
    "generation_kwargs": {"until": ["\n\n"], "do_sample": False, "temperature": 0.0, "max_gen_toks": 8},
    "filter_list": [
        {"name": "word", "filter": [{"function": "regex", "regex_pattern": r"(\w+)"}, {"function": "take_first"}]}
    ],
    "metric_list": [{"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}],
}


@pytest.fixture
def write(tmp_path):
    (tmp_path / "items.jsonl").write_text("".join(f"{json.dumps(item)}\n" for item in ITEMS))

    def write_task(document, name="capitals.yaml"):
        path = tmp_path / name
        path.write_text(document if isinstance(document, str) else yaml.safe_dump(document))
        return path

    return write_task


def read_rows(path, split="test"):
    return list(open_source(str(path), path.parent).iter_split(split))


def test_a_task_is_rows_that_choose_its_scorer(write):
    first, second = read_rows(write(TASK))
    assert [turn.content for turn in first.messages] == ["Answer with one word.", "What is the capital of France?"]
    assert (first.id, first.answer, first.task, first.group) == ("capitals:1", "Paris", "capitals", "Europe")
    assert (first.scorer.kind, second.answer) == ("regex", "东京")


def test_choices_may_come_from_the_record(write):
    scorer = {"kind": "choice", "choices": "{{ [capital, wrong] }}"}
    rows = read_rows(write({**TASK, "scorer": scorer}))
    assert [row.scorer.choices for row in rows] == [("Paris", "Lyon"), ("东京", "大阪")]


@pytest.mark.parametrize(("name", "split"), [("capitals.yaml", "test"), ("capitals-validation.yml", "validation")])
def test_the_split_is_said_by_the_name(write, name, split):
    path = write(TASK, name)
    assert list_path(path).splits == (split,)
    assert len(read_rows(path, split)) == 2


def test_a_harness_task_with_a_filter_is_a_pattern(write):
    first, _ = read_rows(write(HARNESS))
    assert (first.messages[0].content, first.answer) == ("Capital of France?", "Paris")
    assert first.scorer.model_dump() == {"until": ("\n\n",), "kind": "regex", "pattern": r"(\w+)", "take": "first"}


@pytest.mark.parametrize("target", ["label", "{{label}}", "{{ capital }}"])
@pytest.mark.parametrize("choices", [["Paris", "东京"], "{{['Paris', '东京']}}"])
def test_a_harness_task_of_choices_is_log_probability_multiple_choice(write, target, choices):
    document = {key: HARNESS[key] for key in ("task", "dataset_path", "dataset_kwargs", "test_split", "doc_to_text")}
    document |= {"output_type": "multiple_choice", "doc_to_choice": choices, "doc_to_target": target}
    first, second = read_rows(write({**document, "metric_list": [{"metric": "acc_norm"}]}))
    assert (first.answer, second.answer) == ("Paris", "东京")
    assert (first.scorer.choices, first.scorer.per_byte) == (("Paris", "东京"), True)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"prompt": None}, "prompt: input should be a valid string"),
        ({"promt": "x"}, "promt: unknown key; did you mean 'prompt'"),
        ({"data": "../../etc/passwd"}, "leaves the task's folder"),
        ({"data": "/etc/passwd"}, "leaves the task's folder"),
    ],
)
def test_wrong_tasks_are_told_in_one_message(write, change, told):
    with pytest.raises(ConfigError, match=told):
        read_rows(write({**TASK, **change}))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"output_type": "loglikelihood_rolling"}, "output_type 'loglikelihood_rolling' is not read"),
        ({"num_fewshot": 5}, "num_fewshot: examples in the prompt"),
        ({"dataset_path": "gsm8k"}, "dataset_path 'gsm8k' is no local file"),
        ({"process_docs": "x"}, "process_docs is not read"),
        ({"metric_list": [{"metric": "f1"}]}, "metric_list: 'f1'"),
        ({"generation_kwargs": {"do_sample": True}}, "answers are greedy"),
        ({"filter_list": [{"filter": [{"function": "majority_vote"}]}]}, "at most one regex"),
    ],
)
def test_what_a_harness_task_asks_beyond_is_named(write, change, told):
    with pytest.raises(ConfigError, match=told) as caught:
        read_rows(write({**HARNESS, **change}))
    assert "lm_eval --log_samples" in caught.value.fix


def test_code_in_a_harness_task_is_never_run(write, tmp_path):
    path = write("task: a\ndoc_to_text: !function utils.doc_to_text\n")
    (tmp_path / "utils.py").write_text("raise SystemExit('ran')")
    with pytest.raises(ConfigError, match="which is never run"):
        read_task(path)


def test_records_that_fit_no_template_are_defects_with_their_place(write):
    rows = read_rows(write({**TASK, "prompt": "{{ state }}?"}))
    assert all(isinstance(row, Defect) for row in rows)
    assert "'state' is undefined" in rows[0].detail
    (bad, _) = read_rows(write({**TASK, "scorer": {"kind": "numeric", "absolute": "{{ country }}"}}))
    assert "scorer: numeric.absolute" in bad.detail
    (unsafe, _) = read_rows(write({**TASK, "prompt": "{{ country.__class__.__mro__ }}"}))
    assert isinstance(unsafe, Defect)


def test_a_missing_data_file_is_told(write):
    with pytest.raises(DataError, match=r"none\.jsonl is missing"):
        read_rows(write({**TASK, "data": "none.jsonl"}))
