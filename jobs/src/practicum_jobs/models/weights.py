"""Safetensors files of a model folder: which are loaded, what their headers say, and whether they are whole.

Reads headers only, never weights. Source: "Format" in the README of safetensors, and the names that transformers
looks for (``SAFE_WEIGHTS_NAME``, ``SAFE_WEIGHTS_INDEX_NAME``).
"""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from practicum_core.errors import ConfigError, Reason
from practicum_core.name_lists import name_some
from practicum_jobs.models.json_files import describe_stand_in, read_object

WHOLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
_LENGTH_BYTES = 8
_MAX_HEADER_BYTES = 100_000_000
"""The limit of the safetensors library itself."""
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,230}\.safetensors")
_SHOWN = 3
_FETCH = "fetch the model again, whole"

Header = Mapping[str, tuple[int, ...]]
"""Shape of each tensor by its name."""


def find_weight_problems(folder: Path) -> tuple[list[str], Header]:
    """Return what is wrong with the weights of a model folder, and the shapes of the tensors that can be read."""
    if (folder / WHOLE).is_file():
        return _find_problems_in([WHOLE], folder)
    if (folder / INDEX).is_file():
        return _find_shard_problems(folder)
    found = sorted(file.name for file in folder.glob("*.safetensors"))
    if not found:
        return ["no *.safetensors (pickled weights are not loaded)"], {}
    missing = INDEX if any("-of-" in name for name in found) else WHOLE
    return [f"no {missing}, by which weights are found (there is {name_some(found, _SHOWN)})"], {}


def count_parameters(path: Path) -> int:
    """Count the numbers in a safetensors file from its header.

    Raises:
        ConfigError: The file is cut off or of another format.
    """
    return sum(math.prod(shape) for shape in read_header(path).values())


def read_header(path: Path) -> dict[str, tuple[int, ...]]:
    """Read the shape of each tensor in a safetensors file, and check its size against what the header promises.

    Raises:
        ConfigError: The file is cut off or of another format.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as handle:
            start = handle.read(_LENGTH_BYTES)
            length = struct.unpack("<Q", start)[0] if len(start) == _LENGTH_BYTES else 0
            is_possible = 0 < length <= min(_MAX_HEADER_BYTES, size - _LENGTH_BYTES)
            text = handle.read(length if is_possible else _LENGTH_BYTES)
    except OSError as error:
        raise _refuse(path, error.strerror or str(error), "make the file readable, or fetch the model again") from error
    if not is_possible:
        raise _refuse(path, describe_stand_in(start + text) or "cut off, or not a safetensors file")
    try:
        entries = json.loads(text)
        tensors = {str(name): _read_entry(entry) for name, entry in entries.items() if name != "__metadata__"}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _refuse(path, "not a safetensors file (its header cannot be read)") from error
    promised = _LENGTH_BYTES + length + max((end for _, end in tensors.values()), default=0)
    if size != promised:
        what = "cut off" if size < promised else "longer than it should be"
        raise _refuse(path, f"{what}: its header promises {promised:,} bytes, the file has {size:,}")
    return {name: shape for name, (shape, _) in tensors.items()}


def _read_entry(entry: Mapping[str, Any]) -> tuple[tuple[int, ...], int]:
    """Return shape and end of a tensor of a header."""
    begin, end = entry["data_offsets"]
    shape = tuple(entry["shape"])
    numbers = (begin, end, *shape)
    if not isinstance(entry["dtype"], str) or any(type(number) is not int or number < 0 for number in numbers):
        raise ValueError(entry)
    return shape, end


def _find_problems_in(names: list[str], folder: Path) -> tuple[list[str], dict[str, tuple[int, ...]]]:
    problems, tensors = [], {}
    for name in names:
        try:
            tensors.update(read_header(folder / name))
        except ConfigError as error:
            problems.append(error.detail.removeprefix(f"{folder}/"))
    return problems, tensors


def _find_shard_problems(folder: Path) -> tuple[list[str], Header]:
    try:
        places = read_object(folder / INDEX).get("weight_map")
    except ConfigError as error:
        return [error.detail.removeprefix(f"{folder}/")], {}
    if not isinstance(places, dict) or not places or not all(map(_is_plain, places.values())):
        return [f"{INDEX}: no weight_map from tensors to files of this folder"], {}
    shards = sorted(set(places.values()))
    missing = [name for name in shards if not (folder / name).is_file()]
    problems, tensors = _find_problems_in([name for name in shards if name not in missing], folder)
    if missing:
        links = " (broken links)" if any((folder / name).is_symlink() for name in missing) else ""
        problems.append(
            f"{len(missing)} of {len(shards)} weight files are missing: {name_some(missing, _SHOWN)}{links}"
        )
    lost = sorted(places.keys() - tensors.keys())
    if lost and not problems:
        problems.append(f"{len(lost)} tensors of {INDEX} lie in no file: {name_some(lost, _SHOWN)}")
    return problems, tensors


def _is_plain(name: object) -> bool:
    return isinstance(name, str) and _FILE_NAME.fullmatch(name) is not None


def _refuse(path: Path, what: str, fix: str = _FETCH) -> ConfigError:
    return ConfigError(f"{path}: {what}", fix, Reason.MODEL_MISSING)
