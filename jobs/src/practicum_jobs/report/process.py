"""The sections "What was run" (steps with times and options) and "Training curves"."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from practicum_core.stages import STAGES
from practicum_core.stages.base import StageRecord
from practicum_core.stages.training import TrainingConfig, TrainingRecord
from practicum_core.texts import Bilingual, Text
from practicum_jobs.render.blocks import (
    Block,
    Cell,
    Charts,
    Column,
    Disclosure,
    Fact,
    Facts,
    Heading,
    Notice,
    Section,
    Table,
)
from practicum_jobs.render.charts import Bar, Chart, Mark, Series, bar_chart, line_chart
from practicum_jobs.render.figures import format_bytes, format_digits, format_duration, format_time
from practicum_jobs.render.foreign_text import shorten
from practicum_jobs.report.messages import CURVES, READING, SECTIONS, STEPS
from practicum_jobs.report.reading import RunFiles, StepFiles
from practicum_jobs.report.repair import join_reasons
from practicum_jobs.report.repair_messages import REPAIR
from practicum_jobs.report.verdict import Pack

_LOSS_SERIES = ("loss", "eval_loss")
_UNDRAWN = frozenset({"time_s", "num_tokens"})


def count_starts(files: RunFiles) -> Counter[str]:
    """Count how often each step was started."""
    return Counter(str(event.get("step")) for event in files.events if event.get("event") == "step_started")


def build_steps_section(pack: Pack) -> Section:
    """Build the section with the steps in order, their times, options and files."""
    steps = pack.files.steps
    starts = count_starts(pack.files)
    recorded = [(step, step.record) for step in steps if step.record is not None]
    blocks: list[Block] = []
    if recorded:
        bars = [
            Bar(step.name, max(record.duration_s, 0), format_duration(record.duration_s)) for step, record in recorded
        ]
        blocks.append(Charts([(bar_chart("durations", STEPS["chart"], bars), None)]))
    columns = [
        Column(STEPS["step"], "name"),
        Column(STEPS["what"]),
        Column(STEPS["result"]),
        Column(STEPS["started"], "number"),
        Column(STEPS["duration"], "number"),
        Column(STEPS["attempts"], "number"),
    ]
    blocks.append(Table(STEPS["caption"], columns, [_build_step_row(step, starts[step.name]) for step in steps]))
    options = [_build_options(step) for step in steps if step.config]
    if options:
        blocks.append(Disclosure(STEPS["options"], options))
    artifacts = _build_artifacts([record for _, record in recorded])
    if artifacts:
        blocks.append(Disclosure(STEPS["artifacts"], [artifacts]))
    return Section("steps", SECTIONS["steps"], blocks, READING["steps"])


def _build_step_row(step: StepFiles, num_starts: int) -> list[Cell | Text]:
    what: Text = STAGES[step.stage].title if step.stage in STAGES else step.stage
    starts = str(num_starts) if num_starts else "–"
    if step.record is None:
        result = Cell(STEPS["failed"] if step.error else STEPS["missing"], tone="bad")
        return [step.name, what, result, "–", "–", starts]
    started, duration = format_time(step.record.started_at), format_duration(step.record.duration_s)
    return [step.name, what, Cell(STEPS["succeeded"], tone="good"), started, duration, starts]


def _build_options(step: StepFiles) -> Table:
    columns = [Column(STEPS["option"], "code"), Column(STEPS["option_value"], "code")]
    rows = [[str(key), _write_option(value)] for key, value in step.config.items()]
    return Table(STEPS["options_of"].format(step=step.name), columns, rows)


def _write_option(value: Any) -> str:  # noqa: ANN401 - any YAML value
    return shorten("–" if value is None else str(value), 200)


def _build_artifacts(records: Sequence[StageRecord]) -> Table | None:
    columns = [
        Column(STEPS["path"], "code"),
        Column(STEPS["size"], "number"),
        Column(STEPS["note"]),
        Column(Bilingual("SHA-256", "SHA-256"), "code"),
    ]
    rows = [
        [_link_page(artifact.path), format_bytes(artifact.size_bytes), artifact.note or "–", artifact.sha256]
        for record in records
        for artifact in record.artifacts
    ]
    return Table(STEPS["artifacts"], columns, rows) if rows else None


def _link_page(path: str) -> Cell | Text:
    """Link a page of the run, which lies beside the folder of the pack, from the run's own disk."""
    return Cell(path, "code", href=f"../{path}") if path.endswith(".html") else path


def build_curves_section(pack: Pack) -> Section | None:
    """Build the section with every recorded series; ``None`` if no step recorded one."""
    blocks: list[Block] = []
    drawn = [(step.name, found) for step in pack.files.steps if (found := _build_curves(step))]
    for name, found in drawn:
        blocks += [Heading(CURVES["of_step"].format(step=name)), *found] if len(drawn) > 1 else found
    return Section("curves", SECTIONS["curves"], blocks, READING["curves"]) if blocks else None


def _build_curves(step: StepFiles) -> list[Block]:
    series = {name: points for name, points in step.curves.series.items() if name not in _UNDRAWN}
    record = step.record if isinstance(step.record, TrainingRecord) else None
    marks = _build_marks(step, record)
    blocks: list[Block] = []
    charts = _build_loss_charts(step, series, marks)
    charts += [
        _build_series_chart(step.name, name, points, marks)
        for name, points in sorted(series.items())
        if name not in _LOSS_SERIES
    ]
    drawn = [entry for entry in charts if entry is not None]
    if not drawn and record is None:
        return []
    if record is not None and record.skipped:
        return [Notice(REPAIR["skipped"], "warn", join_reasons(record.skipped))]
    if record is not None:
        blocks.append(_build_training_facts(record))
        if record.diagnosis:
            blocks.append(Notice(CURVES["diagnosis"], "warn" if record.failures else "plain", record.diagnosis))
    if drawn:
        blocks.append(Charts(drawn))
    if record is not None and record.checkpoints:
        blocks.append(_build_checkpoints(record))
    return blocks


def _build_marks(step: StepFiles, record: TrainingRecord | None) -> list[Mark]:
    marks = [Mark(at, CURVES["restart"], "bad") for at in step.curves.restarts]
    if record is not None and record.best_step is not None:
        marks.append(Mark(record.best_step, CURVES["best"], "good"))
    return marks


def _build_loss_charts(
    step: StepFiles, series: Mapping[str, list[tuple[int, float]]], marks: list[Mark]
) -> list[tuple[Chart, Bilingual | None] | None]:
    named = [("loss", CURVES["training"], False), ("eval_loss", CURVES["validation"], True)]
    lines = [Series(label, series[name], has_dots) for name, label, has_dots in named if series.get(name)]
    if not lines:
        return []
    try:
        chart = line_chart(
            f"{step.name}-loss", CURVES["loss"], lines, x_label=CURVES["x"], y_label=_name_loss(step), marks=marks
        )
    except ValueError:  # no finite point: training diverged at its first step
        return []
    return [(chart, CURVES["loss_reading"])]


def _name_loss(step: StepFiles) -> Bilingual:
    """Return the label of the loss axis: a loss is measured per token or per preference pair."""
    spec = STAGES.get(step.stage)
    is_per_pair = (
        spec is not None and issubclass(spec.config, TrainingConfig) and spec.config.loss_unit == "nats per pair"
    )
    return CURVES["y_loss_pair" if is_per_pair else "y_loss"]


def _build_series_chart(
    step: str, name: str, points: list[tuple[int, float]], marks: list[Mark]
) -> tuple[Chart, Bilingual | None] | None:
    title = CURVES.get(name) or Bilingual(name, name)
    restarts = [mark for mark in marks if mark.tone == "bad"]
    try:
        chart = line_chart(
            f"{step}-{name}".replace("_", "-"),
            title,
            [Series(title, points)],
            x_label=CURVES["x"],
            marks=restarts,
        )
    except ValueError:
        return None
    return chart, CURVES.get(f"{name}_reading")


def _build_training_facts(record: TrainingRecord) -> Facts:
    share = record.num_trainable_parameters / record.num_parameters if record.num_parameters else 0.0
    facts = [
        Fact(CURVES["method"], record.method),
        Fact(CURVES["num_steps"], f"{record.num_steps:,}"),
        Fact(CURVES["num_train_rows"], f"{record.num_train_rows:,}"),
        Fact(CURVES["num_tokens"], f"{record.num_tokens:,}"),
        Fact(CURVES["trainable"], f"{record.num_trainable_parameters:,} ({100 * share:.2f}%)"),
        Fact(CURVES["restarts"], str(record.num_restarts)),
    ]
    if record.resumed_from_step is not None:
        facts.append(Fact(CURVES["resumed"], f"{record.resumed_from_step:,}"))
    return Facts(facts)


def _build_checkpoints(record: TrainingRecord) -> Table:
    columns = [
        Column(CURVES["step"], "number"),
        Column(CURVES["validation_loss"], "number"),
        Column(CURVES["chosen"]),
        Column(STEPS["path"], "code"),
    ]
    rows: list[list[Cell | Text]] = [
        [
            f"{checkpoint.step:,}",
            "–" if checkpoint.validation_loss is None else format_digits(checkpoint.validation_loss, 4),
            Cell(CURVES["is_best"], tone="good") if checkpoint.step == record.best_step else "–",
            checkpoint.path,
        ]
        for checkpoint in record.checkpoints
    ]
    return Table(CURVES["checkpoints"], columns, rows)
