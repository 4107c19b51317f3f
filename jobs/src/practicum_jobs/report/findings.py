"""The section of a data audit: verdict, defects with thresholds, masked samples, recall and precision."""

from __future__ import annotations

from practicum_core.metrics import Metric
from practicum_core.stages.findings import Finding, FindingsRecord
from practicum_core.texts import Bilingual, Text
from practicum_jobs.render.blocks import (
    Block,
    Cell,
    Charts,
    Column,
    Disclosure,
    Example,
    Excerpt,
    Fact,
    Facts,
    Figure,
    Figures,
    Paragraph,
    Section,
    Table,
)
from practicum_jobs.render.charts import Bar, Tone, bar_chart
from practicum_jobs.render.figures import format_bytes, format_interval, format_share, get_finding_title
from practicum_jobs.render.foreign_text import shorten
from practicum_jobs.report.messages import AUDIT, READING, SECTIONS
from practicum_jobs.report.verdict import Pack

_TONES: dict[str, Tone] = {"pass": "good", "warn": "warn", "fail": "bad"}
_MAX_SAMPLE = 300
_MAX_BARS = 8


def build_audit_section(pack: Pack) -> Section | None:
    """Build the section of the defects of data; ``None`` if no step looked for any."""
    records = pack.files.list_records(FindingsRecord)
    if not records:
        return None
    blocks = [block for record in records for block in _build_blocks(record, pack.max_samples)]
    return Section("audit", SECTIONS["audit"], blocks, READING["audit"])


def _build_blocks(record: FindingsRecord, max_samples: int) -> list[Block]:
    blocks: list[Block] = [
        Figures(
            [
                Figure(AUDIT["verdict"], AUDIT[record.verdict], AUDIT["as_delivered"], _TONES[record.verdict]),
                Figure(AUDIT["rows"], f"{record.num_rows:,}"),
                Figure(AUDIT["clean_rows"], f"{record.num_clean_rows:,}"),
                Figure(AUDIT["removed_rows"], f"{record.num_rows - record.num_clean_rows:,}"),
            ]
        ),
        *_build_accuracy(record),
        *_build_findings(record),
    ]
    sampled = [finding for finding in record.findings if finding.num_rows and finding.samples]
    if sampled and max_samples:
        blocks.append(Disclosure(AUDIT["samples"], [_build_example(one, max_samples) for one in sampled]))
    reports = [artifact.path for artifact in record.artifacts if artifact.path.endswith(".html")]
    if reports:
        blocks.append(Facts([Fact(AUDIT["report"], path, is_code=True) for path in reports]))
    return blocks + _build_facts(record)


def _build_findings(record: FindingsRecord) -> list[Block]:
    found = [finding for finding in record.findings if finding.num_rows]
    blocks: list[Block] = []
    if found:
        bars = [
            Bar(get_finding_title(one.name), one.num_rows, f"{one.num_rows:,}", _TONES[one.level])
            for one in sorted(found, key=lambda one: (-one.num_rows, one.name))[:_MAX_BARS]
        ]
        blocks += [Charts([(bar_chart(f"findings-{record.step}", AUDIT["chart"], bars), None)]), _build_table(found)]
    absent = [get_finding_title(finding.name) for finding in record.findings if not finding.num_rows]
    if absent:
        names = Bilingual("; ".join(title.en for title in absent), "；".join(title.zh for title in absent))
        blocks.append(Paragraph(AUDIT["not_found"].format(names=names)))
    return blocks


def _build_facts(record: FindingsRecord) -> list[Block]:
    blocks: list[Block] = []
    if record.lengths:
        columns = [Column(AUDIT["percentile"], "name"), Column(AUDIT["tokens"], "number")]
        blocks.append(
            Table(AUDIT["lengths"], columns, [[name, f"{value:,}"] for name, value in record.lengths.items()])
        )
    if record.scripts:
        columns = [Column(AUDIT["script"], "name"), Column(AUDIT["num_rows"], "number")]
        blocks.append(
            Table(AUDIT["scripts"], columns, [[name, f"{value:,}"] for name, value in record.scripts.items()])
        )
    if record.files:
        columns = [
            Column(AUDIT["file"], "code"),
            Column(AUDIT["split"], "name"),
            Column(AUDIT["size"], "number"),
            Column(AUDIT["hash"], "code"),
        ]
        rows = [[file.name, file.split, format_bytes(file.size_bytes), file.sha256] for file in record.files]
        blocks.append(Table(AUDIT["files"], columns, rows))
    return blocks


def _build_accuracy(record: FindingsRecord) -> list[Block]:
    if not record.scores:
        return []
    columns = [
        Column(AUDIT["finding"]),
        Column(AUDIT["planted"], "number"),
        Column(AUDIT["flagged"], "number"),
        Column(AUDIT["right"], "number"),
        Column(AUDIT["recall"], "number"),
        Column(AUDIT["precision"], "number"),
    ]
    metrics = {metric.name: metric for metric in record.metrics}
    rows: list[list[Cell | Text]] = [
        [
            get_finding_title(score.name),
            f"{score.num_planted:,}",
            f"{score.num_flagged:,}",
            f"{score.num_right:,}",
            _write_share(score.recall, metrics.get(f"recall:{score.name}")),
            _write_share(score.precision, metrics.get(f"precision:{score.name}")),
        ]
        for score in record.scores
    ]
    return [Table(AUDIT["accuracy"], columns, rows), Paragraph(AUDIT["accuracy_reading"])]


def _write_share(value: float | None, metric: Metric | None) -> Cell:
    if value is None:
        return Cell("–", "number")
    return Cell(format_share(value), "number", note=format_interval(metric) if metric else "")


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


def _build_example(finding: Finding, max_samples: int) -> Example:
    title = get_finding_title(finding.name)
    samples = finding.samples[:max_samples]
    excerpts = [Excerpt(AUDIT["sample"], shorten(sample, _MAX_SAMPLE)) for sample in samples]
    return Example(title, excerpts, _TONES[finding.level])
