"""Logits of whole texts from a GGUF file, computed by ik_llama.cpp through its C interface.

llama.cpp's Python packages with prebuilt wheels give the most probable tokens of generated text only; the distance of
two models needs the probability of every token at every position.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from practicum_core.errors import ConfigError, PlatformError, Reason

Floats = npt.NDArray[np.float32]


class LlamaLogits:
    """A GGUF file, loaded. Use it as a context manager, or call ``close``.

    Raises:
        ConfigError: The file cannot be loaded: it is cut off, or of a kind that this version does not know.
    """

    def __init__(self, path: Path, context_size: int, num_threads: int) -> None:
        from ik_llama_cpp import _ctypes_api, _internals  # noqa: PLC0415 - in the environment `quantize` alone

        self._c: Any = _ctypes_api
        self._internals: Any = _internals
        try:
            self._model = _internals.IkModel(str(path))
            self._context = _internals.IkContext(
                self._model, n_ctx=context_size, n_threads=num_threads, flash_attn=False
            )
        except RuntimeError as error:
            raise ConfigError(
                f"{path}: llama.cpp cannot load it ({error})", "delete the file, and run the step again"
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the model."""
        self._context.close()
        self._model.close()

    def tokenize(self, text: str) -> list[int]:
        """Return the tokens of a text with special tokens read as such, by the tokenizer in the file."""
        return list(self._model.tokenize(text, add_bos=False, special=True))

    def compute(self, token_ids: Sequence[int]) -> Floats:
        """Return the logits after each token, shape (T, V)."""
        count = len(token_ids)
        with self._make_batch(token_ids) as batch:
            self._context.kv_cache_clear()
            code = self._context.decode(batch)
            if code != 0:
                raise PlatformError(Reason.INTERNAL, f"llama_decode returned {code} for {count} tokens", "report it")
        rows = [np.ctypeslib.as_array(self._get_row(place), (self._model.n_vocab,)) for place in range(count)]
        return np.stack(rows).astype(np.float32)

    def _get_row(self, place: int) -> Any:  # noqa: ANN401 - a ctypes pointer
        return self._c.llama_get_logits_ith(self._context.ctx, place)

    @contextlib.contextmanager
    def _make_batch(self, token_ids: Sequence[int]) -> Iterator[Any]:
        batch = self._internals.make_batch_range(list(token_ids), logits_last=False)
        try:
            for place in range(len(token_ids)):
                batch.logits[place] = 1
            yield batch
        finally:
            self._c.llama_batch_free(batch)
