"""``make course`` runs each week that this version has, and says of each how it ended."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

from practicum_core.curriculum import UNITS, VARIANTS

TOOL = Path(__file__).parents[3] / "tools" / "run_course.py"
IN_PLACE_OF_A_WEEK = """#!/bin/sh
# practicum run UNIT --variant N --profile P --out DIR: week 2 does not start, a gate of week 3 does not pass
# practicum run --resume RUN --out DIR: the run of week 4, where a file `stop` lies in DIR
echo "$@" >> "$(dirname "$0")/asked"
if [ "$2" = --resume ]; then
  run="$5/evaluate/$3"
else
  [ "$2" != data ] || exit 3
  run="$8/$2/$(printf '20260102t0304%02d-0a1b2c' "$(ls "$8/$2" 2>/dev/null | wc -l)")"
fi
mkdir -p "$run"
if [ "$2" = evaluate ] && [ -e "$8/stop" ]; then
  echo '{"phase": "Suspended"}' > "$run/status.json"
  exit 0
fi
passed=true; [ "$2" != sft ] || passed=false
echo '{"phase": "Succeeded", "gates": [{"name": "one", "passed": '$passed'}]}' > "$run/status.json"
"""


@pytest.fixture
def course(tmp_path, monkeypatch):
    spec = importlib.util.spec_from_file_location("run_course", TOOL)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    program = tmp_path / "practicum"
    program.write_text(IN_PLACE_OF_A_WEEK)
    program.chmod(0o755)
    monkeypatch.setattr(module, "COMMAND", str(program))
    return module


def test_every_week_of_this_version_is_run_and_the_worst_decides(course, tmp_path, monkeypatch):
    out = tmp_path / "experiments"
    monkeypatch.setattr("sys.argv", ["run_course.py", "--out", str(out)])
    assert course.main() == 1
    document = json.loads((out / "course.json").read_text())
    assert (document["variant"], document["is_complete"]) == (10, True)
    assert [(line["week"], line["unit"]) for line in document["units"]] == [
        (week, unit) for week, unit in enumerate(VARIANTS[10], start=1) if UNITS[unit].is_implemented
    ]
    ended = {line["unit"]: (line["phase"], line["gates_passed"]) for line in document["units"]}
    assert ended["experiments"] == ended["iterate"] == ("Succeeded", True)
    assert ended["data"] == ("Failed", False)
    assert ended["sft"] == ("Succeeded", False)
    failed = {line["unit"]: line["failed_gates"] for line in document["units"]}
    assert (failed["iterate"], failed["sft"]) == ([], ["one"])


def test_a_course_goes_on_where_it_was_stopped_and_after_its_end_begins_anew(course, tmp_path, monkeypatch, capsys):
    out = tmp_path / "experiments"
    out.mkdir()
    (out / "stop").touch()
    monkeypatch.setattr("sys.argv", ["run_course.py", "--out", str(out)])
    assert course.main() == course.STOPPED
    assert "the course was stopped in week 4 (evaluate)" in capsys.readouterr().out
    asked = tmp_path / "asked"
    asked.unlink()
    (out / "stop").unlink()
    assert course.main() == 1
    lines = asked.read_text().splitlines()
    assert lines[0].startswith("run data")  # it had failed
    assert lines[1] == f"run --resume 20260102t030400-0a1b2c --out {out}"
    assert lines[2].startswith("run iterate")
    document = json.loads((out / "course.json").read_text())
    assert [line["week"] for line in document["units"]] == list(range(1, len(document["units"]) + 1))
    asked.unlink()
    course.main()
    assert len(asked.read_text().splitlines()) == len(document["units"])


def test_a_week_that_ended_after_its_course_was_killed_is_not_run_again(course, tmp_path, monkeypatch):
    out = tmp_path / "experiments"
    (out / "stop").parent.mkdir()
    (out / "stop").touch()
    monkeypatch.setattr("sys.argv", ["run_course.py", "--out", str(out)])
    course.main()
    (run,) = (out / "evaluate").iterdir()
    (run / "status.json").write_text('{"phase": "Succeeded", "gates": []}')
    (tmp_path / "asked").unlink()
    course.main()
    assert "evaluate" not in (tmp_path / "asked").read_text()


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
