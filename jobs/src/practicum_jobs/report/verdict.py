"""The verdict of a unit: gates checked against the recorded metrics, and the section that shows them."""

from __future__ import annotations

import math
from dataclasses import dataclass

from practicum_core.evidence import Evidence, get_verdict
from practicum_core.gates import GateResult, GateSpec, check_gates
from practicum_core.metrics import Metric, StageMetric
from practicum_core.texts import Bilingual, Text
from practicum_jobs.render.blocks import Block, Cell, Column, Notice, Section, Table
from practicum_jobs.render.figures import format_figure, format_interval, format_metric, get_title
from practicum_jobs.render.page import Stamp
from practicum_jobs.report.messages import BOUNDS, COMPARISONS, PAGE, READING, SECTIONS, VERDICT
from practicum_jobs.report.reading import RunFiles
from practicum_jobs.report.rerun import build_run_command


@dataclass(frozen=True)
class Pack:
    """The input of every section."""

    files: RunFiles
    evidence: Evidence
    max_samples: int

    @property
    def missing_steps(self) -> list[str]:
        """Steps without a complete record."""
        return [step.name for step in self.files.steps if step.record is None]

    def list_gates(self) -> list[tuple[GateSpec, GateResult]]:
        """Return each gate of the unit with its result; an optional gate without a metric has no result."""
        results = {gate.name: gate for gate in self.evidence.gates}
        return [(spec, results[spec.name]) for spec in self.files.unit.gates if spec.name in results]


def build_evidence(files: RunFiles) -> Evidence:
    """Check the recorded metrics against the unit's gates. A run with a missing step never passes."""
    records = [(step, step.record) for step in files.steps if step.record is not None]
    metrics = [
        StageMetric(stage=step.name, **metric.model_dump())
        for step, record in records
        for metric in record.metrics
        if is_finite(metric)
    ]
    gates = list(check_gates(files.unit.gates, metrics))
    is_whole = all(step.record is not None for step in files.steps)
    return Evidence(
        unit=files.unit.name,
        run=files.run_id,
        verdict=get_verdict(gates) if is_whole else "failed",
        gates=gates,
        metrics=metrics,
        requirements=list(files.unit.requirements),
        durations_s={step.name: record.duration_s for step, record in records},
        reproduce=build_run_command(files.weekjob, files.run_id, files.lineage),
        built_on=files.lineage.built_on if files.lineage else [],
    )


def is_finite(metric: Metric) -> bool:
    """Whether a metric and its interval are finite; JSON has no NaN, and a gate cannot compare one."""
    return all(math.isfinite(end) for end in (metric.value, metric.low, metric.high) if end is not None)


def build_stamp(pack: Pack) -> Stamp:
    """Build the verdict that is shown at the top of the page."""
    gates = pack.evidence.gates
    if pack.missing_steps:
        return Stamp(PAGE["failed"], "bad", PAGE["incomplete"])
    count = PAGE["gate_count"].format(passed=sum(gate.passed for gate in gates), total=len(gates))
    if pack.evidence.verdict == "passed":
        return Stamp(PAGE["passed"], "good", count)
    return Stamp(PAGE["failed"], "bad", count)


def build_verdict_section(pack: Pack) -> Section:
    """Build the section with the verdict and each gate."""
    blocks: list[Block] = [_build_notice(pack)]
    if pack.missing_steps:
        names = ", ".join(pack.missing_steps)
        blocks.append(Notice(VERDICT["incomplete"], "bad", VERDICT["missing_steps"].format(names=names)))
    if pack.evidence.gates:
        columns = [
            Column(VERDICT["asked"]),
            Column(VERDICT["result"]),
            Column(VERDICT["measured"], "number"),
            Column(VERDICT["threshold"], "number"),
        ]
        rows = [_build_row(pack, spec, result) for spec, result in pack.list_gates()]
        blocks.append(Table(VERDICT["caption"], columns, rows))
    return Section("verdict", SECTIONS["verdict"], blocks, READING["verdict"])


def _build_notice(pack: Pack) -> Notice:
    failed = [spec for spec, result in pack.list_gates() if not result.passed]
    if not pack.evidence.gates:
        return Notice(VERDICT["no_gates"], "bad")
    if not failed:
        return Notice(VERDICT["all_passed"], "good" if pack.evidence.verdict == "passed" else "plain")
    names = Bilingual("; ".join(gate.title_en for gate in failed), "；".join(gate.title_zh for gate in failed))
    return Notice(VERDICT["some_failed"].format(count=len(failed), names=names), "bad")


def _build_row(pack: Pack, spec: GateSpec, result: GateResult) -> list[Cell | Text]:
    title = Bilingual(spec.title_en, spec.title_zh)
    outcome = Cell(VERDICT["passed"], tone="good") if result.passed else Cell(VERDICT["failed"], tone="bad")
    metric = next((one for one in pack.evidence.metrics if (one.stage, one.name) == (spec.step, spec.metric)), None)
    unit = metric.unit if metric else ""
    known = get_title(spec.metric, unit, result.threshold, spec.step)
    threshold = format_figure(spec.threshold, known.style)
    required = Bilingual(
        f"{COMPARISONS[spec.comparison].en} {_in(threshold, 'en')}",
        f"{COMPARISONS[spec.comparison].zh} {_in(threshold, 'zh')}",
    )
    if result.value is None:
        words = VERDICT["sentence_missing"].format(step=spec.step, metric=known.title)
        return [Cell(title, note=words), outcome, VERDICT["not_measured"], required]
    value = format_figure(result.value, known.style, unit)
    is_estimate = metric is not None and spec.bound != "value"
    words = VERDICT["sentence_bound" if is_estimate else "sentence"].format(
        metric=known.title,
        estimate=format_metric(metric) if metric else "",
        interval=format_interval(metric) if metric else "",
        bound=BOUNDS[spec.bound],
        value=value,
        comparison=COMPARISONS[spec.comparison],
        threshold=threshold,
    )
    return [Cell(title, note=words), outcome, value, required]


def _in(content: Text, language: str) -> str:
    return str(getattr(content, language)) if isinstance(content, Bilingual) else content
