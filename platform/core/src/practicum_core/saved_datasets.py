"""Folders that ``save_to_disk`` of Hugging Face ``datasets`` wrote: their splits, and the Arrow files of each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from practicum_core.errors import ConfigError, DataError, Reason
from practicum_core.layout import resolve_inside


def is_dataset_folder(path: Path) -> bool:
    """Whether ``save_to_disk`` of Hugging Face ``datasets`` wrote this folder (one data set, or one per split)."""
    return (path / "state.json").is_file() or (path / "dataset_dict.json").is_file()


def find_dataset_files(folder: Path) -> dict[str, tuple[Path, ...]]:
    """Return the Arrow files of each split of a data set folder; a single data set is ``train``.

    Raises:
        DataError: The folder's own JSON files are missing, malformed, or name files outside it.
    """
    if not (folder / "dataset_dict.json").is_file():
        return {"train": _find_files(folder)}
    names = _read_json(folder / "dataset_dict.json").get("splits")
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise DataError(f"{folder / 'dataset_dict.json'}: 'splits' must list names", "save the data set again")
    return {name: _find_files(_resolve(folder, name)) for name in names}


def _find_files(folder: Path) -> tuple[Path, ...]:
    state = _read_json(folder / "state.json")
    if state.get("_indices_files"):
        raise DataError(
            f"{folder / 'state.json'}: the rows are selected by an index file",
            "call flatten_indices() before save_to_disk()",
        )
    files = state.get("_data_files")
    if not isinstance(files, list) or not files or not all(isinstance(file, dict) for file in files):
        raise DataError(f"{folder / 'state.json'}: '_data_files' must list files", "save the data set again")
    return tuple(_resolve(folder, str(file.get("filename"))) for file in files)


def _resolve(folder: Path, name: str) -> Path:
    try:
        return resolve_inside(folder, name)
    except ConfigError as error:
        raise DataError(f"{folder}: names {name!r}, which lies outside", "save the data set again") from error


def _read_json(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}", "copy the whole data set folder", Reason.DATA_MISSING) from error
    except ValueError as error:
        raise DataError(f"{path}: not JSON ({error})", "save the data set again") from error
    if not isinstance(document, dict):
        raise DataError(f"{path}: expected an object", "save the data set again")
    return document
