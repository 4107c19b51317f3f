"""The models that an evaluation compares, and their answers to the rows of its splits."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from practicum_core.content_hash import hash_path
from practicum_core.rows import Row
from practicum_jobs.adapters.generation import Answer, generate_answers, get_num_threads, load_causal_lm
from practicum_jobs.context import StageContext
from practicum_jobs.models.folder import build_model_lock, is_adapter
from practicum_jobs.models.sources import ensure_model


@dataclass(frozen=True)
class EvaluatedModel:
    """A model to be scored.

    Attributes:
        uri: Its URI as given in the options.
        folder: Folder of the model, or of the base model of an adapter.
        adapter: Folder of the adapter; ``None`` for a whole model.
        sha256: Hash of its files; with an adapter, a hash of base model and adapter.
    """

    uri: str
    folder: Path
    adapter: Path | None
    sha256: str


@dataclass(frozen=True)
class Answers:
    """The answers of one model by split, and how they were computed."""

    by_split: Mapping[str, Sequence[Answer]]
    dtype: str
    device: str
    num_threads: int
    num_tokens: int
    generate_s: float


def ensure_evaluated_model(uri: str, base: EvaluatedModel | None, ctx: StageContext) -> EvaluatedModel:
    """Download a model if it is not on this machine. A folder that holds only an adapter is used with ``base``.

    Raises:
        ConfigError: The model does not exist or is not a chat model.
        PlatformError: A hub or store did not answer.
    """
    resolved = ctx.resolve_uri(uri)
    path = Path(resolved.removeprefix("file://"))
    if base is not None and path.is_absolute() and is_adapter(path) and not (path / "config.json").is_file():
        digest = hashlib.sha256(f"{base.sha256} {hash_path(path)}".encode()).hexdigest()
        return EvaluatedModel(uri, base.folder, path, digest)
    files = ensure_model(resolved, ctx.cache_dir)
    return EvaluatedModel(uri, files.path, None, build_model_lock(files.path, uri, files.revision).sha256)


def answer_rows(
    model: EvaluatedModel,
    rows: Mapping[str, Sequence[Row]],
    ctx: StageContext,
    max_new_tokens: int,
    batch_size: int,
    on_answered: Callable[[int], None],
) -> Answers:
    """Load a model, generate an answer to every row of every split, and release the model.

    Args:
        model: The model.
        rows: Rows by split.
        ctx: Checked for a stop request after every batch.
        max_new_tokens: Maximum number of tokens per answer.
        batch_size: Rows per batch.
        on_answered: Called after every batch with the number of rows in it.

    Raises:
        Stopped: A stop was requested.
    """
    loaded = load_causal_lm(model.folder, model.adapter)
    started_s = ctx.elapsed_s
    by_split: dict[str, list[Answer]] = {}
    for split, split_rows in rows.items():
        answered = 0

        def note(done: int, _all: int) -> None:
            nonlocal answered
            on_answered(done - answered)
            answered = done
            ctx.raise_if_stopped()

        conversations = [row.messages for row in split_rows]
        by_split[split] = generate_answers(loaded, conversations, max_new_tokens, batch_size, on_batch=note)
    return Answers(
        by_split=by_split,
        dtype=loaded.dtype,
        device=loaded.device,
        num_threads=get_num_threads(),
        num_tokens=sum(answer.num_tokens for answers in by_split.values() for answer in answers),
        generate_s=ctx.elapsed_s - started_s,
    )


def hash_answers(sequences: Sequence[Answers]) -> str:
    """Return the SHA-256 of all answers, in the order of models, splits and rows."""
    texts = [[answer.text for answer in answers] for one in sequences for answers in one.by_split.values()]
    return hashlib.sha256(json.dumps(texts, ensure_ascii=False).encode()).hexdigest()
