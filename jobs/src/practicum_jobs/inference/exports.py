"""The exports of a training step: finding them, and checking that an adapter belongs to the base model."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from practicum_core.content_hash import hash_path
from practicum_core.errors import ConfigError, Reason
from practicum_core.stages.inference import InferenceConfig
from practicum_jobs.context import StageContext
from practicum_jobs.models.folder import ADAPTER_CONFIG, check_model_folder, is_adapter


@dataclass(frozen=True)
class Source:
    """A model to load: a whole model, or a base model with an adapter."""

    folder: Path
    adapter: Path | None = None


@dataclass(frozen=True)
class Exports:
    """The exported folders; at least one of the two exists."""

    adapter: Path | None
    merged: Path | None

    def list_sources(self, base: Path) -> list[Source]:
        """Return the models to load, the adapter first; one entry if only one export exists."""
        adapter = [Source(base, self.adapter)] if self.adapter else []
        return adapter + ([Source(self.merged)] if self.merged else [])


def find_exports(config: InferenceConfig, ctx: StageContext) -> Exports:
    """Find the exported folders inside the run.

    Full fine-tuning exports no adapter, and merging can be switched off. Therefore an export that is named by
    default may be missing; an export that is named in the options must exist.

    Raises:
        ConfigError: Neither export exists, or one of them is malformed.
    """
    adapter = _find(config.adapter, "adapter", ctx)
    merged = _find(config.merged, "merged", ctx)
    if adapter is None and merged is None:
        raise ConfigError(
            f"neither an adapter ({config.adapter}) nor a merged model ({config.merged}) is in {ctx.run.root}",
            "run the training step first, or name the exports",
            Reason.MODEL_MISSING,
        )
    if adapter is not None and not is_adapter(adapter):
        raise ConfigError(f"{adapter}: no {ADAPTER_CONFIG} in it", "name an adapter's folder", Reason.MODEL_MISSING)
    if merged is not None:
        check_model_folder(merged, config.merged)
    return Exports(adapter, merged)


def _find(uri: str | None, field: Literal["adapter", "merged"], ctx: StageContext) -> Path | None:
    if uri is None:
        return None
    try:
        return Path(ctx.resolve_uri(uri, "adapter" if field == "adapter" else "model").removeprefix("file://"))
    except ConfigError:
        if uri == InferenceConfig.model_fields[field].default:
            return None
        raise


def check_adapter_base(adapter: Path, uri: str, base: Path) -> str:
    """Check that an adapter was trained on this base model.

    Returns:
        A note if the base model that the adapter names is not on this machine; else an empty text.

    Raises:
        ConfigError: The adapter names another model.
    """
    config = _read_config(adapter / ADAPTER_CONFIG)
    named = str(config.get("base_model_name_or_path") or "")
    if named in {uri, str(base)} or has_same_weights(Path(named), base):
        return ""
    if not named or (named.startswith("/") and not Path(named).exists()):
        return f"the adapter's base model '{named}' is not known on this machine; its weights fit {uri}"
    raise ConfigError(
        f"{adapter}: made for the base model '{named}', not for {uri}",
        "name the base model that the adapter was trained on",
        Reason.MODEL_MISSING,
    )


def has_same_weights(one: Path, other: Path) -> bool:
    """Whether two folders hold the same safetensors files; other files are ignored."""
    files = [sorted(folder.glob("*.safetensors")) for folder in (one, other)]
    sizes = [[(file.name, file.stat().st_size) for file in found] for found in files]
    if not files[0] or sizes[0] != sizes[1]:
        return False
    return all(hash_path(left) == hash_path(right) for left, right in zip(*files, strict=True))


def _read_config(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ConfigError(f"{path}: {error}", "export the adapter again", Reason.MODEL_MISSING) from error
    if not isinstance(document, dict):
        raise ConfigError(f"{path}: not a JSON object", "export the adapter again", Reason.MODEL_MISSING)
    return document
