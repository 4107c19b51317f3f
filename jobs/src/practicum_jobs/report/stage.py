"""The stage ``report``: writes the evidence pack of a run. A failed run gets one too."""

from __future__ import annotations

import hashlib

from practicum_core.atomic import write_json_atomic, write_text_atomic
from practicum_core.metrics import Metric
from practicum_core.seal import seal_run
from practicum_core.stages.report import ReportConfig, ReportRecord
from practicum_jobs.context import StageContext
from practicum_jobs.report.pack import build_page
from practicum_jobs.report.reading import read_run
from practicum_jobs.report.verdict import Pack, build_evidence


def run(config: ReportConfig, ctx: StageContext) -> ReportRecord:
    """Build ``evidence/index.html`` and ``evidence/evidence.json`` from the records of the run directory.

    Raises:
        DataError: There is no readable week job, so the steps that should have run are unknown.
        PlatformError: A file could not be written.
    """
    ctx.progress(0.0, "reading records")
    files = read_run(ctx.run, ctx.step)
    evidence = build_evidence(files).model_copy(update={"sealed": seal_run(ctx.run)})
    ctx.progress(0.5, "building the pack")
    page = build_page(Pack(files, evidence, config.max_samples))
    write_text_atomic(ctx.run.evidence_html, page)
    write_json_atomic(ctx.run.evidence_json, evidence.model_dump(mode="json"))
    ctx.progress(1.0)
    passed = sum(gate.passed for gate in evidence.gates)
    return ReportRecord(
        **ctx.build_record_fields(),
        verdict=evidence.verdict,
        html=ctx.run.evidence_html.relative_to(ctx.run.root).as_posix(),
        html_sha256=hashlib.sha256(page.encode()).hexdigest(),
        metrics=[
            Metric(name="gates_passed", value=passed, unit="gates"),
            Metric(name="html_bytes", value=len(page.encode()), unit="bytes"),
        ],
        artifacts=[
            ctx.describe_artifact(ctx.run.evidence_html, "evidence pack"),
            ctx.describe_artifact(ctx.run.evidence_json, "evidence for machines"),
        ],
        notes=[f"missing or unreadable: {gap.path}" for gap in files.gaps],
    )
