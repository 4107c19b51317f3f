"""``practicum blind``: a blind test of two models, from the sealed page to the result."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import click

from practicum_cli.commands.options import experiments_option
from practicum_cli.commands.single_run import execute_unit, tell_end, tell_fault
from practicum_cli.conclusion import describe_end
from practicum_cli.request import RunRequest
from practicum_cli.runs import find_run, read_run
from practicum_cli.session import Outcome, describe_outcome
from practicum_cli.streams import tell, tell_json
from practicum_core.atomic import write_json_atomic
from practicum_core.blind_files import (
    KEY_NAME,
    RATINGS_FOLDER,
    REVEALED_NAME,
    BlindKey,
    Ratings,
    find_ratings_problem,
    name_ratings_file,
    read_key,
    read_ratings,
)
from practicum_core.curriculum import get_unit
from practicum_core.errors import EXIT_OK, ConfigError, DataError, Reason
from practicum_core.json_files import read_json_or_empty
from practicum_core.layout import RunLayout
from practicum_core.phases import Phase
from practicum_core.run_folders import get_age, iter_run_dirs
from practicum_core.stages.blind import SPEC as BLIND
from practicum_core.stages.blind import BlindRecord
from practicum_core.stages.evaluate import SPEC as EVALUATE
from practicum_core.step_files import read_record

_RUN_HELP = "Run that made the page; the newest one without it."


@click.group()
def blind() -> None:
    """Let people compare two models without knowing which model gave which answer.

    \b
    practicum blind make latest:evaluate   the page, and the sealed key
    practicum blind import ratings-*.json  what the raters saved
    practicum blind reveal                 open the key and count
    """  # noqa: D301 - click's mark for a block that is not wrapped again


@blind.command()
@click.argument("source", metavar="RUN|SAMPLES")
@click.option("--items", type=int, default=20, show_default=True, help="Pairs that a rater sees.")
@click.option("--seed", type=int, default=7, show_default=True, help="Draws the pairs; the sides depend on a secret.")
@click.option("--split", default="", help="Split whose answers are rated; the scored one without it.")
@experiments_option
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def make(*, source: str, items: int, seed: int, split: str, experiments: Path, as_json: bool) -> int:
    """Make the page for raters from the samples of an evaluation of two models, and seal the key."""
    extra = {"blind.samples": f"file://{_find_samples(source, experiments)}", "blind.items": items}
    extra |= {"blind.split": split} if split else {}
    outcome = execute_unit("blind", RunRequest(extra_set=extra, seed=seed), experiments)
    record = _read_record(outcome) if outcome.status.phase is Phase.SUCCEEDED else None
    if as_json:
        tell_json({**describe_outcome(outcome), "record": record.model_dump(mode="json") if record else None})
    else:
        tell(_describe_made(outcome, record) if record else describe_end([outcome]))
    return tell_fault(outcome)


@blind.command("import")
@click.argument("files", nargs=-1, required=True, metavar="RATINGS...", type=click.Path(path_type=Path))
@click.option("--run", "reference", default="", metavar="RUN", help=_RUN_HELP)
@experiments_option
def import_ratings(*, files: tuple[Path, ...], reference: str, experiments: Path) -> int:
    """Take in the files that raters saved; all of them, or none."""
    step = _find_test(reference, experiments)
    record = _read_test(step)
    revealed = read_json_or_empty(step / REVEALED_NAME)
    if revealed:
        raise DataError(
            f"the key of this test was opened at {revealed.get('at')}: later ratings are not blind",
            "make a new test with another --seed for more ratings",
        )
    key = read_key(step / KEY_NAME, record.key_sha256)
    accepted = _check_all(files, key, record.key_sha256, step)
    for ratings in accepted:
        write_json_atomic(step / RATINGS_FOLDER / name_ratings_file(ratings.rater), ratings.model_dump(mode="json"))
    raters = len(list((step / RATINGS_FOLDER).glob("*.json")))
    tell(f"imported: {', '.join(ratings.rater for ratings in accepted)}; raters of this test: {raters}")
    return EXIT_OK


@blind.command()
@click.option("--run", "reference", default="", metavar="RUN", help=_RUN_HELP)
@experiments_option
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def reveal(*, reference: str, experiments: Path, as_json: bool) -> int:
    """Open the sealed key, check it against the published hash, and count the ratings.

    Exit 1 where fewer than two raters pass the attention checks. No ratings are taken in after this.
    """
    step = _find_test(reference, experiments)
    _read_test(step)
    outcome = execute_unit("blind-reveal", RunRequest(extra_set={"reveal.test": str(step)}), experiments)
    if RunLayout(outcome.path).stage(_REVEAL).record.exists() and not (step / REVEALED_NAME).exists():
        now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
        write_json_atomic(step / REVEALED_NAME, {"at": now, "run": outcome.path.name})
    return tell_end(outcome, as_json=as_json)


_REVEAL = get_unit("blind-reveal").steps[0].name


def _read_record(outcome: Outcome) -> BlindRecord:
    return _read_test(RunLayout(outcome.path).stage(BLIND.name).root)


def _describe_made(outcome: Outcome, record: BlindRecord) -> str:
    if not record.page:
        return "\n".join(record.notes)
    return "\n".join(
        [
            f"page for the raters: {outcome.path / record.page} ({record.num_items} items)",
            f"sealed key: {outcome.path / record.key} (keep it from the raters)",
            f"SHA-256 of the key: {record.key_sha256} (publish it now; the page shows it too)",
            "then: practicum blind import RATINGS...; practicum blind reveal",
        ]
    )


def _find_samples(source: str, experiments: Path) -> Path:
    path = Path(source)
    if path.is_file():
        return path.resolve()
    run = read_run(find_run(source, experiments))
    steps = get_unit(run.weekjob.spec.unit, run.weekjob.spec.variant).steps
    found = [
        run.layout.stage(step.name).samples
        for step in steps
        if step.stage == EVALUATE.name and run.layout.stage(step.name).samples.exists()
    ]
    if not found:
        raise DataError(
            f"{run.layout.root}: no samples of an evaluation",
            "name a run that evaluated two models",
            Reason.DATA_MISSING,
        )
    return found[-1].resolve()


def _find_test(reference: str, experiments: Path) -> Path:
    """Return the folder of the step that made the page: of the named run, or of the newest that has one."""
    if reference:
        runs = [find_run(reference, experiments)]
    else:
        runs = sorted(iter_run_dirs(experiments), key=get_age, reverse=True)
    for run in runs:
        step = RunLayout(run).stage(BLIND.name)
        if step.record.exists():
            return step.root.resolve()
    raise ConfigError(
        f"{reference or experiments}: no blind test lies here", "make one with `practicum blind make RUN|SAMPLES`"
    )


def _read_test(step: Path) -> BlindRecord:
    record = read_record(RunLayout(step.parent.parent), BLIND.name)
    if not isinstance(record, BlindRecord) or not (record.key_sha256 or record.notes):
        raise DataError(f"{step}: not the record of a blind test", "make the test again")
    return record


def _check_all(files: tuple[Path, ...], key: BlindKey, key_sha256: str, step: Path) -> list[Ratings]:
    accepted: list[Ratings] = []
    problems = []
    names = {path.name for path in (step / RATINGS_FOLDER).glob("*.json")}
    for path in files:
        try:
            ratings = read_ratings(path)
        except DataError as error:
            problems.append(error.detail)
            continue
        problem = find_ratings_problem(ratings, key, key_sha256)
        name = name_ratings_file(ratings.rater)
        if not problem and name in names:
            problem = f"ratings of '{ratings.rater}' are there already; each rater counts once"
        if problem:
            problems.append(f"{path}: {problem}")
        names.add(name)
        accepted.append(ratings)
    if problems:
        raise DataError("; ".join(problems), "nothing was imported; leave out or correct the named files")
    return accepted
