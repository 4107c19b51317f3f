"""Pairs of answers to English tickets, and the stage ``judge`` on them."""

from __future__ import annotations

import json

import pytest

from answer_pairs import write_pairs
from practicum_core.stages.evaluate import EvaluationSample
from practicum_core.stages.judge import JudgeConfig
from practicum_jobs import judge
from practicum_jobs.context import StageContext


def build_sample(number):
    """Build a pair of which the candidate's answer is right in four of five cases, the base model's in one of five."""
    answer = json.dumps({"category": "refund", "order": f"TK-{number}"})
    wrong = json.dumps({"category": "refund", "order": f"TK-{number}9"})
    is_better = number % 5 != 0
    return EvaluationSample(
        id=f"test-{number}",
        split="test",
        task="extract",
        group=f"template-{number % 12}",
        prompt=f"Extract the ticket: I want my money back for order TK-{number}.",
        expected=answer,
        base=wrong if is_better else answer,
        candidate=answer if is_better else wrong,
        base_correct=not is_better,
        candidate_correct=is_better,
    )


SAMPLES = [build_sample(number) for number in range(24)]


class JudgeStand:
    """Runs the stage in a folder of its own; a second run there resumes the first."""

    def __init__(self, tmp_path):
        self.tmp_path = tmp_path
        self.samples = SAMPLES
        self.path = write_pairs(tmp_path / "samples.jsonl", SAMPLES)
        self.context = StageContext(tmp_path / "runs/evaluate/one", "judge", "judge", cache_dir=tmp_path / "cache")

    def run(self, **options):
        self.context = StageContext(self.context.run.root, "judge", "judge", cache_dir=self.tmp_path / "cache")
        return judge.run(JudgeConfig(samples=f"file://{self.path}", **options), self.context)

    def ask(self, server, **options):
        return self.run(url=server.url, model_name="judge-1", **{"concurrency": 8, "retries": 0, **options})


@pytest.fixture
def stand(tmp_path):
    return JudgeStand(tmp_path)
