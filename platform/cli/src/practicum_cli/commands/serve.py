"""``practicum serve``: a model behind the gateway on this machine, until it is stopped."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import click

from practicum_cli.announcement import Announcement
from practicum_cli.commands.options import experiments_option
from practicum_cli.commands.single_run import tell_fault
from practicum_cli.console import build_listener
from practicum_cli.request import RunRequest, build_weekjobs
from practicum_cli.run_lock import is_run_held
from practicum_cli.service_port import note_port, require_free_port
from practicum_cli.session import execute_run, start_run
from practicum_cli.streams import tell
from practicum_core.api_keys import KEY_FILE, KeyFile, KeyLimits, change_key_file, make_key
from practicum_core.curriculum import TOOLS
from practicum_core.errors import EXIT_OK
from practicum_core.layout import RunLayout
from practicum_core.phases import Phase
from practicum_core.weekjob import Serving, WeekJob
from practicum_runtime.stop_request import StopRequest

_UNIT = "service"
_BREAKABLE_UNIT = "breakable-service"
_OWNER = "serve "
_START_TIME = dt.timedelta(minutes=1)
"""A key is made a moment before the run is held."""


@click.command()
@click.argument("model", metavar="MODEL")
@click.option("--port", type=click.IntRange(1, 65535), help="Port of the gateway; any free one without it.")
@click.option("--no-key", is_flag=True, help="Answer requests without a key; only this machine can reach the gateway.")
@click.option("--with-faults", is_flag=True, help="With the ladder and a fault proxy, for `practicum chaos`.")
@click.option("--set", "overrides", multiple=True, metavar="STEP.KEY=VALUE", help="An option of a step; repeatable.")
@experiments_option
@click.option("--json", "as_json", is_flag=True, help="Print address and key as one line of JSON.")
def serve(
    *,
    model: str,
    port: int | None,
    no_key: bool,
    with_faults: bool,
    overrides: tuple[str, ...],
    experiments: Path,
    as_json: bool,
) -> int:
    """Serve MODEL with vLLM behind the gateway, on this machine, until Ctrl-C.

    MODEL is a URI (builtin:NAME, hf://OWNER/NAME, a folder) or a reference such as latest:sft. When the model has given
    its first answer, the address of the gateway, a key and an example are printed. The key is valid until the end;
    `practicum key make` makes others.
    """
    secret, key = make_key(_OWNER, KeyLimits(), _now())
    unit = _BREAKABLE_UNIT if with_faults else _UNIT
    weekjob = _build_weekjob(unit, model, overrides, "" if no_key else key.id)
    step = _get_outer_step(unit)
    if port is not None:
        require_free_port(port)
    path = start_run(experiments, weekjob)
    if port is not None:
        note_port(path, step, port)
    keys = experiments.absolute() / KEY_FILE
    key = key.model_copy(update={"owner": f"{_OWNER}{path.name}"})
    if not no_key:
        change_key_file(keys, lambda file: _revoke_leftovers(file, path.parent).add(key))
    try:
        announcement = Announcement(build_listener(), step, "" if no_key else secret, as_json=as_json)
        outcome = execute_run(path, weekjob, announcement, StopRequest(), experiments.absolute())
    finally:
        if not no_key:
            change_key_file(keys, lambda file: file.revoke_if_valid(key.id, _now()))
    if outcome.status.phase is Phase.FAILED:
        return tell_fault(outcome)
    tell(f"stopped; records and logs: {outcome.path}", err=True)
    return EXIT_OK


def _revoke_leftovers(file: KeyFile, runs: Path) -> KeyFile:
    """Revoke the keys of services that were killed with all of their processes."""
    newest = (dt.datetime.now(dt.UTC) - _START_TIME).isoformat(timespec="seconds")
    for key in file.keys:
        run = RunLayout(runs / key.owner.removeprefix(_OWNER))
        is_session = key.owner.startswith(_OWNER) and key.revoked_at is None and key.created_at < newest
        if is_session and not is_run_held(run):
            file = file.revoke(key.id, _now())
    return file


def _build_weekjob(unit: str, model: str, overrides: tuple[str, ...], key_id: str) -> WeekJob:
    step = _get_outer_step(unit)
    extra = {f"{step}.session_key": key_id} if key_id else {f"{step}.require_key": False}
    [weekjob] = build_weekjobs((unit,), RunRequest(overrides=overrides, model=model, extra_set=extra))
    return weekjob.model_copy(update={"spec": weekjob.spec.model_copy(update={"serving": Serving(keep=True)})})


def _get_outer_step(unit: str) -> str:
    """Return the step that clients ask, the last of the unit."""
    return TOOLS[unit].steps[-1].name


def _now() -> str:
    return dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
