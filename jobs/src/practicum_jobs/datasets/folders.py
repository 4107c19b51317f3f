"""Decides which files of a local path belong to which split.

A file stands for ``train``; in a folder, names say the split: ``train.jsonl``, ``test-00000-of-00002.parquet``, or a
folder per split. ``truth.jsonl`` names planted flaws and is no split.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Mapping
from pathlib import Path

from practicum_core.errors import DataError, Reason
from practicum_jobs.datasets.columnar import find_dataset_files, is_dataset_folder
from practicum_jobs.datasets.readers import SUFFIXES

TRUTH = "truth.jsonl"
ALIASES: Mapping[str, str] = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "eval": "validation",
    "test": "test",
    "testing": "test",
    "control": "control",
}
"""First word of a file's or folder's name, to split; in the order in which splits are read."""

_NO_DATA = frozenset({TRUTH, "manifest.json", "dataset_info.json", "dataset_infos.json", "state.json", "config.json"})
_WORD = re.compile(r"[A-Za-z]+")


def find_split_files(path: Path) -> dict[str, tuple[Path, ...]]:
    """Return the files of each split below ``path``, train first.

    Raises:
        DataError: Nothing lies there, or files whose split cannot be told.
    """
    mode = _read_mode(path)
    if stat.S_ISREG(mode):
        return {"train": (path,)}
    if not stat.S_ISDIR(mode):
        raise DataError(f"{path}: neither a file nor a folder", "give a file or a folder of files", Reason.DATA_MISSING)
    if is_dataset_folder(path):
        return _order(find_dataset_files(path))
    files = [file for file in _list_files(path) if file.suffix in SUFFIXES and file.name not in _NO_DATA]
    if not files:
        kinds = ", ".join(SUFFIXES)
        raise DataError(f"{path}: no data files in this folder", f"give {kinds} files", Reason.DATA_MISSING)
    splits: dict[str, list[Path]] = {}
    unknown = [file for file in files if _get_split(file, path) is None]
    if unknown and len(unknown) < len(files):
        raise DataError(
            f"{unknown[0]}: the name does not say which split it is", f"start it with one of: {', '.join(ALIASES)}"
        )
    for file in files:
        splits.setdefault(_get_split(file, path) or "train", []).append(file)
    return _order({name: tuple(found) for name, found in splits.items()})


def _read_mode(path: Path) -> int:
    """Return the kind of ``path``, which must lie in folders that this user may enter, and be one where it is one."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            next(path.iterdir(), None)
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file or folder", "check the path", Reason.DATA_MISSING) from error
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}", "check its permissions", Reason.DATA_MISSING) from error
    return mode


def _list_files(folder: Path) -> list[Path]:
    """List the files of a folder and of the folders in it; links that leave it are not followed."""
    root = folder.resolve()
    try:
        found = [*folder.iterdir(), *(file for sub in folder.iterdir() if sub.is_dir() for file in sub.iterdir())]
    except OSError as error:
        raise DataError(f"{folder}: {error.strerror}", "check its permissions", Reason.DATA_MISSING) from error
    return sorted(file for file in found if file.is_file() and file.resolve().is_relative_to(root))


def _get_split(file: Path, root: Path) -> str | None:
    names = [file.stem] if file.parent == root else [file.parent.name, file.stem]
    for name in names:
        word = _WORD.match(name)
        if word and word[0].lower() in ALIASES:
            return ALIASES[word[0].lower()]
    return None


def _order(splits: Mapping[str, tuple[Path, ...]]) -> dict[str, tuple[Path, ...]]:
    known = list(dict.fromkeys(ALIASES.values()))
    named = {ALIASES.get(name.lower(), name): files for name, files in splits.items()}
    return dict(sorted(named.items(), key=lambda item: known.index(item[0]) if item[0] in known else len(known)))
