"""The files of a local path, by split.

A file stands for ``train``. In a folder the names of files, or of the folders around them, say the split:
``belle_train.jsonl``, ``test-00000-of-00002.parquet``, ``test/part-0.csv``. A name that says two splits, or none beside
names that say one, is refused. Hidden files are passed over. ``truth.jsonl`` names planted flaws and is no split.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path

from practicum_core.data_formats import SUFFIXES, get_suffix
from practicum_core.errors import DataError, Reason
from practicum_core.name_lists import name_some
from practicum_jobs.datasets.columnar import find_dataset_files, is_dataset_folder
from practicum_jobs.datasets.split_names import ORDER, find_splits, get_rank

TRUTH = "truth.jsonl"
MAX_FILES = 10_000
SHOWN = 5

_NO_DATA = frozenset(
    {
        TRUTH,
        "manifest.json",
        "dataset_info.json",
        "dataset_infos.json",
        "dataset_dict.json",
        "state.json",
        "config.json",
    }
)
_DIGITS = re.compile(r"\d+")


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
        return _name_splits(path, find_dataset_files(path))
    files = list_data_files(path)
    if not files:
        kinds = ", ".join(SUFFIXES)
        raise DataError(
            f"{path}: no data files in this folder", f"give {kinds} files; text also .gz and .zst", Reason.DATA_MISSING
        )
    splits: dict[str, list[Path]] = {}
    for file, split in _tell_splits(path, files).items():
        splits.setdefault(split, []).append(file)
    return {name: tuple(splits[name]) for name in sorted(splits, key=get_rank)}


def list_data_files(folder: Path) -> list[Path]:
    """List the data files below a folder, sorted; links are followed, hidden files and folders are not looked at.

    Raises:
        DataError: A link leads nowhere, or there are too many files.
    """
    found: list[Path] = []
    walked: set[str] = set()
    for root, folders, names in os.walk(folder, followlinks=True):
        walked.add(os.path.realpath(root))
        # A linked folder that leads back to one that is walked would never end.
        folders[:] = sorted(
            name for name in folders if _is_shown(name) and os.path.realpath(Path(root, name)) not in walked
        )
        found += [Path(root, name) for name in names if _is_shown(name) and _is_data(name)]
        if len(found) > MAX_FILES:
            raise DataError(f"{folder}: more than {MAX_FILES:,} data files", "name the folder of the data alone")
    broken = next((file for file in found if file.is_symlink() and not file.exists()), None)
    if broken is not None:
        raise DataError(f"{broken}: a link that leads nowhere", "fetch the data set again", Reason.DATA_MISSING)
    return sorted(file for file in found if file.is_file())


def _is_shown(name: str) -> bool:
    return not name.startswith((".", "__MACOSX"))


def _is_data(name: str) -> bool:
    return get_suffix(name) in SUFFIXES and name not in _NO_DATA


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


def _tell_splits(root: Path, files: list[Path]) -> dict[Path, str]:
    """Return the split of each file, all of one set being ``train``.

    Raises:
        DataError: Some names say no split or several.
    """
    told = {file: _find_splits(file.relative_to(root)) for file in files}
    unclear = [file for file, splits in told.items() if len(splits) > 1]
    if not any(told.values()) and _is_one_set(files):
        return dict.fromkeys(files, "train")
    unclear += [file for file, splits in told.items() if not splits]
    if unclear:
        named = name_some([str(file.relative_to(root)) for file in unclear], SHOWN)
        raise DataError(
            f"{root}: the names do not say which split these files are: {named}",
            f"put one of these words into each name: {', '.join(ORDER)}",
        )
    return {file: next(iter(splits)) for file, splits in told.items()}


def _find_splits(relative: Path) -> set[str]:
    """Return what the names of a file and of the folders around it say."""
    stem = relative.name.partition(".")[0]
    return find_splits([stem, *relative.parts[:-1]])


def _is_one_set(files: list[Path]) -> bool:
    """Whether files are the parts of one set: their names differ in numbers alone."""
    return len({_DIGITS.sub("0", str(file)) for file in files}) == 1


def _name_splits(path: Path, parts: Mapping[str, tuple[Path, ...]]) -> dict[str, tuple[Path, ...]]:
    """Give the parts of a saved data set the usual names of splits; a part of another name keeps it."""
    named: dict[str, str] = {}
    for part in parts:
        splits = find_splits([part])
        split = next(iter(splits)) if len(splits) == 1 else part
        if split in named:
            raise DataError(
                f"{path}: the parts '{named[split]}' and '{part}' are both {split}", "name the folder of one part"
            )
        named[split] = part
    return {split: parts[named[split]] for split in sorted(named, key=get_rank)}
