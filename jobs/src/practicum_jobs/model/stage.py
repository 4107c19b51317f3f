"""The stage ``model``: fetches the base model, opens what later steps load, and writes ``model.lock.json``."""

from __future__ import annotations

from practicum_core.atomic import write_json_atomic
from practicum_core.metrics import Metric
from practicum_core.needed_splits import check_needed_splits
from practicum_core.stages.model import ModelConfig, ModelRecord
from practicum_jobs.context import StageContext
from practicum_jobs.datasets.sources import list_input
from practicum_jobs.models.folder import check_vocabulary
from practicum_jobs.models.sources import ensure_model


def run(config: ModelConfig, ctx: StageContext) -> ModelRecord:
    """Fetch or convert the model where the cache does not hold it yet, open it, hash its files, write the lock.

    The splits of the data are looked at first: nobody waits for a model to learn that a file is missing.

    Raises:
        ConfigError: The model does not exist, is cut off, or is of a kind that later steps cannot load.
        DataError: The data is missing, or lacks a split that later steps read.
        PlatformError: A hub or store did not answer, or the disk refused.
    """
    if config.data is not None:
        check_needed_splits(config.needed_splits, list_input(config.data, ctx))
    ctx.progress(0.0, f"looking for {config.model}")
    files = ensure_model(ctx.resolve_uri(config.model), ctx.cache_dir)
    fetch_s = ctx.elapsed_s
    check_vocabulary(files.path, config.model)
    ctx.progress(0.8, "hashing its files")
    lock = files.build_lock().model_copy(update={"uri": config.model})
    write_json_atomic(ctx.run.model_lock, lock.model_dump(mode="json"))
    size_bytes = sum(file.size_bytes for file in lock.files)
    ctx.progress(1.0)
    return ModelRecord(
        **ctx.build_record_fields(),
        uri=lock.uri,
        revision=lock.revision,
        family=lock.family,
        num_parameters=lock.num_parameters,
        tokenizer_sha256=lock.tokenizer_sha256,
        chat_template_sha256=lock.chat_template_sha256,
        sha256=lock.sha256,
        metrics=[
            Metric(name="num_parameters", value=lock.num_parameters),
            Metric(name="size_bytes", value=size_bytes, unit="bytes"),
            Metric(name="fetch_s", value=round(fetch_s, 3), unit="s"),
        ],
    )
