"""The files of a data set by split: below a local path, or of the listing of a store.

A file stands for ``train``. In a folder the names of files, or of the folders around them, say the split:
``belle_train.jsonl``, ``test-00000-of-00002.parquet``, ``test/part-0.csv``. A name that says two splits, or none beside
names that say one, is refused. Hidden files are passed over. ``truth.jsonl`` names planted flaws and is no split.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath, PurePosixPath
from typing import TypeVar

from practicum_core.data_formats import SUFFIXES, get_suffix
from practicum_core.errors import DataError, Reason
from practicum_core.name_lists import name_some
from practicum_core.saved_datasets import find_dataset_files, is_dataset_folder
from practicum_core.split_names import ORDER, find_splits, get_rank

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
_TASK_SUFFIXES = (".yaml", ".yml")
_DIGITS = re.compile(r"\d+")
_AnyPath = TypeVar("_AnyPath", bound=PurePath)


@dataclass(frozen=True)
class DataListing:
    """The splits of a data set and their files, of which nothing is read.

    Attributes:
        uri: As messages name the data set.
        files: Files of each split, train first; no files where rows are generated.
        is_single_file: Whether the URI names one file and no folder.
    """

    uri: str
    files: Mapping[str, Sequence[PurePath]] = field(default_factory=dict)
    is_single_file: bool = False

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits, train first."""
        return tuple(self.files)


def is_task_file(path: PurePath) -> bool:
    """Whether a file is a task by its name: YAML that puts a data file, a prompt and a scorer together.

    >>> is_task_file(PurePath("capitals.yaml")), is_task_file(PurePath("test.jsonl"))
    (True, False)
    """
    return path.suffix.lower() in _TASK_SUFFIXES


def list_path(path: Path, uri: str = "") -> DataListing:
    """List the splits of a local file or folder.

    Raises:
        DataError: Nothing lies there, or files whose split cannot be told.
    """
    return DataListing(uri or path.resolve().as_uri(), find_split_files(path), is_single_file=path.is_file())


def list_names(uri: str, names: Sequence[str]) -> DataListing:
    """Tell the splits of a store's data files by their names, before any of them is copied.

    Args:
        uri: Of the data set.
        names: Paths of the files below the URI.

    Raises:
        DataError: Files whose split cannot be told.

    >>> list_names("hf://datasets/a/b", ["data/test-0.parquet", "data/train-0.parquet"]).splits
    ('train', 'test')
    """
    paths = [PurePosixPath(name) for name in sorted(names)]
    if any(name in {"dataset_dict.json", "state.json"} for name in names):
        parts: dict[str, tuple[PurePosixPath, ...]] = {}
        for path in paths:
            if path.suffix == ".arrow":
                parts[str(path.parent)] = (*parts.get(str(path.parent), ()), path)
        is_divided = "dataset_dict.json" in names
        return DataListing(uri, _name_splits(uri, parts) if is_divided else {"train": parts.get(".", ())})
    told = _tell_splits(uri, PurePosixPath(), [path for path in paths if _is_data(path.name)])
    files = _group_by_split(told)
    return DataListing(uri, files)


def find_split_files(path: Path) -> dict[str, tuple[Path, ...]]:
    """Return the files of each split below ``path``, train first.

    Raises:
        DataError: Nothing lies there, or files whose split cannot be told.
    """
    mode = _read_mode(path)
    if stat.S_ISREG(mode):
        return {_tell_split_of_task(path) if is_task_file(path) else "train": (path,)}
    if not stat.S_ISDIR(mode):
        raise DataError(f"{path}: neither a file nor a folder", "give a file or a folder of files", Reason.DATA_MISSING)
    if is_dataset_folder(path):
        return _name_splits(str(path), find_dataset_files(path))
    files = list_data_files(path)
    if not files:
        kinds = ", ".join(SUFFIXES)
        raise DataError(
            f"{path}: no data files in this folder", f"give {kinds} files; text also .gz and .zst", Reason.DATA_MISSING
        )
    return _group_by_split(_tell_splits(str(path), path, files))


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


def _group_by_split(told: Mapping[_AnyPath, str]) -> dict[str, tuple[_AnyPath, ...]]:
    splits: dict[str, list[_AnyPath]] = {}
    for file, split in told.items():
        splits.setdefault(split, []).append(file)
    return {name: tuple(splits[name]) for name in sorted(splits, key=get_rank)}


def _tell_splits(place: str, root: PurePath, files: Sequence[_AnyPath]) -> dict[_AnyPath, str]:
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
            f"{place}: the names do not say which split these files are: {named}",
            f"put one of these words into each name: {', '.join(ORDER)}",
        )
    return {file: next(iter(splits)) for file, splits in told.items()}


def _find_splits(relative: PurePath) -> set[str]:
    """Return what the names of a file and of the folders around it say."""
    stem = relative.name.partition(".")[0]
    return find_splits([stem, *relative.parts[:-1]])


def _is_one_set(files: Sequence[PurePath]) -> bool:
    """Whether files are the parts of one set: their names differ in numbers alone."""
    return len({_DIGITS.sub("0", str(file)) for file in files}) == 1


def _name_splits(place: str, parts: Mapping[str, tuple[_AnyPath, ...]]) -> dict[str, tuple[_AnyPath, ...]]:
    """Give the parts of a saved data set the usual names of splits; a part of another name keeps it."""
    named: dict[str, str] = {}
    for part in parts:
        splits = find_splits([part])
        split = next(iter(splits)) if len(splits) == 1 else part
        if split in named:
            raise DataError(
                f"{place}: the parts '{named[split]}' and '{part}' are both {split}", "name the folder of one part"
            )
        named[split] = part
    return {split: parts[named[split]] for split in sorted(named, key=get_rank)}


def _tell_split_of_task(path: Path) -> str:
    """Return the split that a task's name says; ``test`` where it says none, because tasks are there to test."""
    named = find_splits([path.stem])
    return next(iter(named)) if len(named) == 1 else "test"
