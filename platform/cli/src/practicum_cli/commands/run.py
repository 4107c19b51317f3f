"""``practicum run``: one or several weeks, one after another."""

from __future__ import annotations

from pathlib import Path

import click

from practicum_cli.commands.options import experiments_option
from practicum_cli.conclusion import describe_end, describe_fault, get_exit_code_of
from practicum_cli.console import build_listener
from practicum_cli.control import FairComparison, check_control
from practicum_cli.request import RunRequest, build_weekjobs, choose_profile
from practicum_cli.runs import find_run
from practicum_cli.session import Outcome, continue_run, describe_outcome, execute_run, start_run
from practicum_cli.streams import tell, tell_json
from practicum_core.errors import EXIT_GATE, EXIT_OK
from practicum_core.weekjob import WeekJob
from practicum_runtime.stop_request import StopRequest


@click.command()
@click.argument("weeks", nargs=-1, metavar="[week-NN|UNIT|FILE]...")
@click.option("--variant", type=click.Choice(["8", "10", "12"]), help="Length of the course in weeks.")
@click.option("--set", "overrides", multiple=True, metavar="STEP.KEY=VALUE", help="An option of a step; repeatable.")
@click.option("--profile", type=click.Choice(["quick", "full"]), help="Size; without it quick where no GPU is.")
@click.option("--seed", type=click.IntRange(min=0), help="Seed of everything random.")
@click.option("--model", metavar="URI", help="Base model: builtin:NAME, hf://OWNER/NAME, or a folder.")
@click.option("--data", metavar="URI", help="Data set: builtin:NAME, hf://, s3://, or a file or folder.")
@click.option("--control", metavar="RUN", help="Run to compare with; one factor may differ.")
@click.option("--waive", multiple=True, metavar="NAME", help="Leakage finding to accept, such as near:train-test.")
@experiments_option
@click.option("--resume", metavar="RUN", help="Go on with a run that was stopped, cut off, or failed.")
@click.option("--json", "as_json", is_flag=True, help="Print the final status as JSON.")
def run(  # noqa: PLR0913 - one parameter per option of the command
    *,
    weeks: tuple[str, ...],
    variant: str | None,
    overrides: tuple[str, ...],
    profile: str | None,
    seed: int | None,
    model: str | None,
    data: str | None,
    control: str | None,
    waive: tuple[str, ...],
    experiments: Path,
    resume: str | None,
    as_json: bool,
) -> int:
    """Run weeks on this machine, one after another.

    A week is week-NN of the course, a unit's name, or a WeekJob file (YAML). Ctrl-C stops at a checkpoint; a second
    Ctrl-C stops at once. Either way `practicum run --resume RUN` goes on.
    """
    request = RunRequest(
        variant=int(variant) if variant else None,
        overrides=overrides,
        profile=profile,
        seed=seed,
        model=model,
        data=data,
        waive=waive,
    )
    _check_usage(weeks, resume, request, control)
    if resume is not None:
        outcomes = [_resume(resume, experiments)]
    else:
        weekjobs = build_weekjobs(weeks, request)
        prepared = [check_control(weekjob, control or weekjob.spec.control, experiments) for weekjob in weekjobs]
        _say_profile(weekjobs, profile)
        outcomes = _run_all(prepared, experiments)
    if as_json:
        documents = [describe_outcome(outcome) for outcome in outcomes]
        tell_json(documents[0] if len(documents) == 1 else documents)
    else:
        tell(describe_end(outcomes))
    for fault in filter(None, map(describe_fault, outcomes)):
        tell(fault, err=True)
    codes = [get_exit_code_of(outcome.status) for outcome in outcomes]
    return next((code for code in reversed(codes) if code not in (EXIT_OK, EXIT_GATE)), max(codes))


def _check_usage(weeks: tuple[str, ...], resume: str | None, request: RunRequest, control: str | None) -> None:
    if not weeks and resume is None:
        raise click.UsageError("name a week, a unit or a file, such as week-01", click.get_current_context())
    if resume is not None and (weeks or control or request != RunRequest()):
        raise click.UsageError(
            "--resume takes no week and no options: a run goes on as it was started", click.get_current_context()
        )


def _say_profile(weekjobs: list[WeekJob], profile: str | None) -> None:
    if profile is None:
        chosen, why = choose_profile()
        if any(weekjob.spec.profile == chosen for weekjob in weekjobs):
            tell(f"profile: {chosen} ({why}); choose with --profile", err=True)


def _run_all(prepared: list[tuple[WeekJob, FairComparison | None]], root: Path) -> list[Outcome]:
    stop = StopRequest()
    outcomes: list[Outcome] = []
    for weekjob, comparison in prepared:
        path = start_run(root, weekjob)
        if comparison is not None:
            comparison.write(path)
            tell(comparison.sentence, err=True)
        outcomes.append(execute_run(path, weekjob, build_listener(), stop))
        if get_exit_code_of(outcomes[-1].status) not in (EXIT_OK, EXIT_GATE):
            break
    left = [weekjob.metadata.name for weekjob, _ in prepared[len(outcomes) :]]
    if left:
        tell(f"not started: {', '.join(left)}", err=True)
    return outcomes


def _resume(reference: str, root: Path) -> Outcome:
    path = find_run(reference, root)
    weekjob = continue_run(path)
    return execute_run(path, weekjob, build_listener(), StopRequest())
