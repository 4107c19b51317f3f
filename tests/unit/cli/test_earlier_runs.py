"""Runs that an earlier version wrote: every command over finished runs reads them.

``tests/cases/earlier_runs`` holds weeks 1 to 3, run with ``--profile quick`` by commit 10f5525 (week 3 with six steps
of training, on a few rows). Left out are logs, pages, artifacts, most packages and samples, excerpts of findings, and
the names of the machine. Do not edit them when a model changes: the model must go on reading them.
"""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path

import pytest

from practicum_cli.control import read_facts
from practicum_cli.runs import read_run
from practicum_cli.verification import build_weekjob_of_record, compare_runs
from practicum_core.agreement import Agreement
from practicum_core.factors import find_differences
from practicum_core.resolve import resolve_steps

CASES = Path(__file__).parents[2] / "cases/earlier_runs"
RUNS = sorted(path.relative_to(CASES).as_posix() for path in CASES.glob("*/*"))


@pytest.fixture(autouse=True)
def experiments(workplace):
    """The earlier runs as the runs of the folder."""
    return shutil.copytree(CASES, workplace / "experiments")


def get_id(run):
    return run.partition("/")[2]


def test_every_week_is_there():
    assert [run.partition("/")[0] for run in RUNS] == ["data", "experiments", "sft"]


@pytest.mark.parametrize("run", RUNS)
def test_status(run, command):
    out = command("status")[1]
    assert (get_id(run) in out, "Succeeded" in out, "incomplete" in out.lower()) == (True, True, False)
    code, out, _ = command("status", get_id(run), "--json")
    document = json.loads(out)
    written = json.loads((CASES / run / "status.json").read_text(encoding="utf-8"))
    assert (code, document["phase"]) == (0, "Succeeded")
    assert [one["name"] for one in document["stages"]] == [one["name"] for one in written["stages"]]
    assert [one["value"] for one in document["metrics"]] == [one["value"] for one in written["metrics"]]
    assert "gate passed" in command("status", get_id(run))[1]


def test_summarize(command):
    code, out, _ = command("summarize", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert (code, {row["run"] for row in rows}) == (0, {get_id(run) for run in RUNS})
    assert {row["phase"] for row in rows} == {"Succeeded"}


@pytest.mark.parametrize("run", RUNS)
def test_diff(run, command, experiments):
    """A copy with another option differs in that alone."""
    other = (experiments / run).with_name("20261128t010203-abcdef")
    shutil.copytree(experiments / run, other)
    config = other / "stages/model/config.yaml"
    config.write_text(config.read_text(encoding="utf-8").replace("seed: 7", "seed: 8"), encoding="utf-8")
    code, out, err = command("diff", get_id(run), other.name)
    assert (code, "seed" in out) == (0, True), out + err
    unlike = next(one for one in RUNS if one != run)
    assert command("diff", get_id(run), get_id(unlike))[0] == 1


@pytest.mark.parametrize("run", RUNS)
def test_what_verify_reads(run, experiments):
    """The record becomes a week job of this version with the recorded options, and equals itself."""
    recorded = read_run(experiments / run)
    options = read_facts(recorded).steps
    for step in resolve_steps(build_weekjob_of_record(recorded)):
        now = step.config.model_dump(mode="json")
        assert {key: now[key] for key in options[step.name]} == options[step.name]
    assert find_differences(read_facts(recorded), read_facts(recorded)) == []
    found = compare_runs(recorded, recorded, 0.0)
    assert (found.agreement, len(found.findings) > 10) == (Agreement.EQUAL, True)
