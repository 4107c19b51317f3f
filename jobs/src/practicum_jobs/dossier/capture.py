"""The beginning of a dossier: what is taken over from a planted bug or from a failed run."""

from __future__ import annotations

import platform
import shutil
from importlib import metadata
from pathlib import Path

from practicum_core.atomic import write_json_atomic
from practicum_core.content_hash import hash_path
from practicum_core.dossier_files import DOSSIER_NAME, Dossier, Event, Symptom, write_dossier
from practicum_core.errors import ConfigError
from practicum_core.layout import RunLayout
from practicum_core.stage_process import hash_stage_sources
from practicum_jobs.context import utc_now
from practicum_jobs.dossier import texts
from practicum_jobs.dossier.exercises import FOLDER, SCHEME, read_exercise
from practicum_jobs.dossier.material import ROWS
from practicum_jobs.dossier.stacks import name_places
from practicum_jobs.dossier.stage_scene import copy_failed_run, read_stage_symptom, write_repro
from practicum_jobs.dossier.steps import CAPTURED, GOOD, REPRO, STACKS, Workbench, capture_symptom


def refuse_existing(folder: Path) -> None:
    """Refuse to begin a dossier where one lies.

    Raises:
        ConfigError: One lies there.
    """
    if (folder / DOSSIER_NAME).exists():
        raise ConfigError(f"{folder}: a dossier lies here already", "choose another name")


def begin_exercise(bench: Workbench, name: str) -> Dossier:
    """Begin the dossier of a planted bug: copy what fails and what is known to be good, and execute it once.

    Raises:
        ConfigError: There is no such exercise, a dossier lies there already, or it did not fail.
    """
    exercise = read_exercise(name)
    refuse_existing(bench.folder)
    for part in (REPRO, GOOD):
        if (FOLDER / name / part).is_dir():
            shutil.copytree(FOLDER / name / part, bench.folder / part)
    symptom = capture_symptom(bench, exercise.repro)
    dossier = Dossier(
        name=bench.folder.name,
        title_en=exercise.title.en,
        title_zh=exercise.title.zh,
        source=f"{SCHEME}{name}",
        created_at=utc_now(),
        symptom=symptom,
        repro=exercise.repro,
    )
    return finish_capture(bench, dossier)


def begin_run(bench: Workbench, run: Path, step: str, good: Path | None, timeout_s: float) -> Dossier:
    """Begin the dossier of a failed run: copy its error, options, environment, locks, log and rows.

    Args:
        bench: Where the dossier is made.
        run: Directory of the failed run.
        step: The step that failed.
        good: Directory of a run whose step of that name ended well, for the search over options.
        timeout_s: After that an execution counts as hung.

    Raises:
        ConfigError: A dossier lies there already, or the step did not fail.
    """
    refuse_existing(bench.folder)
    layout = RunLayout(run)
    if layout.stage(step).record.exists():
        raise ConfigError(f"{run}: step {step} ended well", "name the step that failed with --step")
    repro = write_repro(layout, step, bench.folder / REPRO, timeout_s)
    copy_failed_run(layout, step, bench.folder / CAPTURED)
    if good is not None:
        write_repro(RunLayout(good), step, bench.folder / GOOD, timeout_s)
        (bench.folder / GOOD / ROWS).unlink(missing_ok=True)
    log = bench.folder / CAPTURED / layout.stage(step).log.name
    text = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
    symptom = read_stage_symptom(layout, step, text) or capture_symptom(bench, repro)
    dossier = Dossier(
        name=bench.folder.name,
        title_en=f"{run.parent.name}: {step} failed ({symptom.reason})",
        title_zh=f"{run.parent.name}：{step} 失败（{symptom.reason}）",
        source=f"{run.parent.name}/{run.name}",
        created_at=utc_now(),
        symptom=symptom,
        repro=repro,
    )
    return finish_capture(bench, dossier)


def finish_capture(bench: Workbench, dossier: Dossier) -> Dossier:
    """Note the environment, list what was captured, and write the dossier."""
    write_json_atomic(bench.folder / CAPTURED / "packages.json", describe_environment())
    captured = sorted(path.name for path in (bench.folder / CAPTURED).iterdir())
    lines = [texts.CAPTURED.format(source=dossier.source)]
    stacks = bench.folder / CAPTURED / STACKS
    if stacks.exists():
        places = "; ".join(name_places(stacks.read_text(encoding="utf-8")))
        lines.append(texts.HUNG.format(seconds=f"{dossier.repro.timeout_s:g}", places=places))
    events = [Event(at=utc_now(), en=line.en, zh=line.zh) for line in lines]
    dossier = dossier.model_copy(
        update={"captured": captured, "events": events, "repro_sha256": hash_path(bench.folder / REPRO)}
    )
    write_dossier(bench.folder, dossier)
    return dossier


def describe_environment() -> dict[str, object]:
    """Describe the environment that the failure was executed in: Python, system, packages, the platform's code."""
    packages = {one.name: one.version for one in metadata.distributions() if one.name}
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "source_sha256": hash_stage_sources(),
        "packages": dict(sorted(packages.items())),
    }


def describe_symptom(symptom: Symptom) -> str:
    """Return a symptom in one line."""
    return f"{symptom.reason}: {symptom.text}"
