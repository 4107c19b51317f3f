"""``practicum compare``: two models on the same rows, or two files of results, with a verdict."""

from __future__ import annotations

from pathlib import Path, PurePath

import click

from practicum_cli.commands.options import experiments_option
from practicum_cli.commands.single_run import execute_unit, tell_end
from practicum_cli.request import RunRequest
from practicum_core.data_folders import is_task_file
from practicum_core.errors import DataError
from practicum_core.weekjob import SetValue


@click.command()
@click.argument("base", metavar="BASE")
@click.argument("candidate", metavar="CANDIDATE")
@click.option(
    "--data",
    metavar="URI",
    help="Data set with a split test (builtin:NAME, hf://, s3://, a folder), or a task file (YAML).",
)
@click.option("--limit", type=click.IntRange(min=1), help="Rows at most, the first ones.")
@click.option("--set", "overrides", multiple=True, metavar="STEP.KEY=VALUE", help="An option of a step; repeatable.")
@experiments_option
@click.option("--json", "as_json", is_flag=True, help="Print the final status as JSON.")
def compare(
    *,
    base: str,
    candidate: str,
    data: str | None,
    limit: int | None,
    overrides: tuple[str, ...],
    experiments: Path,
    as_json: bool,
) -> int:
    """Answer the same rows with the models BASE and CANDIDATE, and decide whether CANDIDATE is better.

    A model is a URI (builtin:NAME, hf://OWNER/NAME, a folder) or a reference such as latest:sft/merged. Two files of
    results are compared as they are: samples.jsonl of an evaluation of one model, or the --log_samples file of
    lm-evaluation-harness.

    Exit 0 where it is better, 1 where it is not, or where there are too few rows to tell.
    """
    if Path(base).is_file() or Path(candidate).is_file():
        if data or limit:
            raise click.UsageError("--data and --limit belong to two models, not to two files of results")
        files = {"compare.samples": _build_uri(base), "compare.candidate_samples": _build_uri(candidate)}
        unit, request = "comparison-of-files", RunRequest(overrides=overrides, extra_set=files)
    else:
        options: dict[str, SetValue] = {"evaluate.candidate": candidate}
        if limit:
            options["evaluate.limit"] = limit
        if data and is_task_file(PurePath(data)):
            options["analyze.train_split"] = None
        unit, request = "comparison", RunRequest(overrides=overrides, data=data, model=base, extra_set=options)
    return tell_end(execute_unit(unit, request, experiments), as_json=as_json)


def _build_uri(path: str) -> str:
    if not Path(path).is_file():
        raise DataError(f"{path}: no file", "give two files of results, or two models")
    return f"file://{Path(path).absolute()}"
