"""The last lines of a run: by how much tuned beats base, read from the evidence alone."""

from __future__ import annotations

import json

import pytest

from practicum_cli.conclusion import list_headlines
from practicum_cli.session import Outcome
from practicum_core.weekjob import Metadata, WeekJob, WeekJobSpec, WeekJobStatus


def build_outcome(folder):
    weekjob = WeekJob(metadata=Metadata(name="week-03"), spec=WeekJobSpec(unit="sft"))
    return Outcome(folder, weekjob, WeekJobStatus())


def write_evidence(folder, *metrics):
    (folder / "evidence").mkdir()
    document = {
        "metrics": [{"stage": "evaluate", "unit": "", "low": None, "high": None, **metric} for metric in metrics]
    }
    (folder / "evidence" / "evidence.json").write_text(json.dumps(document))


@pytest.mark.parametrize(
    ("low", "words"), [(0.55, "beats the base model"), (0.0, "does not beat"), (-0.1, "does not beat")]
)
def test_improvement(tmp_path, low, words):
    write_evidence(
        tmp_path,
        {"name": "exact_match_base", "value": 0.0},
        {"name": "exact_match_tuned", "value": 0.68},
        {"name": "exact_match_delta", "value": 0.68, "low": low, "high": 0.8},
    )
    [text] = list_headlines(build_outcome(tmp_path))
    assert words in text
    assert f"by +0.680 exact match (95% interval {low:+.3f} to +0.800): base 0.000, tuned 0.680" in text


def test_a_run_that_tuned_nothing_has_no_such_line(tmp_path):
    assert list_headlines(build_outcome(tmp_path)) == []
    write_evidence(tmp_path, {"name": "exact_match", "value": 0.1})
    assert list_headlines(build_outcome(tmp_path)) == []
