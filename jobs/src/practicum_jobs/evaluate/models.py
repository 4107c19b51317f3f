"""The models that an evaluation compares, on this machine and known by content."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from practicum_core.content_hash import hash_path
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
