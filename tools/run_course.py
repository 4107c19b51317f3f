"""Runs the weeks of a course, one after the other, and writes ``course.json`` beside the runs.

A week whose gates did not pass is a result, and the course goes on; so is a week that failed. The exit code is 1 where
one of them did, else 0. A course that was stopped goes on where it stopped when it is started again: weeks that
succeeded are kept, and runs that did not are resumed. After the last week, the next start is a new course.
Started by `make course` with the environment of the `practicum` command.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from practicum_core.atomic import write_json_atomic
from practicum_core.curriculum import UNITS, VARIANTS
from practicum_core.json_files import read_json_or_empty
from practicum_core.layout import RunLayout
from practicum_core.phases import Phase
from practicum_core.run_folders import list_runs_of_unit

COMMAND = str(Path(sys.executable).with_name("practicum"))
STOPPED = 130
"""Exit code after Ctrl-C."""

Line = dict[str, Any]


@dataclass
class Course:
    """The course under way, as ``course.json`` has it.

    Attributes:
        options: The command line.
        earlier: By unit, runs that are older than the course.
        seconds: By unit, how long its run of this course has taken so far.
        lines: How each week ended, in order.
    """

    options: argparse.Namespace
    earlier: dict[str, list[str]]
    seconds: dict[str, float] = field(default_factory=dict)
    lines: list[Line] = field(default_factory=list)

    @property
    def file(self) -> Path:
        """``course.json``."""
        return Path(self.options.out) / "course.json"

    def write(self, *, is_complete: bool) -> None:
        """Write ``course.json``."""
        document = {
            "variant": self.options.variant,
            "profile": self.options.profile,
            "is_complete": is_complete,
            "earlier": self.earlier,
            "seconds": self.seconds,
            "units": self.lines,
        }
        write_json_atomic(self.file, document)

    def find_run(self, unit: str) -> Path | None:
        """Return the run of a unit that is this course's."""
        made = [run for run in list_runs_of_unit(Path(self.options.out) / unit) if run.name not in self.earlier[unit]]
        return made[-1] if made else None


def main() -> int:
    """Run the weeks, and print and write how each ended."""
    options = read_options()
    weeks = enumerate(VARIANTS[options.variant], start=1)
    units = {unit: week for week, unit in weeks if UNITS[unit].is_implemented}
    course = open_course(options, list(units))
    for unit, week in units.items():
        line = run_week(week, unit, course)
        if line["phase"] == Phase.SUSPENDED:
            course.write(is_complete=False)
            sys.stdout.write(f"the course was stopped in week {week} ({unit}); start it again to go on there\n")
            return STOPPED
        course.lines.append(line)
        course.write(is_complete=len(course.lines) == len(units))
    sys.stdout.write(f"\n{course.file}\n")
    for line in course.lines:
        passed = "gates passed" if line["gates_passed"] else f"gates not passed: {', '.join(line['failed_gates'])}"
        sys.stdout.write(f"  week {line['week']:2} {line['unit']}: {line['phase']}, {passed}, {line['seconds']} s\n")
    sys.stdout.write(f"  together {sum(course.seconds.values()) / 60:.1f} minutes\n")
    return 0 if all(line["gates_passed"] for line in course.lines) else 1


def read_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Run every week of a course.")
    parser.add_argument("--variant", type=int, choices=sorted(VARIANTS), default=10)
    parser.add_argument("--profile", choices=("quick", "full"), default="quick")
    parser.add_argument("--out", type=Path, default=Path("experiments"))
    return parser.parse_args()


def open_course(options: argparse.Namespace, units: Sequence[str]) -> Course:
    """Return the course of ``course.json`` where it was stopped, or a new one."""
    course = Course(options, {unit: [run.name for run in list_runs_of_unit(options.out / unit)] for unit in units})
    found = read_json_or_empty(course.file)
    same = (found.get("variant"), found.get("profile")) == (options.variant, options.profile)
    if same and not found.get("is_complete", True) and set(found["earlier"]) == set(units):
        course.earlier, course.seconds = found["earlier"], found["seconds"]
    course.write(is_complete=False)
    return course


def run_week(week: int, unit: str, course: Course) -> Line:
    """Run one week, or resume its run that did not succeed, and say how it ended, as its own status does."""
    options = course.options
    run = course.find_run(unit)
    started_s = time.monotonic()
    was_stopped = False
    if run and read_status(run).get("phase") == Phase.SUCCEEDED:
        sys.stdout.write(f"week {week} ({unit}) is kept: run {run.name}\n")
    else:
        chosen = ["--out", str(options.out)]
        start = [unit, "--variant", str(options.variant), "--profile", options.profile, *chosen]
        was_stopped = run_command([COMMAND, "run", *(["--resume", run.name, *chosen] if run else start)])
        run = course.find_run(unit)
    course.seconds[unit] = round(course.seconds.get(unit, 0.0) + time.monotonic() - started_s, 1)
    status = read_status(run) if run else {}
    gates = status.get("gates") or []
    phase = Phase.SUSPENDED if was_stopped else str(status.get("phase") or Phase.FAILED)
    return {
        "week": week,
        "unit": unit,
        "run": run.name if run else "",
        "phase": phase,
        "gates_passed": phase == Phase.SUCCEEDED and all(gate["passed"] for gate in gates),
        "failed_gates": [gate["name"] for gate in gates if not gate["passed"]],
        "seconds": course.seconds[unit],
    }


def run_command(words: Sequence[str]) -> bool:
    """Run a command to its end; return whether Ctrl-C was pressed meanwhile.

    The command gets Ctrl-C too, and takes a while to stop its steps and to take faults back. ``subprocess.run`` would
    kill it after a quarter of a second.
    """
    process = subprocess.Popen(words)
    was_stopped = False
    while process.returncode is None:
        try:
            process.wait()
        except KeyboardInterrupt:
            was_stopped = True
    return was_stopped


def read_status(run: Path) -> dict[str, Any]:
    """Return the status of a run; empty where it has none."""
    return read_json_or_empty(RunLayout(run).status)


if __name__ == "__main__":
    sys.exit(main())
