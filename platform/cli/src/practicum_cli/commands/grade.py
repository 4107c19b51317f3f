"""``practicum grade``: the table of a class, with points by a rubric and what is wrong with whose evidence."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click
import yaml
from pydantic import ValidationError

from practicum_cli.class_folders import (
    HandedIn,
    check_against_cluster,
    list_students,
    read_handed_in,
    read_week_jobs,
)
from practicum_cli.streams import tell
from practicum_cli.tables import format_table
from practicum_core.atomic import write_json_atomic, write_text_atomic
from practicum_core.curriculum import UNITS, VARIANTS, get_unit
from practicum_core.errors import EXIT_GATE, EXIT_OK, ConfigError
from practicum_core.grading import Rubric, WeekGrade, WeekRubric, find_copies, grade_week
from practicum_core.problems import describe_problems

_HEADER = ("student", "week", "unit", "run", "points", "of", "gates", "days late", "seconds", "evidence", "problems")


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--rubric", type=click.Path(path_type=Path), metavar="FILE", help="Points and due times (YAML).")
@click.option("--weekjobs", type=click.Path(path_type=Path), metavar="FILE", help="kubectl get weekjobs -A -o json")
@click.option("--output", type=click.Path(path_type=Path), default="grades", show_default=True, help="Folder to write.")
def grade(*, folder: Path, rubric: Path | None, weekjobs: Path | None, output: Path) -> int:
    """Grade a class: FOLDER holds one folder a student, with their runs in it or in its folder `experiments`.

    Of each week the latest finished run counts. Hashes, figures, gates and copies are checked; with --weekjobs also
    what the controller recorded. A week whose evidence is wrong counts 0, and the table says why. Writes grades.csv,
    grades.json and grades.html; exit 1 where something is wrong.
    """
    rules = _read_rubric(rubric)
    jobs = read_week_jobs(weekjobs) if weekjobs else None
    students = list_students(folder)
    lines: list[dict[str, object]] = []
    for number, unit in enumerate(VARIANTS[rules.variant], start=1):
        if UNITS[unit].is_implemented:
            week = f"week-{number:02d}"
            handed_in = {name: read_handed_in(name, path, unit) for name, path in students.items()}
            lines += _grade_all(rules, week, unit, handed_in, jobs)
    lines.sort(key=lambda line: (str(line["student"]), str(line["week"])))
    _write(lines, output)
    wrong = [line for line in lines if line["problems"]]
    tell(f"{len(students)} students, {len(lines)} weeks, {len(wrong)} with a problem: {output / 'grades.html'}")
    for line in wrong:
        tell(f"  {line['student']} {line['week']}: {line['problems']}")
    return EXIT_GATE if wrong else EXIT_OK


def _read_rubric(path: Path | None) -> Rubric:
    if path is None:
        return Rubric()
    try:
        rubric = Rubric.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")) or {})
    except ValidationError as error:
        raise ConfigError(f"{path}: {describe_problems(error, Rubric)}", "see docs/operations.md, Grading") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: not a readable YAML file", "give a rubric as in docs/operations.md") from error
    if rubric.variant not in VARIANTS:
        raise ConfigError(f"{path}: variant {rubric.variant}", "8, 10 or 12")
    for name, week in rubric.weeks.items():
        known = {gate.name for gate in get_unit(name, rubric.variant).gates}
        unknown = sorted(week.gates.keys() - known)
        if unknown:
            raise ConfigError(f"{path}: {name} has no gate {unknown[0]}", f"its gates: {', '.join(sorted(known))}")
        if week.due is not None and week.due.tzinfo is None:
            raise ConfigError(f"{path}: {name}: due has no time zone", "write 2026-12-01T18:00:00+08:00")
    return rubric


def _grade_all(
    rules: Rubric,
    week: str,
    unit: str,
    handed_in: dict[str, HandedIn | None],
    jobs: list[dict[str, object]] | None,
) -> list[dict[str, object]]:
    copies = find_copies({name: one.evidence.sealed for name, one in handed_in.items() if one and one.evidence})
    rubric = rules.weeks.get(week) or rules.weeks.get(unit) or WeekRubric()
    lines = []
    for name, one in handed_in.items():
        if one is None:
            lines.append({**dict.fromkeys(_HEADER, ""), "student": name, "week": week, "unit": unit, "points": 0.0})
            continue
        problems = list(one.problems)
        if name in copies:
            problems.append(f"records equal to those of {', '.join(copies[name])}")
        if jobs is not None:
            problems += check_against_cluster(one, jobs)
        lines.append(_describe(rules, rubric, week, one, problems))
    return lines


def _describe(rules: Rubric, rubric: WeekRubric, week: str, one: HandedIn, problems: list[str]) -> dict[str, object]:
    line: dict[str, object] = {
        "student": one.student,
        "week": week,
        "unit": one.unit,
        "run": one.layout.root.name,
        "evidence": str(one.layout.evidence_html),
        "problems": "; ".join(problems),
    }
    if one.evidence is None:
        return {**dict.fromkeys(_HEADER, ""), **line, "points": 0.0}
    found: WeekGrade = grade_week(rules, rubric, one.evidence, one.finished, problems)
    return {
        **line,
        "points": round(found.points, 3),
        "of": round(found.possible, 3),
        "gates": f"{found.gates_passed}/{found.num_gates}",
        "days late": found.days_late,
        "seconds": round(one.duration_s, 1),
        "detail": asdict(found),
    }


def _write(lines: list[dict[str, object]], output: Path) -> None:
    output.mkdir(parents=True, exist_ok=True)
    rows = [[str(line[name]) for name in _HEADER] for line in lines]
    write_json_atomic(output / "grades.json", lines)
    write_text_atomic(output / "grades.csv", format_table(_HEADER, rows, "csv") + "\n")
    write_text_atomic(output / "grades.html", format_table(_HEADER, rows, "html", "Grades · 成绩") + "\n")
