"""Decides how an audit's findings are shown: verdict, defects with thresholds, masked samples, recall and precision."""

from __future__ import annotations

from practicum_core.metrics import Metric
from practicum_core.stages.audit import AuditRecord, Finding
from practicum_jobs.render.bilingual import Text, shorten
from practicum_jobs.render.blocks import (
    Block,
    Cell,
    Charts,
    Column,
    Disclosure,
    Example,
    Excerpt,
    Figure,
    Figures,
    Paragraph,
    Section,
    Table,
)
from practicum_jobs.render.charts import Bar, Tone, bar_chart
from practicum_jobs.report.figures import get_finding_title
from practicum_jobs.report.messages import AUDIT, READING, SECTIONS
from practicum_jobs.report.verdict import Pack

_TONES: dict[str, Tone] = {"pass": "good", "warn": "warn", "fail": "bad"}
_MAX_SAMPLE = 300


def build_audit_section(pack: Pack) -> Section | None:
    """Build the section of an audit; ``None`` where no audit left a record."""
    records = [step.record for step in pack.files.steps if isinstance(step.record, AuditRecord)]
    if not records:
        return None
    blocks = [block for record in records for block in _build_blocks(record, pack.max_samples)]
    return Section("audit", SECTIONS["audit"], blocks, READING["audit"])


def _build_blocks(record: AuditRecord, max_samples: int) -> list[Block]:
    blocks: list[Block] = [
        Figures(
            [
                Figure(AUDIT["verdict"], AUDIT[record.verdict], AUDIT["as_delivered"], _TONES[record.verdict]),
                Figure(AUDIT["rows"], f"{record.num_rows:,}"),
                Figure(AUDIT["clean_rows"], f"{record.num_clean_rows:,}"),
                Figure(AUDIT["removed_rows"], f"{record.num_rows - record.num_clean_rows:,}"),
            ]
        ),
        *_build_accuracy(record.metrics),
    ]
    found = [finding for finding in record.findings if finding.num_rows]
    if found:
        bars = [
            Bar(get_finding_title(one.name), one.num_rows, f"{one.num_rows:,}", _TONES[one.level])
            for one in sorted(found, key=lambda one: (-one.num_rows, one.name))
        ]
        blocks.append(Charts([(bar_chart(f"findings-{record.step}", AUDIT["chart"], bars), None)]))
    if record.findings:
        blocks.append(_build_table(record.findings))
    sampled = [finding for finding in found if finding.samples][: max_samples or None]
    if sampled and max_samples:
        blocks.append(Disclosure(AUDIT["samples"], [_build_example(finding) for finding in sampled]))
    return blocks


def _build_accuracy(metrics: list[Metric]) -> list[Block]:
    by_class: dict[str, dict[str, float]] = {}
    for metric in metrics:
        kind, colon, name = metric.name.partition(":")
        if colon and kind in {"recall", "precision"}:
            by_class.setdefault(name, {})[kind] = metric.value
    if not by_class:
        return []
    columns = [Column(AUDIT["finding"]), Column(AUDIT["recall"], "number"), Column(AUDIT["precision"], "number")]
    rows: list[list[Cell | Text]] = [
        [get_finding_title(name), _write_share(values.get("recall")), _write_share(values.get("precision"))]
        for name, values in sorted(by_class.items())
    ]
    return [Table(AUDIT["accuracy"], columns, rows), Paragraph(AUDIT["accuracy_reading"])]


def _write_share(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f}%"


def _build_table(findings: list[Finding]) -> Table:
    columns = [
        Column(AUDIT["finding"]),
        Column(AUDIT["num_rows"], "number"),
        Column(AUDIT["share"], "number"),
        Column(AUDIT["threshold"], "number"),
        Column(AUDIT["level"]),
    ]
    rows: list[list[Cell | Text]] = [
        [
            get_finding_title(one.name),
            f"{one.num_rows:,}",
            f"{100 * one.share_ratio:.2f}%",
            "–" if one.threshold_ratio is None else f"{100 * one.threshold_ratio:.2f}%",
            Cell(AUDIT[one.level], tone=_TONES[one.level]),
        ]
        for one in findings
    ]
    return Table(AUDIT["findings"], columns, rows)


def _build_example(finding: Finding) -> Example:
    title = get_finding_title(finding.name)
    excerpts = [Excerpt(AUDIT["samples"], shorten(sample, _MAX_SAMPLE)) for sample in finding.samples]
    return Example(title, excerpts, _TONES[finding.level])
