"""``practicum describe``: a document of a running service, made from what runs."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path

import click

from practicum_cli.cluster_runs import Place, find_cluster_run
from practicum_cli.commands.options import cluster_options, experiments_option
from practicum_cli.commands.single_run import execute_unit, tell_fault
from practicum_cli.conclusion import describe_end
from practicum_cli.held_services import find_service
from practicum_cli.request import RunRequest
from practicum_cli.runs import find_run
from practicum_cli.session import describe_outcome
from practicum_cli.standing import LANGUAGES, Language, choose_language
from practicum_cli.streams import tell, tell_json
from practicum_core.cluster_deployment import describe_week_job
from practicum_core.curriculum import TOOLS
from practicum_core.deployment import write_document
from practicum_core.errors import ConfigError
from practicum_core.json_files import read_json_or_empty
from practicum_core.layout import RunLayout

_UNIT = "description"


@click.command()
@click.argument("reference", metavar="[RUN]", required=False)
@click.option("--lang", type=click.Choice(LANGUAGES), help="Language; that of the locale without it.")
@experiments_option
@click.option("--json", "as_json", is_flag=True, help="Print the final status and the result as JSON.")
@cluster_options
def describe(
    *, reference: str | None, lang: Language | None, experiments: Path, as_json: bool, place: Place | None
) -> int:
    """Describe a running service: components, versions, limits, probes, ladder, capacity, known weaknesses, alerts.

    RUN is a run with servers; without it, the service that runs here. Servers are asked whether they are ready; what
    was measured is read from the records of the run and of the newest load test of its model and engine. Both languages
    are written.

    On a cluster RUN is a week job; its pods say what runs, and what was measured stands in its evidence pack.
    """
    language = lang or choose_language(os.environ)
    if place is not None:
        _describe_week_job(reference, place, language, as_json=as_json)
        return 0
    step = TOOLS[_UNIT].steps[-1].name
    options = {f"{step}.run": f"run:{_find_run(reference, experiments).name}"}
    outcome = execute_unit(_UNIT, RunRequest(extra_set=options), experiments)
    layout = RunLayout(outcome.path).stage(step)
    document = layout.artifacts / f"deployment.{language}.md"
    if as_json:
        tell_json({**describe_outcome(outcome), "result": read_json_or_empty(layout.record) or None})
    else:
        tell(document.read_text(encoding="utf-8") if document.exists() else describe_end([outcome]))
    return tell_fault(outcome)


def _describe_week_job(reference: str | None, place: Place, language: Language, *, as_json: bool) -> None:
    from practicum_cli.api_server import connect  # noqa: PLC0415 - its client takes half a second to load

    if reference is None:
        raise ConfigError("on a cluster, name the week job whose servers run", "practicum status --cluster lists them")
    with connect(place) as server:
        run = find_cluster_run(reference, server.list_runs(), server.namespace)
        pods = server.list_server_pods(run)
    now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    described = describe_week_job(run.weekjob, run.status, pods, now, server.url)
    if as_json:
        tell_json(described.model_dump(mode="json"))
    else:
        tell(write_document(described, language))


def _find_run(reference: str | None, experiments: Path) -> Path:
    if reference is not None:
        return find_run(reference, experiments)
    service = find_service(None, None, experiments)
    if service is None:
        raise ConfigError("no service runs here", "start one with `practicum serve MODEL`, or name a run")
    return service.run.root
