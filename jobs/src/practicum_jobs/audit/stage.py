"""The course of an audit: read the data, judge it, write the clean copy, audit the copy, report."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from practicum_core.atomic import write_json_atomic, write_text_atomic
from practicum_core.errors import DataError
from practicum_core.stages.audit import AuditConfig, AuditRecord
from practicum_jobs.audit.analysis import Analyser, Shared
from practicum_jobs.audit.catalogue import HELD_OUT, OVER_LONG, resolve_thresholds
from practicum_jobs.audit.checks import write_excerpt
from practicum_jobs.audit.cleaning import Cleaner, Outputs, write_clean_set
from practicum_jobs.audit.plots import build_charts
from practicum_jobs.audit.record import Result, build_document, build_record
from practicum_jobs.audit.report import build_page
from practicum_jobs.audit.scan import Analyse, Scan, cut_batches, iter_lines, read_known_rows, scan_pieces
from practicum_jobs.audit.truth import Truth, build_key, read_truth
from practicum_jobs.audit.workers import Workers, open_workers
from practicum_jobs.context import StageContext
from practicum_jobs.datasets.containers import check_encoding
from practicum_jobs.datasets.diagnosis import diagnose
from practicum_jobs.datasets.flaws import TRUTH_MAX_LENGTH
from practicum_jobs.datasets.readers import Defect, ReadOptions
from practicum_jobs.datasets.sources import Source, open_input
from practicum_jobs.models.sources import ensure_model
from practicum_jobs.text.overlap import OverlapIndex, OverlapSettings
from practicum_jobs.text.sketches import SketchSettings

PROGRESS_S = 1.0
"""Seconds between two reports of progress; each is a file written to the disk and waited for."""
CLEAN, MANIFEST, REPORT, DOCUMENT = "clean.jsonl", "manifest.jsonl", "audit.html", "audit.json"
CLEAN_SET = "clean"
"""Folder of the clean copy with the other splits: a data set that later runs read."""


def run(config: AuditConfig, ctx: StageContext) -> AuditRecord:
    """Audit a data set.

    Raises:
        ConfigError: An option, the model or the data's URI is wrong.
        DataError: The data is missing, cannot be read, or holds no row at all.
        PlatformError: No space, no permission, a store did not answer, or memory ran out.
        Stopped: On request; an audit starts anew when it is resumed.
    """
    thresholds = resolve_thresholds(config.fail_ratios)
    options = ReadOptions(config.format, config.max_row_bytes, check_encoding(config.encoding))
    source = open_input(config.data, ctx, options)
    settings = _build_settings(config)
    model = ensure_model(ctx.resolve_uri(config.model), ctx.cache_dir, has_weights=False).path if config.model else None
    analyser = Analyser(settings, config.max_length, model)
    ctx.layout.artifacts.mkdir(parents=True, exist_ok=True)
    outputs = Outputs(ctx.layout.artifacts / CLEAN, ctx.layout.artifacts / MANIFEST) if config.clean_copy else None
    with open_workers(analyser, config.workers or os.cpu_count() or 1) as (workers, folder):
        ctx.progress(0.01, "indexing the evaluation rows")
        held_out_ids, held_out_defects = _index_held_out(source, settings, workers, folder)
        first, second = folder / "data", folder / "copy"
        first.mkdir()
        second.mkdir()
        scan = _scan(source, workers.analyse, settings.sketch, first, ctx)
        truth = _read_truth(source, config)
        cleaner = Cleaner(scan, held_out_ids, config.num_samples, truth)
        if held_out_defects:
            scan.defect_counts[HELD_OUT] = len(held_out_defects)
            cleaner.note_held_out(held_out_defects)
        copied = cleaner.walk(iter_lines(first), outputs)
        known = read_known_rows(first)
        workers.share(replace(workers.shared, known=known), folder)
        again = scan_pieces(copied, workers.analyse, settings.sketch, second, _build_observer(ctx, 0.6, 0.95))
    if outputs is not None:
        write_clean_set(outputs.clean, source, ctx.layout.artifacts / CLEAN_SET)
    return _report(Result(config, source, thresholds, scan, cleaner.result, again, truth), ctx)


def _read_truth(source: Source, config: AuditConfig) -> Truth | None:
    """Read what was planted; which rows are over-long is known for one limit alone."""
    is_known = config.max_length == TRUTH_MAX_LENGTH
    return read_truth(source.truth, () if is_known else (OVER_LONG,)) if source.truth else None


def _build_settings(config: AuditConfig) -> OverlapSettings:
    sketch = SketchSettings(config.near_duplicate_threshold, config.num_permutations, seed=config.seed)
    return OverlapSettings(sketch=sketch)


def _index_held_out(
    source: Source, settings: OverlapSettings, workers: Workers, folder: Path
) -> tuple[list[str], list[Defect]]:
    """Index every split but the first; return the ids of the indexed rows, and the places that hold no row."""
    pieces = itertools.chain.from_iterable(map(source.iter_pieces, source.splits[1:]))
    ids: list[str] = []
    prepared = []
    defects: list[Defect] = []
    for batch in workers.prepare(cut_batches(pieces)):
        ids += batch.ids
        prepared.append(batch.prepared)
        defects += batch.defects
    if ids:
        workers.share(Shared(OverlapIndex(prepared, settings)), folder)
    return ids, defects


def _scan(source: Source, analyse: Analyse, settings: SketchSettings, folder: Path, ctx: StageContext) -> Scan:
    scan = scan_pieces(
        source.iter_pieces(source.splits[0]), analyse, settings, folder, _build_observer(ctx, 0.05, 0.55)
    )
    if not scan.num_rows:
        raise _explain_no_row(source, scan)
    return scan


def _explain_no_row(source: Source, scan: Scan) -> DataError:
    worst = max(scan.defect_counts, key=lambda name: scan.defect_counts[name])
    found = diagnose(source.iter_pieces(source.splits[0]))
    first = "; ".join(
        f"{build_key(defect.file, defect.line)}: {write_excerpt(defect.detail)}" for defect in found.defects
    )
    columns = f"; columns seen: {write_excerpt(', '.join(found.columns))}" if found.columns else ""
    return DataError(
        f"{source.uri}: none of its {scan.num_defects:,} lines is a row; most often: {worst} "
        f"({scan.defect_counts[worst]:,}); first: {first}{columns}",
        found.hint,
    )


def _build_observer(ctx: StageContext, start: float, end: float) -> Callable[[int], None]:
    """Return what is told the rows done; the share is a guess that nears ``end``, as the number of rows is unknown."""
    last = [0.0]

    def observe(num_rows: int) -> None:
        ctx.raise_if_stopped()
        if ctx.elapsed_s - last[0] >= PROGRESS_S:
            last[0] = ctx.elapsed_s
            ctx.progress(end - (end - start) / (1 + num_rows / 50_000), f"{num_rows:,} rows")

    return observe


def _report(result: Result, ctx: StageContext) -> AuditRecord:
    ctx.progress(0.97, "writing the report")
    document = build_document(result)
    write_json_atomic(ctx.layout.artifacts / DOCUMENT, document)
    write_text_atomic(ctx.layout.artifacts / REPORT, build_page(result, ctx.run.root.name))
    for plot in build_charts(result):
        write_text_atomic(ctx.layout.plots / f"{plot.name}.svg", plot.to_file_content())
    notes = {REPORT: "report for people", DOCUMENT: "report for machines"}
    if result.config.clean_copy:
        notes |= {CLEAN: "rows without findings", MANIFEST: "what was removed and why"}
        notes[CLEAN_SET] = "the same as a data set, with the other splits as they are"
    artifacts = [ctx.describe_artifact(ctx.layout.artifacts / name, note) for name, note in notes.items()]
    return build_record(result, ctx.build_record_fields(), artifacts)
