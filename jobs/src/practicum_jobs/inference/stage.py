"""Check of the exported files: base with adapter and merged model are loaded from disk and must answer the same."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from practicum_core.content_hash import hash_path
from practicum_core.errors import DataError, Reason
from practicum_core.metrics import Metric
from practicum_core.rows import Row
from practicum_core.stages.base import Failure
from practicum_core.stages.inference import ExportSample, InferenceConfig, InferenceRecord
from practicum_jobs.adapters.generation import generate_answers, get_num_threads, load_causal_lm
from practicum_jobs.context import StageContext
from practicum_jobs.datasets.store import load_split
from practicum_jobs.inference.exports import Exports, Source, find_exports
from practicum_jobs.models.adapters import check_adapter_base, read_adapter
from practicum_jobs.models.sources import ensure_model
from practicum_jobs.models.tokens import ChatTokenizer
from practicum_jobs.scoring.answers import score_answer
from practicum_jobs.storage.answers import Answer


@dataclass(frozen=True)
class _Computed:
    dtype: str
    device: str


def run(config: InferenceConfig, ctx: StageContext) -> InferenceRecord:
    """Answer held-out prompts with both exports and compare the answers.

    If only one export exists, it is loaded and asked twice, and a note in the record says so.

    Raises:
        ConfigError: An export is missing or broken, or the adapter belongs to another base model.
        DataError: The split is missing or empty.
    """
    exports = find_exports(config, ctx)
    rows = load_split(ctx, config.split, config.num_prompts)
    if not rows:
        raise DataError(f"split '{config.split}' has no rows", "name a split that has rows", Reason.DATA_MISSING)
    base = ensure_model(ctx.resolve_uri(config.model), ctx.cache_dir).path
    notes = [note for note in (_check_base(exports, config, base), _describe_single(exports)) if note]
    sources = exports.list_sources(base)
    first, _ = _answer(sources[0], rows, config, ctx, 0.0)
    second, computed = _answer(sources[-1], rows, config, ctx, 0.5)
    _write_samples(ctx, rows, first, second)
    return InferenceRecord(
        num_prompts=len(rows),
        predictions_sha256=_hash_texts([*first, *second]),
        adapter_sha256=hash_path(exports.adapter) if exports.adapter else "",
        merged_sha256=hash_path(exports.merged) if exports.merged else "",
        dtype=computed.dtype,
        device=computed.device,
        num_threads=get_num_threads(),
        metrics=_build_metrics(rows, first, second),
        failures=_build_failures(rows, first, second),
        notes=notes,
        **ctx.build_record_fields(),
    )


def _check_base(exports: Exports, config: InferenceConfig, base: Path) -> str:
    if exports.adapter is None:
        return ""
    adapter = read_adapter(exports.adapter, str(exports.adapter))
    return check_adapter_base(adapter, str(exports.adapter), config.model, base)


def _describe_single(exports: Exports) -> str:
    if exports.adapter is None:
        return "no adapter was exported: the merged model was loaded and asked twice"
    if exports.merged is None:
        return "no merged model was exported: base with adapter was loaded and asked twice"
    return ""


def _answer(
    source: Source, rows: Sequence[Row], config: InferenceConfig, ctx: StageContext, done_before: float
) -> tuple[list[Answer], _Computed]:
    """Load one export, generate its answers and release it. ``done_before`` is the progress of the stage so far."""
    ctx.raise_if_stopped()
    loaded = load_causal_lm(source.folder, source.adapter)

    def note(done: int, total: int) -> None:
        ctx.progress(done_before + 0.5 * done / total, f"{done} of {total} answers of an export")
        ctx.raise_if_stopped()

    tokenizer = ChatTokenizer(source.folder)
    prompts = [tokenizer.encode_prompt(row) for row in rows]
    answers = generate_answers(loaded, prompts, config.max_new_tokens, config.batch_size, on_batch=note)
    return answers, _Computed(loaded.dtype, loaded.device)


def _build_metrics(rows: Sequence[Row], first: Sequence[Answer], second: Sequence[Answer]) -> list[Metric]:
    answers = [*first, *second]
    equal = [one.text == other.text for one, other in zip(first, second, strict=True)]
    right = [score_answer(row.task, row.answer, answer.text).is_exact for row, answer in zip(rows, second, strict=True)]
    return [
        Metric(name="agreement", value=sum(equal) / len(rows)),
        Metric(name="stopped_ratio", value=sum(answer.is_stopped for answer in answers) / len(answers)),
        Metric(name="exact_match", value=sum(right) / len(rows)),
        Metric(name="num_prompts", value=len(rows)),
    ]


def _build_failures(rows: Sequence[Row], first: Sequence[Answer], second: Sequence[Answer]) -> list[Failure]:
    failures = []
    for row, one, other in zip(rows, first, second, strict=True):
        if one.text != other.text:
            failures.append(Failure(kind="exports_differ", where=row.id, text="the two exports answer differently"))
        if not (one.is_stopped and other.is_stopped):
            failures.append(Failure(kind="no_stop", where=row.id, text="an answer was cut off at max_new_tokens"))
    return failures


def _write_samples(ctx: StageContext, rows: Sequence[Row], first: Sequence[Answer], second: Sequence[Answer]) -> None:
    ctx.write_samples(
        ExportSample(
            id=row.id,
            prompt=row.messages[-1].content,
            expected=row.answer,
            adapter=one.text,
            merged=other.text,
        )
        for row, one, other in zip(rows, first, second, strict=True)
    )


def _hash_texts(answers: Sequence[Answer]) -> str:
    return hashlib.sha256(json.dumps([answer.text for answer in answers], ensure_ascii=False).encode()).hexdigest()
