"""``make course`` runs each week that this version has, and says of each how it ended."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest

from practicum_cli.main import practicum
from practicum_core.curriculum import UNITS, VARIANTS
from practicum_core.layout import RunLayout
from practicum_core.phases import Phase
from practicum_core.stages import STAGES
from run_folder import write_finished_run

TOOL = Path(__file__).parents[3] / "tools" / "run_course.py"


class Weeks:
    """Stands in for the weeks themselves: leaves what a run of each would, at once.

    Attributes:
        asked: The commands.
        ends: By unit, the phase with which its run ends; succeeded without one.
        failing: Units with a gate that does not pass.
        refused: Units that end before they have a run.
    """

    def __init__(self, out):
        self.out = out
        self.asked = []
        self.ends = {}
        self.failing = set()
        self.refused = set()

    def run(self, words):
        self.asked.append(words[1:])
        context = click.Context(practicum)
        name, command, arguments = practicum.resolve_command(context, words[1:])
        given = command.make_context(name, arguments, parent=context).params
        resumed = given.get("resume")
        if name == "capstone":
            unit = VARIANTS[int(given["variant"])][-1]
        else:
            unit = next(self.out.glob(f"*/{resumed}")).parent.name if resumed else given["weeks"][0]
        if unit in self.refused:
            return False
        self.finish(unit, resumed or f"20260102t0304{len(self.asked):02d}-0a1b2c")
        return False

    def finish(self, unit, run_id):
        run = RunLayout(self.out / unit / run_id)
        if not run.root.exists():
            write_finished_run(run.root, unit)
            for step in UNITS[unit].steps:
                folder = run.stage(step.name).root
                for path in (
                    "samples.jsonl",
                    "failures.jsonl",
                    *(one.path for one in STAGES[step.stage].exports.values()),
                ):
                    (folder / path).parent.mkdir(parents=True, exist_ok=True)
                    (folder / path).touch()
        gates = [{"name": "one", "passed": unit not in self.failing}]
        status = {"phase": self.ends.get(unit, Phase.SUCCEEDED), "gates": gates, "message": f"{unit} ended so"}
        run.status.write_text(json.dumps(status))


@pytest.fixture
def course(monkeypatch):
    spec = importlib.util.spec_from_file_location("run_course", TOOL)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def weeks(course, tmp_path, monkeypatch):
    """The course runs in an empty folder, and its weeks end at once."""
    weeks = Weeks(tmp_path / "experiments")
    monkeypatch.setattr("sys.argv", ["run_course.py", "--out", str(weeks.out)])
    monkeypatch.setattr(course, "run_command", weeks.run)
    return weeks


def read_lines(weeks):
    document = json.loads((weeks.out / "course.json").read_text())
    return document, {line["unit"]: line for line in document["units"]}


def test_every_week_is_run_and_the_worst_decides(course, weeks):
    weeks.failing, weeks.ends = {"evaluate"}, {"dossier": Phase.FAILED}
    assert course.main() == 1
    document, lines = read_lines(weeks)
    assert (document["variant"], document["is_complete"]) == (10, True)
    assert [(line["week"], line["unit"]) for line in document["units"]] == list(enumerate(VARIANTS[10], start=1))
    ended = {unit: (line["phase"], line["gates_passed"], line["failed_gates"]) for unit, line in lines.items()}
    assert ended["experiments"] == ended["iterate"] == ("Succeeded", True, [])
    assert ended["evaluate"] == ("Succeeded", False, ["one"])
    assert ended["dossier"] == ("Failed", False, [])
    assert (lines["dossier"]["why"], lines["evaluate"]["why"]) == ("dossier ended so", "")


@pytest.mark.parametrize("variant", sorted(VARIANTS))
def test_each_course_ends_with_the_defence_of_its_own_weeks(course, weeks, variant, monkeypatch):
    monkeypatch.setattr("sys.argv", ["run_course.py", "--out", str(weeks.out), "--variant", str(variant)])
    assert course.main() == 0
    defence = weeks.asked[-1]
    defended = {word.partition("/")[0] for word in defence if "/2026" in word}
    assert defence[:3] == ["capstone", "--variant", str(variant)]
    assert defended == set(VARIANTS[variant]) - {"dossier", VARIANTS[variant][-1]}


def test_a_week_whose_foundation_is_missing_is_not_started_and_the_others_go_on(course, weeks, capsys):
    weeks.ends = {"iterate": Phase.FAILED}
    weeks.refused = {"sft"}
    assert course.main() == 1
    _, lines = read_lines(weeks)
    assert {unit for unit, line in lines.items() if line["phase"] == "Pending"} == {
        "evaluate",
        "iterate",
        "quantize",
        "capstone",
    }
    assert lines["quantize"]["why"].startswith("no finished run of week-03 in")
    assert (lines["sft"]["phase"], lines["serving"]["phase"]) == ("Failed", "Succeeded")
    assert "week  6 quantize: not started (no finished run of week-03 in" in capsys.readouterr().out


def test_the_defence_is_told_of_the_weeks_that_there_are(course, weeks):
    weeks.ends = {"iterate": Phase.FAILED, "quantize": Phase.FAILED}
    course.main()
    defended = {word.partition("/")[0] for word in weeks.asked[-1] if "/2026" in word}
    assert defended == {"experiments", "data", "sft", "evaluate", "serving", "availability"}


def test_a_defence_that_was_stopped_goes_on_unless_another_week_has_finished_since(course, weeks):
    weeks.ends, weeks.refused = {"capstone": Phase.SUSPENDED}, {"iterate"}
    assert course.main() == course.STOPPED
    (stopped,) = (weeks.out / "capstone").iterdir()
    built_on = [
        {"reference": f"run:{run.name}/x", "unit": run.parent.name, "run_id": run.name, "path": "x", "sha256": "0" * 64}
        for run in weeks.out.glob("*/2026*")
    ]
    RunLayout(stopped).lineage_lock.write_text(json.dumps({"built_on": built_on}))
    course.main()
    assert weeks.asked[-1][:3] == ["run", "--resume", stopped.name]
    weeks.refused = set()
    course.main()
    assert weeks.asked[-1][0] == "capstone"
    assert any(word.startswith("iterate/") for word in weeks.asked[-1])


def test_a_run_from_before_the_course_may_be_built_on_and_is_named(course, weeks, capsys):
    weeks.finish("sft", "20250102t030405-0a1b2c")
    weeks.refused = {"sft"}

    def run(words):
        weeks.run(words)
        if words[2] == "quantize":
            (run_folder,) = (weeks.out / "quantize").iterdir()
            one = {"reference": "latest:sft/merged", "unit": "sft", "run_id": "20250102t030405-0a1b2c"}
            document = {"built_on": [{**one, "path": "stages", "sha256": "0" * 64}]}
            RunLayout(run_folder).lineage_lock.write_text(json.dumps(document))
        return False

    course.run_command = run
    assert course.main() == 1
    _, lines = read_lines(weeks)
    assert lines["quantize"]["built_on"] == [{"run": "sft/20250102t030405-0a1b2c", "is_earlier": True}]
    assert "quantize: Succeeded, gates passed, on a run from before this course: sft/2025" in capsys.readouterr().out


def test_a_course_goes_on_where_it_was_stopped_and_after_its_end_begins_anew(course, weeks, capsys):
    weeks.ends, weeks.refused = {"evaluate": Phase.SUSPENDED}, {"data"}
    assert course.main() == course.STOPPED
    assert "the course was stopped in week 4 (evaluate)" in capsys.readouterr().out
    weeks.asked, weeks.ends = [], {}
    (stopped,) = (weeks.out / "evaluate").iterdir()
    assert course.main() == 1
    assert weeks.asked[0][:2] == ["run", "data"]  # it had left no run
    assert weeks.asked[1][:3] == ["run", "--resume", stopped.name]
    assert weeks.asked[2][:2] == ["run", "iterate"]
    document, _ = read_lines(weeks)
    assert [line["week"] for line in document["units"]] == list(range(1, 11))
    weeks.asked = []
    course.main()
    assert len(weeks.asked) == 10


def test_a_week_that_ended_after_its_course_was_killed_is_not_run_again(course, weeks):
    weeks.ends = {"evaluate": Phase.SUSPENDED}
    course.main()
    (run,) = (weeks.out / "evaluate").iterdir()
    (run / "status.json").write_text('{"phase": "Succeeded", "gates": []}')
    weeks.asked = []
    course.main()
    assert weeks.asked[0][:2] == ["run", "iterate"]


def test_a_course_that_was_stopped_does_not_go_on_with_another_model(course, weeks, tmp_path, monkeypatch):
    weeks.ends = {"evaluate": Phase.SUSPENDED}
    course.main()
    weeks.asked, weeks.ends = [], {}
    (tmp_path / "model").mkdir()
    monkeypatch.setattr("sys.argv", ["run_course.py", "--out", str(weeks.out), "--model", str(tmp_path / "model")])
    course.main()
    assert len(weeks.asked) == 10
    assert not any("--resume" in words for words in weeks.asked)


def test_another_model_is_given_to_the_weeks_that_read_one(course, weeks, tmp_path, monkeypatch):
    (tmp_path / "model").mkdir()
    monkeypatch.setattr("sys.argv", ["run_course.py", "--out", str(weeks.out), "--model", str(tmp_path / "model")])
    assert course.main() == 0
    given = {words[1] for words in weeks.asked if "--model" in words}
    assert {"experiments", "sft", "serving"} <= given
    assert not given & {"quantize", "dossier", "capstone"}


def test_a_command_may_end_by_itself_after_ctrl_c(course, tmp_path, monkeypatch):
    class Interrupted(subprocess.Popen):
        interrupts = 2

        def wait(self, timeout=None):
            if self.interrupts:
                self.interrupts -= 1
                raise KeyboardInterrupt
            return super().wait(timeout)

    slow = tmp_path / "slow"
    slow.write_text('#!/bin/sh\nsleep 0.5\ntouch "$0.ended"\n')
    slow.chmod(0o755)
    assert not course.run_command(["true"])
    monkeypatch.setattr(course.subprocess, "Popen", Interrupted)
    assert course.run_command([str(slow)])
    assert (tmp_path / "slow.ended").exists()


def test_sigterm_is_passed_on_and_the_command_may_end_by_itself(course, tmp_path):
    careful = tmp_path / "careful"
    careful.write_text(
        f"#!/bin/sh\ntrap 'touch \"$0.told\"; exit 0' TERM\nkill -TERM {os.getpid()}\nwhile :; do sleep 0.05; done\n"
    )
    careful.chmod(0o755)
    before = signal.getsignal(signal.SIGTERM)
    assert course.run_command([str(careful)])
    assert (tmp_path / "careful.told").exists()
    assert signal.getsignal(signal.SIGTERM) is before
