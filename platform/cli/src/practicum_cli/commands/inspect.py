"""``practicum status``, ``logs`` and ``evidence``: look at runs without touching them."""

from __future__ import annotations

import json
import sys
import time
import webbrowser
from collections.abc import Iterator
from pathlib import Path

import click

from practicum_cli.commands.options import experiments_option
from practicum_cli.executor import is_run_held
from practicum_cli.runs import Run, find_run, iter_run_dirs, read_checked_run, read_run
from practicum_cli.tables import format_table
from practicum_core.errors import ConfigError, DataError, PracticumError, Reason, suggest_similar
from practicum_core.layout import RunLayout
from practicum_core.phases import Phase

_FOLLOW_S = 0.3
_CHUNK_BYTES = 1 << 16


@click.command()
@click.argument("run", required=False)
@experiments_option
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def status(*, run: str | None, experiments: Path, as_json: bool) -> None:
    """List the runs, or show where one RUN stands.

    RUN is a path, a run id, the beginning of one, `latest` or `latest:UNIT`.
    """
    if run is None:
        _list_runs(experiments, as_json=as_json)
        return
    found = read_checked_run(find_run(run, experiments))
    if as_json:
        click.echo(json.dumps(found.status.model_dump(mode="json", by_alias=True, exclude_none=True)))
        return
    click.echo(f"{found.name}: {', '.join(filter(None, (describe_phase(found), found.status.message)))}")
    rows = [
        [
            stage.name,
            stage.phase,
            "" if stage.progress is None else f"{stage.progress:.0%}",
            "" if stage.duration_seconds is None else f"{stage.duration_seconds:.1f}",
            stage.message,
        ]
        for stage in found.status.stages
    ]
    click.echo(format_table(["STEP", "PHASE", "DONE", "SECONDS", "MESSAGE"], rows))
    for gate in found.status.gates:
        shown = "nothing" if gate.value is None else f"{gate.value:.4g}"
        click.echo(f"gate {'passed' if gate.passed else 'FAILED'}: {gate.name} ({shown}, {gate.threshold:.4g})")


def describe_phase(run: Run) -> str:
    """Return the phase in a word; a run whose executor is gone is interrupted, whatever its status says."""
    phase = run.status.phase
    if phase.is_terminal or phase is Phase.SUSPENDED or is_run_held(run.layout):
        return phase
    return f"interrupted (was {phase}); go on with: practicum run --resume {run.id}"


def _list_runs(root: Path, *, as_json: bool) -> None:
    entries = []
    for path in iter_run_dirs(root):
        try:
            run = read_checked_run(path)
            passed = sum(gate.passed for gate in run.status.gates)
            gates = f"{passed}/{len(run.status.gates)}" if run.status.gates else ""
            entries.append([run.weekjob.spec.unit, run.id, describe_phase(run), gates, run.status.message])
        except DataError as error:
            entries.append([path.parent.name, path.name, Reason.RUN_INCOMPLETE, "", error.detail])
    header = ["UNIT", "RUN", "PHASE", "GATES", "MESSAGE"]
    if as_json:
        click.echo(json.dumps([dict(zip(map(str.lower, header), entry, strict=True)) for entry in entries]))
    elif entries:
        click.echo(format_table(header, entries))
    else:
        click.echo(f"no runs under {root}; start one with: practicum run week-01")


@click.command()
@click.argument("run")
@click.argument("step", required=False)
@experiments_option
@click.option("--follow", "-f", is_flag=True, help="Go on printing until the run ends.")
def logs(*, run: str, step: str | None, experiments: Path, follow: bool) -> None:
    """Print what the steps of RUN printed, or one STEP of it."""
    found = read_run(find_run(run, experiments))
    names = [stage.name for stage in found.status.stages] or _list_steps(found.layout)
    if step is not None and step not in names:
        raise ConfigError(f"no step '{step}'{suggest_similar(step, names)}", f"steps: {', '.join(names)}")
    chosen = [step] if step else names
    paths = {name: found.layout.stage(name).log for name in chosen}
    for name, line in _iter_lines(found.layout, paths, follow=follow):
        click.echo(line if step else f"{name}: {line}")


def _list_steps(layout: RunLayout) -> list[str]:
    return sorted(path.name for path in layout.stages.iterdir()) if layout.stages.is_dir() else []


def _iter_lines(layout: RunLayout, paths: dict[str, Path], *, follow: bool) -> Iterator[tuple[str, str]]:
    offsets = dict.fromkeys(paths, 0)
    while True:
        is_live = follow and is_run_held(layout)
        for name, path in paths.items():
            while text := _read_from(path, offsets[name], is_last=not is_live):
                offsets[name] += len(text)
                yield from ((name, line) for line in text.decode(errors="replace").splitlines())
        if not is_live:
            return
        time.sleep(_FOLLOW_S)


def _read_from(path: Path, offset: int, *, is_last: bool) -> bytes:
    """Read whole lines from ``offset``; the unfinished last one only where nobody writes any more."""
    try:
        with path.open("rb") as handle:
            handle.seek(offset)
            text = handle.read(_CHUNK_BYTES)
    except FileNotFoundError:
        return b""
    is_one_long_line = b"\n" not in text and len(text) == _CHUNK_BYTES
    if is_one_long_line or (is_last and len(text) < _CHUNK_BYTES):
        return text
    return text[: text.rfind(b"\n") + 1]


@click.command()
@click.argument("run", default="latest")
@experiments_option
@click.option("--open", "is_opened", is_flag=True, help="Open it in a browser.")
@click.option("--path", "is_path", is_flag=True, help="Print its path alone.")
def evidence(*, run: str, experiments: Path, is_opened: bool, is_path: bool) -> None:
    """Say what RUN proved and where its evidence pack lies."""
    found = read_checked_run(find_run(run, experiments))
    pack = found.layout.evidence_html
    if not pack.exists():
        is_finished = found.status.phase is Phase.SUCCEEDED
        raise DataError(
            f"{pack}: no evidence pack; the run is {describe_phase(found)}",
            f"its unit makes none: look in {found.layout.stages}"
            if is_finished
            else f"finish it first: practicum run --resume {found.id}",
            Reason.RUN_INCOMPLETE,
        )
    if is_path:
        click.echo(pack)
        return
    for gate in found.status.gates:
        click.echo(f"gate {'passed' if gate.passed else 'FAILED'}: {gate.name}")
    click.echo(f"evidence pack: {pack}")
    if is_opened and not _open(pack):
        click.echo("warning: no browser here; copy the file or serve its folder", err=True)


def _open(path: Path) -> bool:
    try:
        return sys.platform != "emscripten" and webbrowser.open(path.as_uri())
    except (webbrowser.Error, OSError, PracticumError):
        return False
