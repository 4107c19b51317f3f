"""The stage ``quantize``: makes each format once, weighs it, and measures GGUF files with llama.cpp's own logits.

GGUF files are measured here, because the Python package that gives llama.cpp's logits is in this environment; all
other formats are measured by the stage that loads them with their engines.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from practicum_core.atomic import write_json_atomic
from practicum_core.errors import ConfigError
from practicum_core.metrics import Metric
from practicum_core.rows import Row
from practicum_core.stages.base import Failure
from practicum_core.stages.quantize import (
    MANIFEST,
    Fidelity,
    FidelityText,
    Manifest,
    QuantizeConfig,
    QuantizedModel,
    QuantizeRecord,
)
from practicum_jobs.context import StageContext
from practicum_jobs.datasets.sources import open_input
from practicum_jobs.datasets.store import iter_locked
from practicum_jobs.models.folder import is_adapter
from practicum_jobs.models.json_files import read_object
from practicum_jobs.models.sources import ensure_model
from practicum_jobs.models.tokens import ChatTokenizer
from practicum_jobs.quantize.artifacts import Made, ensure_artifact, place, weigh
from practicum_jobs.quantize.calibration import Calibration, build_calibration, build_texts
from practicum_jobs.quantize.fidelity import measure_gguf
from practicum_jobs.quantize.recipes import GGUF_FILE, Recipe, build_recipe, hash_rows, make
from practicum_jobs.quantize.shapes import check_formats, describe_fallback

_CALIBRATED = {"gptq": "gptq_rows", "awq": "awq_rows"}


@dataclass(frozen=True)
class _Original:
    """The model that artifacts are made of."""

    folder: Path
    sha256: str
    num_parameters: int
    config: Mapping[str, Any]


def run(config: QuantizeConfig, ctx: StageContext) -> QuantizeRecord:
    """Make the formats of the model, in the order of the options.

    Raises:
        ConfigError: The model is missing, an adapter, or of a shape that a format cannot hold.
        DataError: There are not enough calibration rows, or they are too short.
        Stopped: A stop was requested; the formats made so far stay in the cache.
    """
    ctx.progress(0.0, "reading the model")
    original = _read_original(config, ctx)
    check_formats(original.config, config.formats)
    tokenizer = ChatTokenizer(original.folder)
    calibration = _read_calibration(config, ctx, tokenizer)
    texts = _read_texts(config, ctx, tokenizer)
    shutil.rmtree(ctx.layout.artifacts, ignore_errors=True)
    made = []
    with tempfile.TemporaryDirectory(prefix="reference-") as scratch:
        for place_number, name in enumerate(config.formats):
            ctx.raise_if_stopped()
            ctx.progress((place_number + 0.1) / len(config.formats), f"{name}: making")
            recipe = build_recipe(name, config, original.config, calibration.rows)
            artifact = _ensure(recipe, original, calibration.rows, ctx)
            target = ctx.layout.artifacts / name
            place(artifact, target)
            fidelity, differing = None, 0
            if recipe.engine == "llama.cpp":
                ctx.progress((place_number + 0.7) / len(config.formats), f"{name}: measuring")
                measured = measure_gguf(target / GGUF_FILE, original.folder, texts, Path(scratch), tokenizer)
                fidelity, differing = measured
            made.append(_describe(recipe, artifact, original, (target, fidelity, differing)))
    _write_manifest(config, ctx, original, made, texts)
    return QuantizeRecord(
        **ctx.build_record_fields(),
        model=config.model,
        model_sha256=original.sha256,
        calibration_sha256=hash_rows(calibration.rows) if calibration.rows else "",
        calibration_rows=len(calibration.rows),
        made=made,
        metrics=_build_metrics(made, calibration),
        failures=_build_failures(made, calibration),
        artifacts=[ctx.describe_artifact(ctx.layout.artifacts / one.path, one.name) for one in made],
    )


def _read_original(config: QuantizeConfig, ctx: StageContext) -> _Original:
    uri = ctx.resolve_uri(config.model)
    if is_adapter(Path(uri.removeprefix("file://"))):
        raise ConfigError(
            f"{config.model}: an adapter is not quantized alone", "name the merged model: latest:sft/merged"
        )
    files = ensure_model(uri, ctx.cache_dir)
    lock = files.build_lock()
    return _Original(files.path, lock.sha256, lock.num_parameters, read_object(files.path / "config.json"))


def _read_calibration(config: QuantizeConfig, ctx: StageContext, tokenizer: ChatTokenizer) -> Calibration:
    wanted = [getattr(config, option) for name, option in _CALIBRATED.items() if name in config.formats]
    if not wanted:
        return Calibration([], [])
    candidates = iter_locked(ctx, config.calibration_split)
    tests = iter_locked(ctx, config.split)
    lengths = (config.min_tokens, config.max_tokens)
    return build_calibration(candidates, max(wanted), tests, tokenizer, lengths)


def _read_texts(config: QuantizeConfig, ctx: StageContext, tokenizer: ChatTokenizer) -> list[FidelityText]:
    texts = build_texts(iter_locked(ctx, config.split), config.num_texts, tokenizer, config.max_tokens)
    if config.extra_texts is None:
        return texts
    rows = (row for row in open_input(config.extra_texts, ctx).iter_split("test") if isinstance(row, Row))
    extra = build_texts(islice(rows, config.num_texts), config.num_texts, tokenizer, config.max_tokens)
    return texts + [text.model_copy(update={"id": f"extra:{text.id}"}) for text in extra]


def _ensure(recipe: Recipe, original: _Original, rows: Sequence[Sequence[int]], ctx: StageContext) -> Made:
    def get_f16() -> Path:
        plain = Recipe("gguf-f16", recipe.engine, recipe.settings)
        return _ensure(plain, original, rows, ctx).folder / GGUF_FILE

    return ensure_artifact(
        recipe, original.sha256, ctx.cache_dir, lambda target: make(recipe, original.folder, target, rows, get_f16)
    )


def _describe(
    recipe: Recipe, made: Made, original: _Original, placed: tuple[Path, Fidelity | None, int]
) -> QuantizedModel:
    target, fidelity, differing = placed
    weights = weigh(target)
    notes = []
    if recipe.name == "gguf-q4_k_m":
        notes += describe_fallback(weights.types)
    if differing:
        notes.append(f"{differing} texts are tokenized differently by llama.cpp")
    return QuantizedModel(
        name=recipe.name,
        path=target.name,
        engine=recipe.engine,
        sha256=made.sha256,
        disk_bytes=sum(file.stat().st_size for file in target.rglob("*") if file.is_file()),
        weight_bytes=weights.size_bytes,
        bits_per_weight=round(8 * weights.size_bytes / original.num_parameters, 3),
        types=weights.types,
        make_s=made.make_s,
        is_cached=made.is_cached,
        calibration_rows=recipe.calibration_rows,
        fidelity=fidelity,
        num_tokenizer_differences=differing,
        notes=notes,
    )


def _write_manifest(
    config: QuantizeConfig,
    ctx: StageContext,
    original: _Original,
    made: list[QuantizedModel],
    texts: list[FidelityText],
) -> None:
    manifest = Manifest(
        model=config.model,
        model_sha256=original.sha256,
        num_parameters=original.num_parameters,
        bits_per_weight=round(8 * weigh(original.folder).size_bytes / original.num_parameters, 3),
        artifacts=made,
        texts=texts,
    )
    write_json_atomic(ctx.layout.artifacts / MANIFEST, manifest.model_dump(mode="json"))


def _build_metrics(made: Sequence[QuantizedModel], calibration: Calibration) -> list[Metric]:
    return [
        Metric(name="num_formats", value=len(made)),
        Metric(name="calibration_rows", value=len(calibration.rows)),
        Metric(name="calibration_leaks", value=len(calibration.leaked_ids)),
        Metric(name="tokenizer_differences", value=sum(one.num_tokenizer_differences for one in made)),
        *(Metric(name=f"bits_per_weight_{one.name}", value=one.bits_per_weight) for one in made),
        *(Metric(name=f"make_s_{one.name}", value=one.make_s, unit="s") for one in made),
    ]


def _build_failures(made: Sequence[QuantizedModel], calibration: Calibration) -> list[Failure]:
    failures = [
        Failure(kind="calibration_leak", where=row_id, text="this test row stands in the calibration set too")
        for row_id in calibration.leaked_ids
    ]
    for one in made:
        kind = "tokenizer_differs" if one.num_tokenizer_differences else "fallback_types"
        failures += [Failure(kind=kind, where=one.name, text=note) for note in one.notes]
    return failures
