"""``practicum status``, ``logs`` and ``evidence``: look at runs without touching them."""

from __future__ import annotations

import os
import sys
import time
import webbrowser
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from practicum_cli.cluster_runs import ClusterRun, Place, build_standing, find_cluster_run, sort_by_age
from practicum_cli.commands.options import cluster_options, experiments_option
from practicum_cli.run_lock import is_run_held
from practicum_cli.runs import Run, find_run, read_checked_run, read_run
from practicum_cli.service_figures import describe_figures, list_figures, measure_services
from practicum_cli.standing import (
    HEADER,
    LANGUAGES,
    Language,
    Standing,
    choose_language,
    describe_gate,
    describe_standing,
    get_header,
)
from practicum_cli.streams import tell_json
from practicum_cli.tables import format_table
from practicum_core.curriculum import get_unit
from practicum_core.errors import ConfigError, DataError, PracticumError, Reason, suggest_similar
from practicum_core.gates import GateResult
from practicum_core.layout import RunLayout
from practicum_core.phases import Phase
from practicum_core.run_folders import iter_run_dirs
from practicum_core.state_texts import PHASE_NAMES
from practicum_core.texts import Bilingual

if TYPE_CHECKING:
    from practicum_cli.api_server import ApiServer

_INTERRUPTED = Bilingual(
    "interrupted (was {phase}); continue with: practicum run --resume {run}",
    "已中断（原为{phase}）；继续运行：practicum run --resume {run}",
)
_FOLLOW_S = 0.3
_FIGURES_S = 2.0
_CHUNK_BYTES = 1 << 16


@click.command()
@click.argument("run", required=False)
@experiments_option
@click.option("--figures", "has_figures", is_flag=True, help="Measure the service that RUN serves, for two seconds.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@click.option("--lang", type=click.Choice(LANGUAGES), help="Language; that of the locale without it.")
@cluster_options
def status(
    *,
    run: str | None,
    experiments: Path,
    has_figures: bool,
    as_json: bool,
    lang: Language | None,
    place: Place | None,
) -> None:
    """List the runs, or show where one RUN stands.

    RUN is a path, a run id, the beginning of one, `latest` or `latest:UNIT`; on a cluster the name of a week job.
    """
    if has_figures and (run is None or place is not None):
        raise ConfigError(
            "--figures needs a RUN on this machine", "name one, such as latest; on a cluster, look at the dashboards"
        )
    language = lang or choose_language(os.environ)
    if run is None:
        _list_runs(experiments, place, None if as_json else language)
        return
    standing = _find_standing(run, experiments, place)
    measured = measure_services(standing.status, _FIGURES_S) if has_figures else {}
    if as_json:
        document = standing.status.model_dump(mode="json", by_alias=True, exclude_none=True)
        tell_json(document | ({"figures": list_figures(measured)} if has_figures else {}))
    else:
        click.echo(describe_standing(standing, language))
        for step, figures in measured.items():
            click.echo(describe_figures(step, figures, language))


def _find_standing(reference: str, root: Path, place: Place | None) -> Standing:
    if place is None:
        return _build_standing(read_checked_run(find_run(reference, root)))
    return build_standing(_find_on_cluster(reference, place)[1])


def _find_on_cluster(reference: str, place: Place) -> tuple[ApiServer, ClusterRun]:
    server = _connect(place)
    return server, find_cluster_run(reference, server.list_runs(), server.namespace)


def _connect(place: Place) -> ApiServer:
    from practicum_cli.api_server import connect  # noqa: PLC0415 - its client takes half a second to load

    return click.get_current_context().with_resource(connect(place))


def _build_standing(run: Run) -> Standing:
    return Standing(run.weekjob.spec.unit, run.id, run.name, describe_phase(run), run.status)


def describe_phase(run: Run) -> Bilingual:
    """Return the phase in a word; a run whose executor is gone is interrupted, whatever its status says."""
    phase = run.status.phase
    if phase.is_terminal or phase is Phase.SUSPENDED or is_run_held(run.layout):
        return PHASE_NAMES[phase]
    return _INTERRUPTED.format(phase=PHASE_NAMES[phase], run=run.id)


def _list_runs(root: Path, place: Place | None, language: Language | None) -> None:
    """Print the table of runs; without a language, as JSON."""
    rows = list(_iter_rows(root, language or "en")) if place is None else _list_cluster_rows(place, language or "en")
    if language is None:
        tell_json([dict(zip(map(str.lower, HEADER), row, strict=True)) for row in rows])
    elif rows:
        click.echo(format_table(get_header(language), rows))
    elif place is None:
        click.echo(f"no runs under {root}; start one with: practicum run week-01")
    else:
        click.echo("no week jobs there; start one with: practicum submit FILE")


def _iter_rows(root: Path, language: Language) -> Iterator[Sequence[str]]:
    for path in iter_run_dirs(root):
        try:
            yield _build_standing(read_checked_run(path)).to_row(language)
        except DataError as error:
            yield path.parent.name, path.name, Reason.RUN_INCOMPLETE, "", error.detail


def _list_cluster_rows(place: Place, language: Language) -> list[Sequence[str]]:
    return [build_standing(run).to_row(language) for run in sort_by_age(_connect(place).list_runs())]


@click.command()
@click.argument("run")
@click.argument("step", required=False)
@experiments_option
@click.option("--follow", "-f", is_flag=True, help="Go on printing until the run ends.")
@cluster_options
def logs(*, run: str, step: str | None, experiments: Path, follow: bool, place: Place | None) -> None:
    """Print what the steps of RUN printed, or one STEP of it."""
    lines = (
        _open_logs(run, step, experiments, follow=follow)
        if place is None
        else _open_pods(run, step, place, follow=follow)
    )
    for name, line in lines:
        click.echo(line if step else f"{name}: {line}")


def _open_logs(reference: str, step: str | None, root: Path, *, follow: bool) -> Iterator[tuple[str, str]]:
    found = read_run(find_run(reference, root))
    names = _choose_steps(step, [stage.name for stage in found.status.stages] or _list_steps(found.layout))
    return _iter_lines(found.layout, {name: found.layout.stage(name).log for name in names}, follow=follow)


def _open_pods(reference: str, step: str | None, place: Place, *, follow: bool) -> Iterator[tuple[str, str]]:
    from practicum_cli.cluster_logs import describe_missing, iter_lines  # noqa: PLC0415 - as above

    server, found = _find_on_cluster(reference, place)
    silent = _choose_steps(
        step, [one.name for one in get_unit(found.weekjob.spec.unit, found.weekjob.spec.variant).steps]
    )
    for name, line in iter_lines(server, found, tuple(silent), follow=follow, sleep=time.sleep):
        if name in silent:
            silent.remove(name)
        yield name, line
    latest = server.find(found.name, found.namespace) or found
    for name in silent:
        click.echo(describe_missing(latest, name), err=True)


def _choose_steps(step: str | None, names: list[str]) -> list[str]:
    """Return the steps whose logs are wanted: the one that was named, else all.

    Raises:
        ConfigError: The run has no step of this name.
    """
    if step is not None and step not in names:
        raise ConfigError(f"no step '{step}'{suggest_similar(step, names)}", f"steps: {', '.join(names)}")
    return names if step is None else [step]


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
@cluster_options
def evidence(*, run: str, experiments: Path, is_opened: bool, is_path: bool, place: Place | None) -> None:
    """Say what RUN proved and where its evidence pack lies; on a cluster, fetch it first."""
    pack, gates = _find_pack(run, experiments) if place is None else _fetch_pack(run, experiments, place)
    if is_path:
        click.echo(pack)
        return
    for gate in gates:
        click.echo(describe_gate(gate))
    click.echo(f"evidence pack: {pack}")
    if is_opened and not _open(pack):
        click.echo("warning: no browser here; copy the file or serve its folder", err=True)


def _find_pack(reference: str, root: Path) -> tuple[Path, list[GateResult]]:
    found = read_checked_run(find_run(reference, root))
    pack = found.layout.evidence_html
    if not pack.exists():
        is_finished = found.status.phase is Phase.SUCCEEDED
        raise DataError(
            f"{pack}: no evidence pack; the run is {describe_phase(found).en}",
            f"its unit makes none: look in {found.layout.stages}"
            if is_finished
            else f"finish it first: practicum run --resume {found.id}",
            Reason.RUN_INCOMPLETE,
        )
    return pack, found.status.gates


def _fetch_pack(reference: str, root: Path, place: Place) -> tuple[Path, list[GateResult]]:
    from practicum_cli.cluster_session import fetch_evidence  # noqa: PLC0415 - as above

    server, found = _find_on_cluster(reference, place)
    pack = fetch_evidence(server, found, root)
    if pack is None:
        raise DataError(
            f"{found.title}: no evidence pack; the week job is {found.status.phase}",
            f"read it on the volume `workspace`: {found.workspace}/evidence/index.html"
            if found.status.phase is Phase.SUCCEEDED
            else f"wait until it ends: practicum status {found.name} {place.describe(found.namespace)}",
            Reason.RUN_INCOMPLETE,
        )
    return pack, found.status.gates


def _open(path: Path) -> bool:
    try:
        return sys.platform != "emscripten" and webbrowser.open(path.as_uri())
    except (webbrowser.Error, OSError, PracticumError):
        return False
