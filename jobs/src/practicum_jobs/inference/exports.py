"""The exports of a training step, found and checked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

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
