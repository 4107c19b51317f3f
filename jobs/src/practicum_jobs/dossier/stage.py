"""The stage itself: dossiers of planted bugs from beginning to end, or one action on the dossier in a folder."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from practicum_core.dossier_files import PAGE_NAME, Axis, Closing, Dossier, State, Verdict, read_dossier
from practicum_core.errors import ConfigError
from practicum_core.metrics import Metric
from practicum_core.stages.base import Failure
from practicum_core.stages.dossier import DossierConfig, DossierRecord, DossierSample, DossierSummary
from practicum_jobs.context import StageContext
from practicum_jobs.dossier.capture import begin_exercise, begin_run, describe_symptom
from practicum_jobs.dossier.commits import History
from practicum_jobs.dossier.execution import CleanRoom
from practicum_jobs.dossier.exercises import FOLDER, SCHEME, Exercise, list_exercises, read_exercise
from practicum_jobs.dossier.page import write_page
from practicum_jobs.dossier.steps import FIX, REGRESSION, Workbench, bisect, close, execute, forget_outdated


def run(config: DossierConfig, ctx: StageContext) -> DossierRecord:
    """Work on dossiers as the configuration says.

    Raises:
        ConfigError: There is no such exercise, or nothing that an action needs.
        DataError: A file of a dossier is malformed.
    """
    if config.folder:
        dossiers = [(Path(config.folder), _work_on_folder(config, ctx))]
    else:
        dossiers = list(_work_on_exercises(config, ctx))
    samples = [_describe(dossier) for _, dossier in dossiers]
    ctx.write_samples(samples)
    summaries = [_summarize(ctx, folder, dossier) for folder, dossier in dossiers]
    return DossierRecord(
        **ctx.build_record_fields(),
        dossiers=summaries,
        metrics=_count([dossier for _, dossier in dossiers], samples, sum(one.num_executions for one in summaries)),
        failures=[
            Failure(kind="not_closed", where=dossier.name, text="; ".join(dossier.closing.problems))
            for _, dossier in dossiers
            if dossier.closing and dossier.closing.problems
        ],
        artifacts=[
            ctx.describe_artifact(folder, f"dossier {dossier.name}")
            for folder, dossier in dossiers
            if folder.is_relative_to(ctx.run.root)
        ],
    )


@contextmanager
def _open_bench(folder: Path, config: DossierConfig, ctx: StageContext) -> Iterator[Workbench]:
    place = Path(tempfile.mkdtemp(prefix="practicum-dossier-"))
    try:
        room = CleanRoom(place, lambda: ctx.is_stop_requested)
        yield Workbench(folder, room, config.repeats)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _work_on_exercises(config: DossierConfig, ctx: StageContext) -> Iterator[tuple[Path, Dossier]]:
    names = config.exercises or list_exercises()
    exercises = {name: read_exercise(name) for name in names}
    other = [name for name, one in exercises.items() if one.repro.environment != config.environment]
    if config.exercises and other:
        raise ConfigError(
            f"exercises of another environment than {config.environment}: {', '.join(other)}",
            "set dossier.environment",
        )
    chosen = {name: one for name, one in exercises.items() if name not in other}
    for number, (name, exercise) in enumerate(chosen.items()):
        ctx.progress(number / len(chosen), name)
        folder = ctx.layout.artifacts / name
        shutil.rmtree(folder, ignore_errors=True)  # of an earlier attempt
        folder.mkdir(parents=True)
        with _open_bench(folder, config, ctx) as bench:
            yield folder, _solve(bench, name, exercise)
    ctx.progress(1.0)


def _solve(bench: Workbench, name: str, exercise: Exercise) -> Dossier:
    """Take a planted bug from its symptom to a closed dossier, with the worked solution."""
    dossier = execute(bench, begin_exercise(bench, name))
    for axis in exercise.axes:
        dossier = bisect(bench, dossier, axis)
    if _is_answer(dossier, exercise):
        dossier = dossier.model_copy(update={"cause": exercise.cause.en, "cause_zh": exercise.cause.zh})
    for part in (FIX, REGRESSION):
        shutil.copytree(FOLDER / name / part, bench.folder / part)
    dossier = close(bench, dossier)
    write_page(bench.folder, dossier)
    return dossier


def _work_on_folder(config: DossierConfig, ctx: StageContext) -> Dossier:
    folder = Path(config.folder)
    with _open_bench(folder, config, ctx) as bench:
        dossier = _act(bench, config)
        write_page(folder, dossier)
    return dossier


def _act(bench: Workbench, config: DossierConfig) -> Dossier:
    if config.action == "new":
        return _begin(bench, config)
    dossier = forget_outdated(bench, read_dossier(bench.folder))
    _check_environment(dossier, config)
    match config.action:
        case "run":
            return execute(bench, dossier)
        case "bisect":
            return bisect(bench, dossier, config.axis, _get_history(config))
        case "close":
            return close(bench, dossier)
        case _:
            return _repeat_all(bench, dossier)


def _get_history(config: DossierConfig) -> History | None:
    if not config.repository:
        return None
    return History(Path(config.repository), config.good_commit, config.bad_commit)


def _begin(bench: Workbench, config: DossierConfig) -> Dossier:
    if config.source.startswith(SCHEME):
        return begin_exercise(bench, config.source.removeprefix(SCHEME))
    good = Path(config.good) if config.good else None
    return begin_run(bench, Path(config.source), config.step, good, config.timeout_s)


def _repeat_all(bench: Workbench, dossier: Dossier) -> Dossier:
    """Measure everything that a dossier claims anew."""
    # Commits are judged again by `bisect` alone: a dossier does not hold the repository.
    axes = [one.axis for one in dossier.searches if one.axis is not Axis.COMMITS]
    dossier = execute(bench, dossier.model_copy(update={"searches": [], "closing": None}))
    for axis in axes:
        dossier = bisect(bench, dossier, axis)
    return close(bench, dossier)


def _check_environment(dossier: Dossier, config: DossierConfig) -> None:
    if dossier.repro.environment != config.environment:
        raise ConfigError(
            f"the repro of {dossier.name} runs in the environment {dossier.repro.environment}",
            f"set dossier.environment={dossier.repro.environment}",
        )


def _get_exercise(dossier: Dossier) -> Exercise | None:
    name = dossier.source.removeprefix(SCHEME)
    return read_exercise(name) if dossier.source.startswith(SCHEME) and name in list_exercises() else None


def _is_answer(dossier: Dossier, exercise: Exercise) -> bool:
    """Whether the searches named the known culprits on each axis, and none on an axis that has none."""
    expected = {axis: sorted(exercise.answer.get(axis, [])) for axis in (one.axis for one in dossier.searches)}
    found = {one.axis: sorted(dossier.culprits.get(one.axis, [])) for one in dossier.searches}
    return bool(found) and found == expected and set(exercise.answer) <= set(found)


def _describe(dossier: Dossier) -> DossierSample:
    exercise = _get_exercise(dossier)
    named = "; ".join(f"{axis}: {', '.join(names)}" for axis, names in dossier.culprits.items())
    known = "; ".join(f"{axis}: {', '.join(names)}" for axis, names in exercise.answer.items()) if exercise else ""
    return DossierSample(
        id=dossier.name,
        prompt=describe_symptom(dossier.symptom),
        expected=f"{exercise.cause.en} ({known})" if exercise else "",
        found=named or "(nothing)",
        is_right=_is_answer(dossier, exercise) if exercise else bool(dossier.culprits),
        state=dossier.state,
        reading=", ".join(exercise.read) if exercise else "",
    )


def _summarize(ctx: StageContext, folder: Path, dossier: Dossier) -> DossierSummary:
    page = folder / PAGE_NAME
    is_inside = page.is_relative_to(ctx.run.root)
    return DossierSummary(
        name=dossier.name,
        source=dossier.source,
        state=dossier.state,
        symptom=describe_symptom(dossier.symptom),
        culprits=dossier.culprits,
        page=str(page.relative_to(ctx.run.root) if is_inside else page),
        num_executions=sum(one.num_trials for one in dossier.searches),
    )


def _count(dossiers: list[Dossier], samples: list[DossierSample], num_executions: int) -> list[Metric]:
    closings = [dossier.closing for dossier in dossiers]
    counts = {
        "num_dossiers": len(dossiers),
        "num_closed": sum(dossier.state is State.CLOSED for dossier in dossiers),
        "num_executions": num_executions,
        "not_reproduced": sum(
            one.reproduction is None or one.reproduction.verdict is not Verdict.REPRODUCED for one in dossiers
        ),
        "causes_missed": sum(not sample.is_right for sample in samples),
        "not_red_before": sum(
            one is None or one.before is None or not one.before.failed or not one.before.is_stable for one in closings
        ),
        "not_green_after": sum(not _is_green(one) for one in closings),
    }
    return [Metric(name=name, value=value) for name, value in counts.items()]


def _is_green(closing: Closing | None) -> bool:
    if closing is None or closing.after is None or closing.with_fix is None:
        return False
    after, with_fix = closing.after, closing.with_fix
    is_passed = bool(after.passed) and after.is_stable and not (after.failed or after.broken)
    return is_passed and with_fix.verdict is Verdict.NOT_REPRODUCED and not with_fix.seen
