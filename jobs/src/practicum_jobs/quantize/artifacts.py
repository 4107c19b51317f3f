"""The artifacts of a quantization: made once for a model and a recipe, kept in the cache, linked into the run."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from practicum_core.atomic import explain_os_errors
from practicum_core.content_hash import hash_path, iter_files
from practicum_core.errors import ConfigError
from practicum_jobs.models.gguf import GgufFile
from practicum_jobs.quantize.recipes import GGUF_FILE, Recipe
from practicum_jobs.storage.onceonly import ensure_folder, hold_lock

_NOTE = "made.json"
_FILES = "files"


@dataclass(frozen=True)
class Made:
    """An artifact in the cache.

    Attributes:
        folder: Its files.
        sha256: Of them.
        make_s: How long it took to make, in the run that did.
        is_cached: Whether an earlier run made it.
    """

    folder: Path
    sha256: str
    make_s: float
    is_cached: bool


def ensure_artifact(recipe: Recipe, model_sha256: str, cache_dir: Path, fill: Callable[[Path], None]) -> Made:
    """Return an artifact from the cache, made first where it is not there or its files changed.

    Args:
        recipe: What it is.
        model_sha256: Of the original.
        cache_dir: Cache of this machine.
        fill: Fills the empty folder of the artifact.
    """
    folder = cache_dir / "quantized" / recipe.build_key(model_sha256)
    is_cached = True
    _remove_damaged(folder)

    def build(partial: Path) -> None:
        nonlocal is_cached
        is_cached = False
        files = partial / _FILES
        files.mkdir()
        started_s = time.perf_counter()
        fill(files)
        note = {"make_s": round(time.perf_counter() - started_s, 3), "sha256": hash_path(files), "name": recipe.name}
        (partial / _NOTE).write_text(json.dumps(note), encoding="utf-8")

    ensure_folder(folder, build)
    note = json.loads((folder / _NOTE).read_text(encoding="utf-8"))
    return Made(folder / _FILES, note["sha256"], note["make_s"], is_cached)


def _remove_damaged(folder: Path) -> None:
    """Remove an artifact whose files are not those that were written: a half-written file is made again."""
    if not folder.is_dir():
        return
    with explain_os_errors(folder), hold_lock(folder.parent / f".{folder.name}.lock"):
        if folder.is_dir() and not _is_whole(folder):
            shutil.rmtree(folder)


def _is_whole(folder: Path) -> bool:
    try:
        note = json.loads((folder / _NOTE).read_text(encoding="utf-8"))
        return bool(note["sha256"] == hash_path(folder / _FILES))
    except (OSError, ValueError, LookupError, TypeError):
        return False


def place(made: Made, target: Path) -> None:
    """Put an artifact into the run: hard links where the disk is the same, copies elsewhere."""
    with explain_os_errors(target):
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        for file in iter_files(made.folder):
            own = target / file.relative_to(made.folder)
            own.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(file, own)
            except OSError:
                shutil.copyfile(file, own)


@dataclass(frozen=True)
class Weights:
    """What the tensors of an artifact weigh, and in which number formats they are."""

    size_bytes: int
    types: dict[str, int]


def weigh(folder: Path) -> Weights:
    """Add up the tensors of a GGUF file or of safetensors files.

    Raises:
        ConfigError: A file is cut off.
    """
    if (folder / GGUF_FILE).is_file():
        sizes, kinds = GgufFile(folder / GGUF_FILE).list_types()
        return Weights(sum(sizes), dict(Counter(kinds)))
    entries = [entry for path in sorted(folder.glob("*.safetensors")) for entry in _read_entries(path)]
    if not entries:
        raise ConfigError(f"{folder}: no weights were written", "delete the folder, and run the step again")
    size = sum(entry["data_offsets"][1] - entry["data_offsets"][0] for entry in entries)
    return Weights(size, dict(Counter(str(entry["dtype"]) for entry in entries)))


def _read_entries(path: Path) -> Sequence[dict[str, Any]]:
    with path.open("rb") as handle:
        length = int.from_bytes(handle.read(8), "little")
        header = json.loads(handle.read(length))
    return [entry for name, entry in header.items() if name != "__metadata__"]
