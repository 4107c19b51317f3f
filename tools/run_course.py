"""Runs the weeks of a course that this version has, one after the other, and writes ``course.json`` beside the runs.

A week whose gates did not pass is a result, and the course goes on; so is a week that failed. The exit code is 1 where
one of them did, else 0. Started by `make course` with the environment of the `practicum` command.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

from practicum_core.atomic import write_json_atomic
from practicum_core.curriculum import UNITS, VARIANTS
from practicum_core.json_files import read_json_or_empty
from practicum_core.layout import RunLayout
from practicum_core.run_folders import list_runs_of_unit

COMMAND = str(Path(sys.executable).with_name("practicum"))


def main() -> int:
    """Run the weeks, and print and write how each ended."""
    options = read_options()
    lines = []
    for week, unit in enumerate(VARIANTS[options.variant], start=1):
        if not UNITS[unit].is_implemented:
            continue
        lines.append(run_week(week, unit, options))
        document = {"variant": options.variant, "units": lines}
        write_json_atomic(options.out / "course.json", document)
    sys.stdout.write(f"\n{options.out / 'course.json'}\n")
    for line in lines:
        passed = "gates passed" if line["gates_passed"] else "gates not passed"
        sys.stdout.write(f"  week {line['week']:2} {line['unit']}: {line['phase']}, {passed}, {line['seconds']} s\n")
    return 0 if all(line["gates_passed"] for line in lines) else 1


def read_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Run every week that this version has.")
    parser.add_argument("--variant", type=int, choices=sorted(VARIANTS), default=10)
    parser.add_argument("--profile", choices=("quick", "full"), default="quick")
    parser.add_argument("--out", type=Path, default=Path("experiments"))
    return parser.parse_args()


def run_week(week: int, unit: str, options: argparse.Namespace) -> dict[str, object]:
    """Run one week and say how it ended, as its own status does."""
    before = set(list_runs_of_unit(options.out / unit))
    started_s = time.monotonic()
    chosen = ["--variant", str(options.variant), "--profile", options.profile, "--out", str(options.out)]
    subprocess.run([COMMAND, "run", unit, *chosen], check=False)
    seconds = round(time.monotonic() - started_s, 1)
    made = [run for run in list_runs_of_unit(options.out / unit) if run not in before]
    status = read_json_or_empty(RunLayout(made[-1]).status) if made else {}
    gates = status.get("gates") or []
    phase = str(status.get("phase") or "Failed")
    passed = phase == "Succeeded" and all(gate["passed"] for gate in gates)
    return {"week": week, "unit": unit, "phase": phase, "gates_passed": passed, "seconds": seconds}


if __name__ == "__main__":
    sys.exit(main())
