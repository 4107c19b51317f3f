"""Runs the weeks of a course, one after the other, and writes ``course.json`` beside the runs.

A week whose gates did not pass is a result, and the course goes on; so is a week that failed. A week is not started if
a run that it is built on is missing, and the table says which. The last week defends the runs that there are. The exit
code is 1 where a week failed, was not started or has a gate that did not pass, else 0. A course that was stopped goes
on where it stopped when it is started again: weeks that succeeded are kept, and runs that did not are resumed. After
the last week, or with another length, profile or model, the next start is a new course. Started by `make course` with
the environment of the `practicum` command.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from practicum_cli.defence import find_unit
from practicum_cli.request import RunRequest, build_weekjobs
from practicum_core.atomic import write_json_atomic
from practicum_core.curriculum import UNITS, VARIANTS
from practicum_core.earlier_runs import find_target
from practicum_core.errors import ConfigError, DataError
from practicum_core.json_files import read_json_or_empty
from practicum_core.layout import RunLayout
from practicum_core.lineage import read_lineage
from practicum_core.phases import Phase
from practicum_core.references import list_references
from practicum_core.resolve import resolve_steps
from practicum_core.run_folders import explain_unfinished, list_runs_of_unit
from practicum_core.stages.capstone import CapstoneConfig

COMMAND = str(Path(sys.executable).with_name("practicum"))
STOPPED = 130
"""Exit code after Ctrl-C."""
POLL_S = 0.5

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
        return self.root / "course.json"

    @property
    def root(self) -> Path:
        """Folder of all runs."""
        return Path(self.options.out)

    def write(self, *, is_complete: bool) -> None:
        """Write ``course.json``."""
        document = {
            "variant": self.options.variant,
            "profile": self.options.profile,
            "model": self.options.model,
            "is_complete": is_complete,
            "earlier": self.earlier,
            "seconds": self.seconds,
            "units": self.lines,
        }
        write_json_atomic(self.file, document)

    def find_run(self, unit: str) -> Path | None:
        """Return the run of a unit that is this course's."""
        made = [run for run in list_runs_of_unit(self.root / unit) if run.name not in self.earlier[unit]]
        return made[-1] if made else None

    def is_earlier(self, unit: str, run_id: str) -> bool:
        """Whether a run is older than the course."""
        return run_id in self.earlier.get(unit, [run_id])


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
        sys.stdout.write(f"  week {line['week']:2} {line['unit']}: {describe_end(line)}, {line['seconds']} s\n")
    sys.stdout.write(f"  together {sum(course.seconds.values()) / 60:.1f} minutes\n")
    return 0 if all(line["gates_passed"] for line in course.lines) else 1


def read_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Run every week of a course.")
    parser.add_argument("--variant", type=int, choices=sorted(VARIANTS), default=10)
    parser.add_argument("--profile", choices=("quick", "full"), default="quick")
    parser.add_argument("--out", type=Path, default=Path("experiments"))
    parser.add_argument("--model", help="base model of every week that reads one")
    return parser.parse_args()


def open_course(options: argparse.Namespace, units: Sequence[str]) -> Course:
    """Return the course of ``course.json`` where it was stopped, or a new one."""
    course = Course(options, {unit: [run.name for run in list_runs_of_unit(options.out / unit)] for unit in units})
    found = read_json_or_empty(course.file)
    is_same = all(found.get(name) == getattr(options, name) for name in ("variant", "profile", "model"))
    if is_same and not found.get("is_complete", True) and set(found["earlier"]) == set(units):
        course.earlier, course.seconds = found["earlier"], found["seconds"]
    course.write(is_complete=False)
    return course


def run_week(week: int, unit: str, course: Course) -> Line:
    """Run one week, or resume its run that did not succeed, and say how it ended, as its own status does."""
    run = course.find_run(unit)
    started_s = time.monotonic()
    was_stopped, missing = False, ""
    if run and read_status(run).get("phase") == Phase.SUCCEEDED:
        sys.stdout.write(f"week {week} ({unit}) is kept: run {run.name}\n")
    elif not run and (missing := explain_missing(unit, course)):
        sys.stdout.write(f"week {week} ({unit}) is not started: {missing}\n")
    else:
        goes_on = run is not None and not is_outdated(run, unit, course)
        resume = ["run", "--resume", run.name, "--out", str(course.root)] if run and goes_on else []
        was_stopped = run_command([COMMAND, *(resume or build_start(unit, course))])
        run = course.find_run(unit)
    course.seconds[unit] = round(course.seconds.get(unit, 0.0) + time.monotonic() - started_s, 1)
    status = read_status(run) if run else {}
    gates = status.get("gates") or []
    phase = Phase.PENDING if missing else str(status.get("phase") or Phase.FAILED)
    if was_stopped:
        phase = Phase.SUSPENDED
    return {
        "week": week,
        "unit": unit,
        "run": run.name if run else "",
        "phase": phase,
        "gates_passed": phase == Phase.SUCCEEDED and all(gate["passed"] for gate in gates),
        "failed_gates": [gate["name"] for gate in gates if not gate["passed"]],
        "why": "" if phase == Phase.SUCCEEDED else missing or str(status.get("message") or "it left no run"),
        "built_on": list_foundations(run, course) if run else [],
        "seconds": course.seconds[unit],
    }


def build_start(unit: str, course: Course) -> list[str]:
    """Return the command that starts a week. The last one defends the latest finished run of every other."""
    options = course.options
    shared = ["--variant", str(options.variant), "--out", str(course.root)]
    if unit == find_unit(options.variant):
        runs = [f"{run.parent.name}/{run.name}" for run in list_finished(course, unit)]
        return ["capstone", *shared, *runs]
    model = ["--model", options.model] if options.model and reads_model(unit, options) else []
    return ["run", unit, *shared, "--profile", options.profile, *model]


def is_outdated(run: Path, unit: str, course: Course) -> bool:
    """Whether a defence that was stopped lacks a week that has finished since then."""
    if unit != find_unit(course.options.variant):
        return False
    defended = {one["run"] for one in list_foundations(run, course)}
    return not {f"{one.parent.name}/{one.name}" for one in list_finished(course, unit)} <= defended


def list_finished(course: Course, last: str) -> list[Path]:
    """List the latest finished run of every week but the last and those that prove nothing to a chain."""
    (step,) = (step for step in UNITS[last].steps if "expected" in step.config)
    expected = set(step.config["expected"])
    found = []
    for unit in VARIANTS[course.options.variant]:
        if expected & {unit, *UNITS[unit].merges} and unit != last:
            runs = reversed(list_runs_of_unit(course.root / unit))
            found += [run for run in runs if not explain_unfinished(run, unit)][:1]
    return found


def reads_model(unit: str, options: argparse.Namespace) -> bool:
    """Whether a week reads the base model, rather than models of earlier weeks alone."""
    try:
        build_weekjobs((unit,), RunRequest(variant=options.variant, profile=options.profile, model=options.model))
    except ConfigError:
        return False
    return True


def explain_missing(unit: str, course: Course) -> str:
    """Say which runs a week is built on that are missing; empty where it can start."""
    options = course.options
    (weekjob,) = build_weekjobs((unit,), RunRequest(variant=options.variant, profile=options.profile))
    configs = [step.config for step in resolve_steps(weekjob)]
    # A defence is told which runs there are, and says itself which are absent.
    wanted = list_references(config for config in configs if not isinstance(config, CapstoneConfig))
    problems = []
    for one in wanted:
        try:
            find_target(one, course.root, options.variant, "")
        except (ConfigError, DataError) as error:
            problems.append(error.detail.removeprefix(f"{one.reference}: "))
    return "; ".join(dict.fromkeys(problems))


def list_foundations(run: Path, course: Course) -> list[dict[str, Any]]:
    """List the runs that a run is built on, and whether each is older than the course."""
    try:
        lineage = read_lineage(RunLayout(run))
    except DataError:
        return []
    found = {one.run: one for one in (lineage.built_on if lineage else [])}
    return [{"run": name, "is_earlier": course.is_earlier(one.unit, one.run_id)} for name, one in found.items()]


def describe_end(line: Line) -> str:
    """Say how a week ended.

    >>> describe_end({"phase": "Pending", "why": "no finished run of week-03 in x", "built_on": []})
    'not started (no finished run of week-03 in x)'
    """
    older = [one["run"] for one in line["built_on"] if one["is_earlier"]]
    standing = f", on a run from before this course: {', '.join(older)}" if older else ""
    if line["phase"] == Phase.PENDING:
        return f"not started ({line['why']})"
    if line["phase"] != Phase.SUCCEEDED:
        return f"{line['phase']} ({line['why']}){standing}"
    gates = "gates passed" if line["gates_passed"] else f"gates not passed: {', '.join(line['failed_gates'])}"
    return f"{line['phase']}, {gates}{standing}"


def run_command(words: Sequence[str]) -> bool:
    """Run a command to its end; return whether Ctrl-C was pressed or SIGTERM came meanwhile.

    The command gets Ctrl-C too, and takes a while to stop its steps and to take faults back. ``subprocess.run`` would
    kill it after a quarter of a second. SIGTERM, which comes to this process alone, is passed on.
    """
    terminations: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: terminations.append(number))
    process = subprocess.Popen(words)
    was_interrupted = is_told = False
    while process.returncode is None:
        try:
            process.wait(POLL_S)
        except KeyboardInterrupt:
            was_interrupted = True
        except subprocess.TimeoutExpired:
            if terminations and not is_told:
                process.terminate()
                is_told = True
    signal.signal(signal.SIGTERM, before)
    return was_interrupted or bool(terminations)


def read_status(run: Path) -> dict[str, Any]:
    """Return the status of a run; empty where it has none."""
    return read_json_or_empty(RunLayout(run).status)


if __name__ == "__main__":
    sys.exit(main())
