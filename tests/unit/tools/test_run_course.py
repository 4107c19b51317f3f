"""``make course`` runs each week that this version has, and says of each how it ended."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from practicum_core.curriculum import UNITS, VARIANTS

TOOL = Path(__file__).parents[3] / "tools" / "run_course.py"
IN_PLACE_OF_A_WEEK = """#!/bin/sh
# practicum run UNIT --variant N --profile P --out DIR: week 2 does not start, a gate of week 3 does not pass
[ "$2" != data ] || exit 3
run="$8/$2/20260102t030405-0a1b2c"
mkdir -p "$run"
passed=true; [ "$2" != sft ] || passed=false
echo '{"phase": "Succeeded", "gates": [{"name": "one", "passed": '$passed'}]}' > "$run/status.json"
"""


@pytest.fixture
def course(tmp_path, monkeypatch):
    spec = importlib.util.spec_from_file_location("run_course", TOOL)
    module = importlib.util.module_from_spec(spec)
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
    assert document["variant"] == 10
    assert [(line["week"], line["unit"]) for line in document["units"]] == [
        (week, unit) for week, unit in enumerate(VARIANTS[10], start=1) if UNITS[unit].is_implemented
    ]
    ended = {line["unit"]: (line["phase"], line["gates_passed"]) for line in document["units"]}
    assert ended["experiments"] == ended["iterate"] == ("Succeeded", True)
    assert ended["data"] == ("Failed", False)
    assert ended["sft"] == ("Succeeded", False)
