"""Checks that the data has every split that steps read, by the names of its files alone: before any file is fetched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from practicum_core.data_folders import DataListing
from practicum_core.data_formats import get_suffix
from practicum_core.errors import DataError, Reason, suggest_similar
from practicum_core.stages.snapshot import DataLock

_SAVED = ".arrow"
"""Files of a data set that the ``datasets`` library saved: one folder per split, which cannot be made by hand."""


def check_needed_splits(needed: Mapping[str, Sequence[str]], source: DataListing) -> None:
    """Check that a data set has every split that later steps read.

    Args:
        needed: For each split, the names of the steps that read it.
        source: The splits and files of the data set.

    Raises:
        DataError: Splits are missing. The message names them, the steps that read them, and the files to add.
    """
    missing = [split for split in needed if split not in source.splits]
    if not missing:
        return
    told = ", ".join(
        f"'{split}' (read by {_join(needed[split])}){suggest_similar(split, source.splits)}" for split in missing
    )
    found = ", ".join(source.splits)
    raise DataError(f"{source.uri}: no split {told}; found: {found}", _build_fix(missing, source), Reason.DATA_MISSING)


def check_filled_splits(needed: Mapping[str, Sequence[str]], lock: DataLock) -> None:
    """Check that no split that later steps read is empty.

    Raises:
        DataError: A split has no rows.
    """
    empty = [split for split in needed if lock.splits[split].num_rows == 0]
    if empty:
        told = ", ".join(f"'{split}' (read by {_join(needed[split])})" for split in empty)
        raise DataError(f"{lock.uri}: no rows in the split {told}", "put rows into its file")


def _build_fix(missing: Sequence[str], source: DataListing) -> str:
    """Name the files to add, with the naming scheme of the existing files."""
    files = [file for found in source.files.values() for file in found]
    if not files:
        return f"name one of the splits that are there: {', '.join(source.splits)}"
    first = files[0].name
    ending = first[first.lower().rindex(get_suffix(first)) :]
    names = _join([f"{split}{ending}" for split in missing])
    if source.is_single_file:
        folder = "a folder that holds it under the name"
        return f"{first} alone is train: make {folder} train{ending}, and beside it {names}, and give that folder"
    return f"add {names} to the data" if ending != _SAVED else f"save the data set with the split {_join(missing)}"


def _join(names: Sequence[str]) -> str:
    """Join names.

    >>> _join(["a"]), _join(["a", "b"]), _join(["a", "b", "c"])
    ('a', 'a and b', 'a, b and c')
    """
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
