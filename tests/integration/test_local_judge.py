"""A judge model in the stage's own process: both orders, equal verdicts whatever the batch, and its calibration."""

from __future__ import annotations

import json
import shutil

import pytest

from answer_pairs import build_pairs, write_pairs
from practicum_core.stages.judge import JudgeConfig
from practicum_jobs import judge
from practicum_jobs.context import StageContext
from practicum_jobs.judge.gold import build_gold
from practicum_jobs.judge.local_judge import LocalJudge
from practicum_jobs.judge.pairs import Question


@pytest.fixture(scope="module")
def roomy_model(tiny_model_dir, tmp_path_factory):
    """The tiny model with room for a question of the judge, which is long in its tokens."""
    folder = shutil.copytree(tiny_model_dir, tmp_path_factory.mktemp("judges") / "roomy")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "max_position_embeddings": 8192}))
    return folder


def ask(folder, questions, batch_size):
    found = LocalJudge(folder, "tiny", batch_size, show_reference=True).judge(questions)
    return {question.id: judgement for question, judgement in found}


def test_each_order_gets_the_most_probable_letter_whatever_the_batch(roomy_model):
    pairs = [*build_gold("en")[:3], build_gold("zh")[50]]
    questions = [Question(pair, is_base_first=is_first) for pair in pairs for is_first in (True, False)]
    alone, together = (ask(roomy_model, questions, batch_size) for batch_size in (1, 8))
    assert alone.keys() == {question.id for question in questions}
    for name, judgement in alone.items():
        values = {part.split()[0]: float(part.split()[1]) for part in judgement.text.split(", ")}
        assert values.keys() == {"A", "B", "C"}
        assert all(value < 0 for value in values.values())
        best = max(values, key=values.get)
        assert judgement.verdict == {"A": "first", "B": "second", "C": "tie"}[best]
        assert together[name].verdict == judgement.verdict


def test_a_random_model_judges_and_decides_nothing(roomy_model, tmp_path):
    path = write_pairs(tmp_path / "samples.jsonl", build_pairs(3, num_equal=1)[1:])
    context = StageContext(tmp_path / "runs/evaluate/one", "judge", "judge", cache_dir=tmp_path / "cache")
    config = JudgeConfig(samples=f"file://{path}", local_model=f"file://{roomy_model}", show_reference=False)
    record = judge.run(config, context)
    assert record.judge.startswith(f"model file://{roomy_model} (")
    assert (record.preference, record.unusable) == ("not_calibrated", {})
    assert "judge_kappa" in {one.name for one in record.checks if not one.is_passed}
    assert judge.run(config, context).num_cached == record.num_asked
