"""GGUF files, read by the package of llama.cpp's authors: metadata, and tensors as float32. Knows no architecture.

The package is in the environment that loads models; elsewhere a converted model is found in the cache.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from practicum_core.errors import ConfigError, PlatformError, Reason

Floats = npt.NDArray[np.float32]
_MALFORMED = (ValueError, LookupError, OverflowError, TypeError)
"""What the package raises for a file that is cut off or of another format."""


class GgufFile:
    """A GGUF file, opened for reading.

    Attributes:
        metadata: Every key with its value; arrays as lists.
        shapes: The shape of every tensor by its name in the file, in numpy's order.

    Raises:
        ConfigError: The file is cut off or of another format.
        PlatformError: This environment has no reader.
    """

    def __init__(self, path: Path) -> None:
        try:
            import gguf  # noqa: PLC0415 - in the environment that loads models alone
        except ImportError as error:
            raise PlatformError(
                Reason.ENVIRONMENT_MISSING,
                f"{path}: this environment cannot read GGUF files ({error})",
                "run the step `model` first, which converts the model in the environment 'train'",
            ) from error
        self._path = path
        self._dequantize = gguf.quants.dequantize
        try:
            reader = gguf.GGUFReader(path)
            self.metadata: dict[str, Any] = {name: field.contents() for name, field in reader.fields.items()}
        except _MALFORMED as error:
            raise self._refuse(f"cut off, or not a GGUF file ({error})") from error
        self._tensors = {tensor.name: tensor for tensor in reader.tensors}
        self.shapes = {name: tuple(reversed(tensor.shape.tolist())) for name, tensor in self._tensors.items()}

    def list_types(self) -> tuple[list[int], list[str]]:
        """Return the size in bytes and the number format of every tensor, such as ``Q4_K``."""
        tensors = self._tensors.values()
        return [int(tensor.n_bytes) for tensor in tensors], [tensor.tensor_type.name for tensor in tensors]

    def read_tensor(self, name: str) -> Floats:
        """Return a tensor as float32, dequantized exactly.

        Raises:
            ConfigError: The file has no such tensor, or holds it in a format that the package cannot read.
        """
        if name not in self._tensors:
            raise self._refuse(f"tensor '{name}' is missing")
        tensor = self._tensors[name]
        try:
            values: Floats = self._dequantize(tensor.data, tensor.tensor_type)
        except NotImplementedError as error:
            raise self._refuse(f"tensor '{name}' is in a format that cannot be read ({error})") from error
        return values

    def _refuse(self, problem: str) -> ConfigError:
        return ConfigError(f"{self._path}: {problem}", "bring the model's package again", Reason.MODEL_MISSING)
