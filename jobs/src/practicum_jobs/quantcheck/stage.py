"""The stage ``quantcheck``: measures the original and each artifact in its own process, and writes the sheet."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from practicum_core.content_hash import hash_path
from practicum_core.errors import DataError, Reason
from practicum_core.machine import get_num_threads
from practicum_core.metrics import Metric
from practicum_core.stages.base import Failure
from practicum_core.stages.quantcheck import (
    ORIGINAL,
    QuantcheckConfig,
    QuantcheckRecord,
    SheetRow,
)
from practicum_core.stages.quantize import MANIFEST, EngineName, Manifest, QuantizedModel
from practicum_jobs.context import StageContext
from practicum_jobs.datasets.store import load_split
from practicum_jobs.models.json_files import read_object
from practicum_jobs.models.sources import ensure_model
from practicum_jobs.models.tokens import ChatTokenizer
from practicum_jobs.quantcheck.judgement import recommend
from practicum_jobs.quantcheck.measurement import Request
from practicum_jobs.quantcheck.processes import Probed, probe, read_finished
from practicum_jobs.quantcheck.samples import list_samples
from practicum_jobs.quantcheck.sheet import Question, Questions, build_rows

_GGUF_FILE = "model.gguf"


@dataclass(frozen=True)
class _Subject:
    """The original or an artifact, as an engine loads it."""

    name: str
    engine: EngineName
    path: Path
    sha256: str
    made: QuantizedModel | None


def run(config: QuantcheckConfig, ctx: StageContext) -> QuantcheckRecord:
    """Measure the original in vLLM and every artifact in its engine, on the same prompt token ids.

    Raises:
        ConfigError: The model or the artifacts are missing.
        DataError: An artifact changed since it was made, or belongs to another model;
            or a row's scorer needs more than a generated text.
        Stopped: A stop was requested; what was measured so far is kept.
    """
    ctx.progress(0.0, "reading the artifacts")
    files = ensure_model(ctx.resolve_uri(config.model), ctx.cache_dir)
    folder = Path(ctx.resolve_uri(config.artifacts).removeprefix("file://"))
    manifest = _read_manifest(folder)
    model_sha256 = files.build_lock().sha256
    _check(manifest, folder, model_sha256, config)
    subjects = [_Subject(ORIGINAL, "vllm", files.path, model_sha256, None)]
    subjects += [_Subject(one.name, one.engine, folder / one.path, one.sha256, one) for one in manifest.artifacts]
    tokenizer = ChatTokenizer(files.path)
    questions = Questions(_load_rows(config, ctx), tokenizer)
    probed = _probe_all(subjects, questions, manifest, (config, ctx))
    made = {one.name: one.made for one in subjects}
    sizes = {one.name: _measure_size(one.path) for one in subjects}
    first, *others = build_rows(probed, made, sizes, questions, config.margin)
    rows = [first.model_copy(update={"bits_per_weight": manifest.bits_per_weight}), *others]
    recommendations = [recommend(task, rows) for task in questions.tasks]
    ctx.write_samples(list_samples(rows, manifest.texts, probed, questions))
    return QuantcheckRecord(
        **ctx.build_record_fields(),
        model_sha256=model_sha256,
        margin=config.margin,
        rows=rows,
        recommendations=recommendations,
        metrics=_build_metrics(rows, len(recommendations)),
        failures=_build_failures(rows),
    )


def _read_manifest(folder: Path) -> Manifest:
    path = folder / MANIFEST
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise DataError(
            f"{path}: no list of quantized models that can be read", "run the step quantize first", Reason.DATA_MISSING
        ) from error


def _check(manifest: Manifest, folder: Path, model_sha256: str, config: QuantcheckConfig) -> None:
    if manifest.model_sha256 != model_sha256:
        raise DataError(
            f"{folder}: made of {manifest.model}, which is not {config.model}", "name the same model in both steps"
        )
    for one in manifest.artifacts:
        path = folder / one.path
        if not path.is_dir() or hash_path(path) != one.sha256:
            raise DataError(f"{path}: not the files that were made", "run the step quantize again")


def _load_rows(config: QuantcheckConfig, ctx: StageContext) -> list[Question]:
    """Return the rows with their tasks; those of the control split are one task."""
    scored = load_split(ctx, config.split, config.limit)
    rows = [Question(row.task or config.split, row) for row in scored]
    if config.control_split:
        control = load_split(ctx, config.control_split, config.control_limit)
        rows += [Question(config.control_split, row, is_control=True) for row in control]
    if not rows:
        raise DataError(f"split '{config.split}' has no rows", "name a split that has rows", Reason.DATA_MISSING)
    return rows


def _probe_all(
    subjects: Sequence[_Subject],
    questions: Questions,
    manifest: Manifest,
    environment: tuple[QuantcheckConfig, StageContext],
) -> dict[str, Probed]:
    config, ctx = environment
    original = subjects[0]
    probed = {}
    with tempfile.TemporaryDirectory(prefix="reference-") as scratch:
        reference = Path(scratch) / "reference.npy"
        for number, subject in enumerate(subjects):
            ctx.raise_if_stopped()
            ctx.progress((number + 0.2) / len(subjects), f"{subject.name}: measuring in {subject.engine}")
            path = subject.path / _GGUF_FILE if subject.engine == "llama.cpp" else subject.path
            request = Request(
                engine=subject.engine,
                path=str(path),
                prompts=questions.prompts,
                conversations=questions.conversations,
                stop_ids=_read_stop_ids(original.path),
                max_new_tokens=config.max_new_tokens,
                concurrency=sorted(set(config.concurrency)),
                num_threads=get_num_threads(),
                texts=manifest.texts,
                reference=str(reference),
            )
            key = _build_key(subject, request)
            finished = read_finished(subject.name, key, ctx)
            if finished is None:
                _ensure_reference(original.path, manifest, reference, ctx)
                finished = probe(subject.name, key, request, config.timeout_s, ctx)
            probed[subject.name] = finished
    return probed


def _ensure_reference(folder: Path, manifest: Manifest, path: Path, ctx: StageContext) -> None:
    """Write the original's probabilities before the first artifact that is measured."""
    if path.is_file():
        return
    from practicum_jobs.adapters.reference_logits import write_reference  # noqa: PLC0415 - imports torch

    ctx.progress(0.02, "original: probabilities in float32")
    write_reference(folder, [text.token_ids for text in manifest.texts], path)


def _build_key(subject: _Subject, request: Request) -> str:
    """Hash what the measurement depends on: the files and what is asked, not where they lie."""
    asked = request.model_copy(update={"path": subject.sha256, "reference": ""})
    return hashlib.sha256(asked.model_dump_json().encode()).hexdigest()


def _read_stop_ids(folder: Path) -> list[int]:
    path = folder / "generation_config.json"
    found = read_object(path if path.is_file() else folder / "config.json").get("eos_token_id")
    return [int(one) for one in (found if isinstance(found, list) else [found]) if one is not None]


def _measure_size(path: Path) -> int:
    files = path.iterdir() if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def _build_metrics(rows: Sequence[SheetRow], num_recommended: int) -> list[Metric]:
    metrics = [
        Metric(name="num_rows", value=len(rows)),
        Metric(name="num_measured", value=sum(bool(row.tokens_per_s) for row in rows)),
        Metric(name="num_unmeasured", value=sum(not row.tokens_per_s for row in rows)),
        Metric(name="prompt_differences", value=sum(row.prompts.num_different for row in rows)),
        Metric(name="prompts_not_shown", value=sum(row.prompts.num_not_shown for row in rows)),
        Metric(
            name="template_differences",
            value=sum(row.chat_template.num_prompts - row.chat_template.num_same for row in rows),
        ),
        Metric(name="num_recommended", value=num_recommended),
    ]
    for row in rows:
        if row.fidelity is not None:
            metrics.append(Metric(name=f"kl_{row.name}", value=row.fidelity.kl_mean))
            metrics.append(Metric(name=f"top1_{row.name}", value=row.fidelity.top1_agreement))
        # Without intervals: a page calls them 95%, and those of the equivalence test in the sheet are 90%.
        metrics += [Metric(name=f"delta_{row.name}_{one.task}", value=one.difference) for one in row.tasks]
    return metrics


def _build_failures(rows: Sequence[SheetRow]) -> list[Failure]:
    failures = [Failure(kind="not_measured", where=row.name, text=note) for row in rows for note in row.notes]
    for row in rows:
        failures += [
            Failure(kind=kind, where=row.name, text=check.first_difference)
            for kind, check in (("other_prompt", row.prompts), ("other_template", row.chat_template))
            if check.first_difference
        ]
        failures += [
            Failure(
                kind=one.verdict,
                where=f"{row.name}/{one.task}",
                text=f"right on {one.artifact:.1%} instead of {one.original:.1%} of {one.num_items} items"
                f" (90% interval {100 * one.low:+.1f} to {100 * one.high:+.1f} points)",
            )
            for one in row.tasks
            if one.verdict == "worse"
        ]
    return failures
