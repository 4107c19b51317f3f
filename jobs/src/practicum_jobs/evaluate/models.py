"""The models that an evaluation compares, on this machine and known by content."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from practicum_core.content_hash import hash_path
from practicum_core.errors import ConfigError
from practicum_jobs.context import StageContext
from practicum_jobs.models.folder import build_model_lock, is_adapter
from practicum_jobs.models.gguf_files import find_gguf
from practicum_jobs.models.sources import ensure_model


@dataclass(frozen=True)
class EvaluatedModel:
    """A model to be scored.

    Attributes:
        uri: Its URI as given in the options.
        path: Folder of the model, or of the base model of an adapter; or a GGUF file.
        adapter: Folder of the adapter; ``None`` for a whole model.
        sha256: Hash of its files; with an adapter, a hash of base model and adapter.
        tokenizer: Folder with the tokenizer and the chat template of its prompts.
    """

    uri: str
    path: Path
    adapter: Path | None
    sha256: str
    tokenizer: Path


def ensure_evaluated_model(
    uri: str, base: EvaluatedModel | None, tokenizer_uri: str | None, ctx: StageContext
) -> EvaluatedModel:
    """Download a model if it is not on this machine. A folder that holds only an adapter is used with ``base``.

    Args:
        uri: Of the model: a folder's, or a GGUF file's.
        base: The base model, where this is the candidate.
        tokenizer_uri: Model whose tokenizer and chat template make the prompts; the model's own without it.
        ctx: Of the stage.

    Raises:
        ConfigError: The model does not exist or is not a chat model.
        PlatformError: A hub or store did not answer.
    """
    resolved = ctx.resolve_uri(uri)
    path = Path(resolved.removeprefix("file://"))
    named = _ensure_tokenizer(tokenizer_uri, ctx) if tokenizer_uri else None
    if base is not None and path.is_absolute() and is_adapter(path) and not (path / "config.json").is_file():
        digest = hashlib.sha256(f"{base.sha256} {hash_path(path)}".encode()).hexdigest()
        return EvaluatedModel(uri, base.path, path, digest, named or base.tokenizer)
    file = find_gguf(path)
    if file is not None:
        if named is None:
            raise ConfigError(
                f"{uri}: a GGUF file, whose prompts need a tokenizer and a chat template",
                "name the model that it was made from: evaluate.tokenizer=URI",
            )
        return EvaluatedModel(uri, file, None, hash_path(file), named)
    files = ensure_model(resolved, ctx.cache_dir)
    digest = build_model_lock(files.path, uri, files.revision).sha256
    return EvaluatedModel(uri, files.path, None, digest, named or files.path)


def _ensure_tokenizer(uri: str, ctx: StageContext) -> Path:
    return ensure_model(ctx.resolve_uri(uri), ctx.cache_dir, has_weights=False).path
