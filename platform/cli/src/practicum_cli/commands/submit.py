"""``practicum submit``: a week's file to a cluster, and if asked its course until its end."""

from __future__ import annotations

from pathlib import Path

import click

from practicum_cli import cluster_session
from practicum_cli.api_server import ApiServer, connect
from practicum_cli.cluster_runs import ClusterRun, Place
from practicum_cli.commands.options import experiments_option, place_options
from practicum_cli.conclusion import describe_end, describe_fault, get_exit_code_of
from practicum_cli.console import build_listener
from practicum_cli.streams import tell, tell_json
from practicum_cli.weekjob_file import read_weekjob
from practicum_core.errors import EXIT_OK, PracticumError
from practicum_core.resolve import resolve_steps

_EXIT_INTERRUPTED = 130


@click.command()
@click.argument("file", type=click.Path(path_type=Path), metavar="FILE")
@click.option("--follow", "-f", "is_followed", is_flag=True, help="Show how it goes until it ends.")
@click.option("--json", "as_json", is_flag=True, help="Print the final status as JSON.")
@experiments_option
@place_options
def submit(*, file: Path, is_followed: bool, as_json: bool, experiments: Path, place: Place) -> int:
    """Submit the week of FILE (YAML), as `practicum run` takes it, to the cluster that kubectl speaks to.

    The file is checked here before anything is sent. With --follow the lines and the exit code are those of
    `practicum run`, and the evidence pack is fetched; Ctrl-C ends the looking, not the week. Submitting a file again
    changes a week that has not started; one that has ended stays as it is.
    """
    weekjob = read_weekjob(file)
    resolve_steps(weekjob)
    server = click.get_current_context().with_resource(connect(place))
    submission = cluster_session.submit(server, weekjob, place.namespace)
    run = submission.run
    tell(submission.describe(), err=as_json or is_followed)
    if not is_followed:
        return _say_standing(run, place, experiments, as_json=as_json)
    try:
        run = cluster_session.follow(server, run, build_listener())
    except KeyboardInterrupt:
        tell(f"{run.title} goes on; look at it with: {_describe_look(run, place)}", err=True)
        return _EXIT_INTERRUPTED
    return _conclude(server, run, place, experiments, as_json=as_json)


def _describe_look(run: ClusterRun, place: Place) -> str:
    return f"practicum status {run.name} {place.describe(run.namespace)}"


def _say_standing(run: ClusterRun, place: Place, experiments: Path, *, as_json: bool) -> int:
    if as_json:
        _print_json(cluster_session.build_outcome(run, place, experiments))
    else:
        tell(f"look at it with: {_describe_look(run, place)}")
    return EXIT_OK


def _conclude(server: ApiServer, run: ClusterRun, place: Place, experiments: Path, *, as_json: bool) -> int:
    try:
        cluster_session.fetch_evidence(server, run, experiments)
    except PracticumError as error:
        # The week has ended all the same: its end is told, and the exit code is the week's.
        tell(f"warning: the evidence pack was not fetched: {error.detail}", err=True)
    outcome = cluster_session.build_outcome(run, place, experiments)
    if as_json:
        _print_json(outcome)
    else:
        tell(describe_end([outcome]))
    fault = describe_fault(outcome)
    if fault:
        tell(fault, err=True)
    return get_exit_code_of(run.status)


def _print_json(outcome: cluster_session.ClusterOutcome) -> None:
    tell_json(cluster_session.describe_run(outcome))
