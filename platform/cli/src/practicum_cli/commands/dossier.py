"""``practicum dossier``: one failure from its symptom to a cause, a fix and a regression test."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import click

from practicum_cli.commands.options import experiments_option
from practicum_cli.commands.single_run import execute_unit, tell_fault
from practicum_cli.conclusion import describe_end
from practicum_cli.environments import find_uv
from practicum_cli.request import RunRequest
from practicum_cli.runs import Run, find_run, read_run, read_step_config
from practicum_cli.session import Outcome, describe_outcome
from practicum_cli.streams import tell, tell_json
from practicum_core.curriculum import get_unit
from practicum_core.dossier_files import PAGE_NAME, Axis, Dossier, SearchVerdict, State, Verdict, read_dossier
from practicum_core.errors import EXIT_GATE, EXIT_OK, ConfigError
from practicum_core.layout import is_safe_name
from practicum_core.phases import Phase
from practicum_core.stages import STAGES
from practicum_core.weekjob import SetValue

FOLDER = "dossiers"
"""Where dossiers lie, below the folder of all runs."""
_EXERCISE = "exercise:"
_UNIT, _STEP = "dossier-step", "dossier"
_repeats_option = click.option(
    "--repeats", type=click.IntRange(2, 100), default=5, show_default=True, help="Executions that must agree."
)
_json_option = click.option("--json", "as_json", is_flag=True, help="Print the dossier as JSON.")


@click.group()
def dossier() -> None:
    """Take a failure from its symptom to a cause, a fix and a regression test.

    \b
    practicum dossier new exercise:nan-row     begin: capture error, environment and data (or RUN)
    practicum dossier run nan-row              does it come back in a clean environment, each time?
    practicum dossier bisect nan-row --axis rows
    practicum dossier close nan-row            after fix/ and regression/test_*.py were written

    A dossier is a folder; its page is index.html. In fix/ lies what the fix changes, under the names of repro/.
    """  # noqa: D301 - click's mark for a block that is not wrapped again


@dossier.command()
@click.argument("source", metavar="RUN|exercise:NAME")
@click.option("--name", help="Name of the dossier; that of the exercise, or of step and run, without it.")
@click.option("--step", help="Step of the run that failed; found without it.")
@click.option("--good", metavar="RUN", help="Run whose step of that name ended well; bisect over config needs it.")
@click.option("--timeout", type=float, help="Seconds after which the step of RUN counts as hung.  [default: 600]")
@experiments_option
@_json_option
def new(
    *,
    source: str,
    name: str | None,
    step: str | None,
    good: str | None,
    timeout: float | None,
    experiments: Path,
    as_json: bool,
) -> int:
    """Begin a dossier: capture what failed, how it failed, with which data, and in which environment.

    Of a failure that hangs, where each thread stood when its time was over.
    """
    options: dict[str, SetValue] = {"action": "new", "source": source}
    options |= {"timeout_s": timeout} if timeout is not None else {}
    if source.startswith(_EXERCISE):
        _refuse_unused({"--step": step, "--good": good, "--timeout": timeout}, source, "they are for a RUN")
        chosen = name or source.removeprefix(_EXERCISE)
    else:
        run = read_run(find_run(source, experiments))
        failed = step or _find_failed_step(run)
        options |= {"source": str(run.layout.root), "step": failed, "environment": _find_environment(run, failed)}
        options |= {"good": str(find_run(good, experiments))} if good else {}
        chosen = name or f"{failed}-{run.id}"
    if not is_safe_name(chosen):
        raise ConfigError(f"--name {chosen}: not a name", "use lower case, digits and dashes")
    return _act(experiments / FOLDER / chosen, experiments, options, as_json=as_json)


def _refuse_unused(given: Mapping[str, object], what: str, why: str) -> None:
    """Refuse options that would change nothing.

    Raises:
        ConfigError: One of them has a value.
    """
    unused = [option for option, value in given.items() if value is not None]
    if unused:
        raise ConfigError(f"{what} does not use {', '.join(unused)}", f"leave them out: {why}")


def _find_failed_step(run: Run) -> str:
    failed = [stage.name for stage in run.status.stages if stage.phase is Phase.FAILED]
    if not failed:
        raise ConfigError(
            f"{run.name}: no step of it failed", "a dossier is about a failure; name a step that hung with --step"
        )
    return failed[0]


def _find_environment(run: Run, step: str) -> str:
    """Return the environment that a step of a run ran in."""
    stages = {one.name: one.stage for one in get_unit(run.weekjob.spec.unit, run.weekjob.spec.variant).steps}
    if step not in stages or stages[step] not in STAGES:
        raise ConfigError(f"--step {step}: no step of {run.name}", f"steps: {', '.join(stages)}")
    spec = STAGES[stages[step]]
    return spec.find_environment(spec.config.model_validate(read_step_config(run.layout, step)))


@dossier.command()
@click.argument("name", metavar="NAME|FOLDER")
@_repeats_option
@experiments_option
@_json_option
def run(*, name: str, repeats: int, experiments: Path, as_json: bool) -> int:
    """Execute the repro several times in a clean environment; exit 1 unless it shows the symptom each time.

    Where a search found culprits, a minimal repro with nothing but them is made and executed too.
    """
    return _act(_find(name, experiments), experiments, {"action": "run", "repeats": repeats}, as_json=as_json)


@dossier.command()
@click.argument("name", metavar="NAME|FOLDER")
@click.option(
    "--axis", type=click.Choice(["rows", "config", "edits", "commits", "packages"]), default="rows", show_default=True
)
@click.option(
    "--repository", type=click.Path(path_type=Path, exists=True, file_okay=False), help="For commits: a git work tree."
)
@click.option("--good-commit", help="For commits: one that is known to be good.")
@click.option("--bad-commit", help="For commits: one that fails.  [default: HEAD]")
@_repeats_option
@experiments_option
@_json_option
def bisect(  # noqa: PLR0913 - one parameter per option of the command
    *,
    name: str,
    axis: str,
    repository: Path | None,
    good_commit: str | None,
    bad_commit: str | None,
    repeats: int,
    experiments: Path,
    as_json: bool,
) -> int:
    """Search for the cause along one axis; exit 1 where none was found there.

    rows narrows the data down to the rows that make it fail; config narrows the options in which repro/config.yaml and
    good/config.yaml differ; edits narrows the changes to code in repro/edits.yaml.
    packages narrows the versions in which repro/packages.txt and good/packages.txt differ.
    commits is `git bisect` in a worktree of its own, with the repro as the judge of each commit.
    """
    options: dict[str, SetValue] = {"action": "bisect", "axis": axis, "repeats": repeats}
    commits = {"repository": repository and repository.absolute(), "good_commit": good_commit, "bad_commit": bad_commit}
    if axis == Axis.COMMITS:
        options |= {key: str(value) for key, value in commits.items() if value is not None}
    else:
        named = {f"--{key.replace('_', '-')}": value for key, value in commits.items()}
        _refuse_unused(named, f"a search over {axis}", "they are for --axis commits")
    if axis == Axis.PACKAGES:  # the stage's environment has no uv of its own
        os.environ["PATH"] = os.pathsep.join([os.environ.get("PATH", os.defpath), str(find_uv().parent)])
    return _act(_find(name, experiments), experiments, options, as_json=as_json)


@dossier.command()
@click.argument("name", metavar="NAME|FOLDER")
@_repeats_option
@experiments_option
@_json_option
def close(*, name: str, repeats: int, experiments: Path, as_json: bool) -> int:
    """Close a dossier; exit 1 with the reasons where it cannot be closed.

    The regression test must fail without the fix and pass with it, and the repro must end well with it.
    """
    return _act(_find(name, experiments), experiments, {"action": "close", "repeats": repeats}, as_json=as_json)


def _find(name: str, experiments: Path) -> Path:
    """Return the folder of a dossier by its name or its path."""
    named = experiments / FOLDER / name
    return named if is_safe_name(name) and named.is_dir() else Path(name)


def _act(folder: Path, experiments: Path, options: dict[str, SetValue], *, as_json: bool) -> int:
    folder = folder.absolute()
    if options["action"] != "new":
        options = options | {"environment": read_dossier(folder).repro.environment}
    extra = {f"{_STEP}.{key}": value for key, value in options.items()} | {f"{_STEP}.folder": str(folder)}
    outcome = execute_unit(_UNIT, RunRequest(extra_set=extra), experiments)
    code = tell_fault(outcome)
    if code != EXIT_OK:
        _tell(outcome, None, folder, as_json=as_json)
        return code
    found = read_dossier(folder)
    _tell(outcome, found, folder, as_json=as_json)
    return EXIT_OK if _is_success(found, options) else EXIT_GATE


def _is_success(found: Dossier, options: dict[str, SetValue]) -> bool:
    match options["action"]:
        case "run":
            return found.reproduction is not None and found.reproduction.verdict is Verdict.REPRODUCED
        case "bisect":
            last = [one for one in found.searches if one.axis == options["axis"]]
            return bool(last) and last[0].verdict is SearchVerdict.FOUND
        case "close":
            return found.state is State.CLOSED
        case _:
            return True


def _tell(outcome: Outcome, found: Dossier | None, folder: Path, *, as_json: bool) -> None:
    if as_json:
        tell_json({**describe_outcome(outcome), "dossier": found.model_dump(mode="json") if found else None})
    elif found is None:
        tell(describe_end([outcome]))
    else:
        tell("\n".join([f"{found.name}: {found.state}", found.events[-1].en, f"page: {folder / PAGE_NAME}"]))
