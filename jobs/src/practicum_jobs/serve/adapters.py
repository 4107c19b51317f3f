"""The LoRA adapters that are answered beside their base model: fetched, and checked before anything is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from practicum_core.errors import ConfigError, Reason
from practicum_core.stages.serve import LoraRank, ServeConfig
from practicum_jobs.context import StageContext
from practicum_jobs.models.adapters import AdapterFiles, check_adapter_base
from practicum_jobs.models.sources import ensure_adapter


@dataclass(frozen=True)
class ServedAdapter:
    """One adapter.

    Attributes:
        name: In requests.
        folder: Where it lies.
        rank: Of its largest matrix.
        num_parameters: Numbers in its matrices.
        note: What could not be checked; empty where all was.
    """

    name: str
    folder: Path
    rank: int
    num_parameters: int
    note: str = ""


def ensure_adapters(config: ServeConfig, base: Path, names: Sequence[str], ctx: StageContext) -> list[ServedAdapter]:
    """Bring the adapters to this machine and check that each belongs to the base model.

    Args:
        config: Names the adapters and the limit of their ranks.
        base: Folder of the base model.
        names: Of the base model in requests.
        ctx: Of the stage.

    Raises:
        ConfigError: One does not exist, was made for another base model, has a rank above the limit, or has parts that
            vLLM does not compute.
    """
    adapters = []
    for name, uri in config.adapters.items():
        if name in names:
            raise ConfigError(f"adapter '{name}': the base model has this name", "choose another name for the adapter")
        files = ensure_adapter(ctx.resolve_uri(uri, "adapter"), ctx.cache_dir)
        note = check_adapter_base(files, uri, config.model, base)
        _check_form(files, uri, config.max_lora_rank)
        adapters.append(ServedAdapter(name, files.folder, files.rank, files.num_parameters, note))
        ctx.raise_if_stopped()
    return adapters


def _check_form(files: AdapterFiles, uri: str, max_rank: int) -> None:
    if not 0 < files.rank <= max_rank:
        what = f"rank {files.rank}, above the limit of {max_rank}" if files.rank else "no LoRA matrices"
        fix = "raise serve.max_lora_rank, or train it with a lower rank" if files.rank else "export the adapter again"
        raise ConfigError(f"{uri}: {what}", fix, Reason.MODEL_MISSING)
    features = files.find_features()
    if features:
        raise ConfigError(
            f"{uri}: it has {', '.join(features)}, which vLLM does not compute",
            "serve the merged model instead",
            Reason.MODEL_MISSING,
        )


def choose_rank(adapters: Sequence[ServedAdapter]) -> int:
    """Return the smallest rank of vLLM's that holds all adapters.

    >>> choose_rank([ServedAdapter("a", Path(), 8, 0), ServedAdapter("b", Path(), 20, 0)])
    32
    """
    largest = max(adapter.rank for adapter in adapters)
    ranks: tuple[int, ...] = get_args(LoraRank)
    return min(rank for rank in ranks if rank >= largest)
