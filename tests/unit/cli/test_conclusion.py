"""The last lines of a run: by how much tuned beats base, read from the evidence alone."""

from __future__ import annotations

import json

import pytest

from practicum_cli.commands.single_run import tell_end
from practicum_cli.conclusion import describe_end, list_headlines
from practicum_cli.console import ProgressBar
from practicum_cli.session import Outcome
from practicum_core.errors import Reason, get_exit_code
from practicum_core.phases import Phase
from practicum_core.weekjob import Metadata, StageStatus, WeekJob, WeekJobSpec, WeekJobStatus


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


@pytest.mark.parametrize(
    ("unit", "steps", "said"),
    [
        ("sft", ("sft", "report"), "  time: sft 60.0 s, report 60.0 s; together 120.0 s"),
        ("serving", ("serve", "loadtest"), "  time: serve 60.0 s, loadtest 60.0 s"),
    ],
)
def test_times_are_added_up_where_no_server_runs_beside_other_steps(tmp_path, unit, steps, said):
    stages = [StageStatus(name=name, phase=Phase.SUCCEEDED, duration_seconds=60) for name in steps]
    weekjob = WeekJob(metadata=Metadata(name="mine"), spec=WeekJobSpec(unit=unit))
    text = describe_end([Outcome(tmp_path, weekjob, WeekJobStatus(phase=Phase.SUCCEEDED, stages=stages))])
    assert said in text.splitlines()


@pytest.mark.parametrize("reason", [Reason.GATE_FAILED, Reason.UPSTREAM_UNAVAILABLE])
def test_why_a_run_failed_is_said_once_and_of_several_runs_with_its_name(tmp_path, capsys, reason):
    weekjob = WeekJob(metadata=Metadata(name="mine"), spec=WeekJobSpec(unit="sft"))
    stage = StageStatus(name="sft", phase=Phase.FAILED, message="nothing answers")
    status = WeekJobStatus(phase=Phase.FAILED, reason=reason, message="sft: nothing answers", stages=[stage])
    failed = Outcome(tmp_path, weekjob, status)
    with ProgressBar() as bars:
        bars.on_status(status)
    assert tell_end(failed, as_json=False) == get_exit_code(reason)
    told = capsys.readouterr()
    assert (told.out.count("nothing answers"), told.err.count("nothing answers")) == (0, 1)
    assert told.out.splitlines()[0].endswith(": Failed")
    lines = describe_end([failed, Outcome(tmp_path, weekjob, WeekJobStatus(phase=Phase.SUCCEEDED))]).splitlines()
    assert lines[0].endswith(": Failed, sft: nothing answers")
