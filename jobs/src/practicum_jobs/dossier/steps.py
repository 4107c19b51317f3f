"""The four steps of a dossier: capture, execution, search, closing. Each returns the dossier with what it measured."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from practicum_core.atomic import append_json_line
from practicum_core.content_hash import hash_path
from practicum_core.dossier_files import (
    Axis,
    Closing,
    Dossier,
    Event,
    Repro,
    Search,
    SearchVerdict,
    Symptom,
    Verdict,
    write_dossier,
)
from practicum_core.errors import ConfigError
from practicum_core.texts import Bilingual
from practicum_jobs.context import utc_now
from practicum_jobs.dossier import texts
from practicum_jobs.dossier.commits import CommitSearch, History
from practicum_jobs.dossier.execution import CleanRoom, Trial, execute_repro, judge
from practicum_jobs.dossier.material import CONFIG, Material, read_material
from practicum_jobs.dossier.regression import check_material, list_problems
from practicum_jobs.dossier.repetition import repeat
from practicum_jobs.dossier.search import (
    Investigation,
    Space,
    build_config_space,
    build_edit_space,
    build_package_space,
    build_row_space,
)
from practicum_jobs.dossier.stacks import find_stacks

REPRO, GOOD, MINIMAL, FIX, REGRESSION, BISECT, CAPTURED = (
    "repro",
    "good",
    "minimal",
    "fix",
    "regression",
    "bisect",
    "captured",
)
"""Folders of a dossier."""
STACKS = "stacks.txt"
"""File among what was captured: where the threads of a repro that did not end stood."""


@dataclass(frozen=True)
class Workbench:
    """Where a dossier lies, where its cases are executed, and how often."""

    folder: Path
    room: CleanRoom
    repeats: int

    def execute(self, dossier: Dossier, material: Material) -> Trial:
        """Execute a material once and hold it against the dossier's symptom."""
        return judge(self.room, dossier.repro, material, dossier.symptom)

    def read_repro(self) -> Material:
        """Read the material that failed."""
        return read_material(self.folder / REPRO)


def capture_symptom(bench: Workbench, repro: Repro) -> Symptom:
    """Execute a repro for the first time and return how it fails; its output is kept, and its stacks if it hung.

    Raises:
        ConfigError: It ends well, so there is nothing to make a dossier of.
    """
    symptom, ending = execute_repro(bench.room, repro, bench.read_repro())
    if symptom is None:
        raise ConfigError(f"{bench.folder / REPRO}: it ended well", "there is no failure to make a dossier of")
    kept = bench.folder / CAPTURED
    kept.mkdir(exist_ok=True)
    (kept / "log.txt").write_text(ending.stdout + ending.stderr, encoding="utf-8")
    if ending.status is None and (stacks := find_stacks(ending.stderr)):
        (kept / STACKS).write_text(stacks, encoding="utf-8")
    return symptom


def execute(bench: Workbench, dossier: Dossier) -> Dossier:
    """Execute the repro several times; then, where culprits are known, a minimal one with nothing but them."""
    material = bench.read_repro()
    seen = repeat(lambda: bench.execute(dossier, material), bench.repeats)
    runs = texts.RUNS.format(bad=seen.num_bad, runs=seen.num_runs)
    dossier = dossier.model_copy(update={"reproduction": seen, "minimal": None})
    dossier = add_event(dossier, texts.EXECUTED.format(verdict=texts.VERDICTS[seen.verdict], runs=runs))
    if seen.verdict is Verdict.REPRODUCED and dossier.culprits:
        dossier = _minimize(bench, dossier, material)
    write_dossier(bench.folder, dossier)
    return dossier


def _minimize(bench: Workbench, dossier: Dossier, material: Material) -> Dossier:
    """Reduce rows and options to the culprits, and keep the result where it fails in the same way."""
    reduced = material
    culprits = dossier.culprits
    if Axis.ROWS in culprits:
        reduced = reduced.with_rows(culprits[Axis.ROWS])
    if Axis.CONFIG in culprits:
        reduced = reduced.with_options(read_good(bench), culprits[Axis.CONFIG])
    if Axis.EDITS in culprits:
        reduced = reduced.with_edits(culprits[Axis.EDITS])
    if Axis.PACKAGES in culprits:
        reduced = build_package_space(reduced, read_material(bench.folder / GOOD).pins).choose(culprits[Axis.PACKAGES])
    seen = repeat(lambda: bench.execute(dossier, reduced), bench.repeats)
    shutil.rmtree(bench.folder / MINIMAL, ignore_errors=True)
    if seen.verdict is Verdict.REPRODUCED:
        reduced.write_material(bench.folder / MINIMAL)
    named = "; ".join(f"{axis}: {', '.join(names)}" for axis, names in culprits.items())
    runs = texts.RUNS.format(bad=seen.num_bad, runs=seen.num_runs)
    line = texts.MINIMAL.format(culprits=named, verdict=texts.VERDICTS[seen.verdict], runs=runs)
    return add_event(dossier.model_copy(update={"minimal": seen}), line)


def bisect(bench: Workbench, dossier: Dossier, axis: Axis, history: History | None = None) -> Dossier:
    """Search for the cause along one axis, and log every execution in ``bisect/AXIS.jsonl``.

    Args:
        bench: Where the dossier lies.
        dossier: The dossier.
        axis: Where to search.
        history: Repository and commits, for a search over commits.

    Raises:
        ConfigError: The dossier lacks what the search along this axis needs.
    """
    log = bench.folder / BISECT / f"{axis}.jsonl"
    log.unlink(missing_ok=True)

    def note(chosen: Sequence[str], trial: Trial) -> None:
        seen = f"{trial.seen.reason}: {trial.seen.text}" if trial.seen else ""
        line = {"at": utc_now(), "chosen": list(chosen), "outcome": trial.outcome, "seen": seen}
        append_json_line(log, line | {"duration_s": trial.duration_s})

    def run_once(material: Material) -> Trial:
        return bench.execute(dossier, material)

    if axis is Axis.COMMITS:
        if history is None:
            raise ConfigError(
                "a search over commits needs a repository", "give --repository, --good-commit, --bad-commit"
            )
        search = CommitSearch(history, bench.read_repro(), run_once, note, bench.repeats).run()
    else:
        search = Investigation(_build_space(bench, axis), run_once, note, bench.repeats).run()
    return add_search(bench, dossier, search)


def add_search(bench: Workbench, dossier: Dossier, search: Search) -> Dossier:
    """Keep a search in the dossier, in place of the last one along its axis."""
    others = [one for one in dossier.searches if one.axis is not search.axis]
    named: Bilingual | str = ", ".join(search.culprits) or texts.NOTHING_NAMED
    if search.detail:
        named = Bilingual("{named} ({detail})", "{named}（{detail}）").format(named=named, detail=search.detail)
    line = texts.SEARCHED.format(
        axis=search.axis, verdict=texts.SEARCH_VERDICTS[search.verdict], trials=search.num_trials, culprits=named
    )
    dossier = add_event(dossier.model_copy(update={"searches": [*others, search]}), line)
    if search.verdict is SearchVerdict.FOUND and dossier.reproduction and _is_reproduced(dossier):
        dossier = _minimize(bench, dossier, bench.read_repro())
    write_dossier(bench.folder, dossier)
    return dossier


def _is_reproduced(dossier: Dossier) -> bool:
    return dossier.reproduction is not None and dossier.reproduction.verdict is Verdict.REPRODUCED


def _build_space(bench: Workbench, axis: Axis) -> Space:
    material = bench.read_repro()
    if axis is Axis.ROWS:
        return build_row_space(material)
    if axis is Axis.CONFIG:
        return build_config_space(material, read_good(bench))
    if axis is Axis.EDITS:
        return build_edit_space(material)
    if axis is Axis.PACKAGES:
        return build_package_space(material, read_material(bench.folder / GOOD).pins)
    raise ConfigError(f"a search over {axis} is not in this version", "axes: rows, config, edits, commits, packages")


def read_good(bench: Workbench) -> Mapping[str, Any]:
    """Read the configuration that is known to be good.

    Raises:
        ConfigError: The dossier has none.
    """
    folder = bench.folder / GOOD
    if not (folder / CONFIG).exists():
        raise ConfigError(
            f"{folder / CONFIG}: no configuration that is known to be good",
            "write one, or make the dossier with --good RUN",
        )
    return read_material(folder).config


def close(bench: Workbench, dossier: Dossier) -> Dossier:
    """Run the regression test without and with the fix, and the repro with it; close only if nothing is against it."""
    without, fixed = bench.read_repro(), read_material(bench.folder / REPRO, bench.folder / FIX)
    tests, timeout_s = bench.folder / REGRESSION, dossier.repro.timeout_s
    before = check_material(bench.room, without, tests, timeout_s, bench.repeats)
    has_fix = fixed != without
    closing = Closing(
        before=before,
        after=check_material(bench.room, fixed, tests, timeout_s, bench.repeats) if has_fix else None,
        with_fix=repeat(lambda: bench.execute(dossier, fixed), bench.repeats) if has_fix else None,
        material_sha256=hash_material(bench.folder),
    )
    problems = list_problems(dossier, closing, has_fix=lambda: has_fix)
    told = {"problems": [one.en for one in problems], "problems_zh": [one.zh for one in problems]}
    closing = closing.model_copy(update=told)
    line = texts.REFUSED.format(problems=closing.describe_problems()) if problems else texts.CLOSED
    dossier = add_event(dossier.model_copy(update={"closing": closing}), line)
    write_dossier(bench.folder, dossier)
    return dossier


def hash_material(folder: Path) -> str:
    """Return the SHA-256 over the repro, the fix and the regression test."""
    parts = [folder / name for name in (REPRO, FIX, REGRESSION)]
    return " ".join(hash_path(part)[:16] for part in parts if part.is_dir())


def forget_outdated(bench: Workbench, dossier: Dossier) -> Dossier:
    """Drop what was measured on material that was changed since, so that no dossier says more than was measured."""
    present = hash_path(bench.folder / REPRO)
    if present != dossier.repro_sha256:
        gone: dict[str, Any] = {
            "repro_sha256": present,
            "reproduction": None,
            "minimal": None,
            "searches": [],
            "closing": None,
        }
        return add_event(dossier.model_copy(update=gone), texts.REPRO_CHANGED)
    if dossier.closing and dossier.closing.material_sha256 != hash_material(bench.folder):
        return add_event(dossier.model_copy(update={"closing": None}), texts.FIX_CHANGED)
    return dossier


def add_event(dossier: Dossier, line: Bilingual) -> Dossier:
    """Add a line to the time line."""
    return dossier.model_copy(update={"events": [*dossier.events, Event(at=utc_now(), en=line.en, zh=line.zh)]})
