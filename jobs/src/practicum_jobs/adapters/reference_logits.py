"""Log-probabilities of a model in float32 on whole texts, written to a file that other processes map."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from practicum_jobs.adapters.generation import get_num_threads, load_causal_lm

__all__ = ["get_num_threads", "read_reference", "write_reference"]


def write_reference(folder: Path, texts: Sequence[Sequence[int]], path: Path) -> None:
    """Write the log-probability of every vocabulary entry at every position of the texts, one text after the other.

    The file is a NumPy array of shape (all tokens, vocabulary) in float32: 200 KB a token for 49,152 entries.
    """
    loaded = load_causal_lm(folder, dtype="float32")
    total, size = sum(map(len, texts)), int(loaded.model.config.vocab_size)
    array = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(total, size))
    start = 0
    for token_ids in texts:
        with torch.inference_mode():
            logits = loaded.model(input_ids=torch.tensor([list(token_ids)], device=loaded.device)).logits[0]
        array[start : start + len(token_ids)] = torch.log_softmax(logits.float(), dim=-1).cpu().numpy()
        start += len(token_ids)
    array.flush()


def read_reference(path: Path, texts: Sequence[Sequence[int]]) -> list[npt.NDArray[np.float32]]:
    """Return the log-probabilities of each text, mapped from the file."""
    array = np.load(path, mmap_mode="r")
    ends = np.cumsum([len(token_ids) for token_ids in texts])
    return [array[end - len(token_ids) : end] for end, token_ids in zip(ends, texts, strict=True)]
