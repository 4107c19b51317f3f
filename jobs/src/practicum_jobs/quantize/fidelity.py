"""How close a GGUF file is to its original, by the logits of llama.cpp."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from practicum_core.stages.quantize import Fidelity, FidelityText
from practicum_jobs.models.tokens import ChatTokenizer
from practicum_jobs.scoring.fidelity import compare_text, summarize_distances

_ENGINE = "ik_llama.cpp"
_REFERENCE = "reference.npy"
_CONTEXT_STEP = 256


def measure_gguf(
    path: Path, original: Path, texts: Sequence[FidelityText], scratch: Path, tokenizer: ChatTokenizer
) -> tuple[Fidelity, int]:
    """Return the distance of a GGUF file from the original, and how many texts its tokenizer reads differently.

    Args:
        path: The GGUF file.
        original: Folder of the original, which is computed in float32.
        texts: What is compared.
        scratch: Folder in which the original's probabilities are kept between two calls.
        tokenizer: Of the original.

    Raises:
        ConfigError: llama.cpp cannot load the file.
    """
    from practicum_jobs.adapters.llama_logits import LlamaLogits  # noqa: PLC0415 - in the environment `quantize` alone
    from practicum_jobs.adapters.reference_logits import (  # noqa: PLC0415 - imports torch
        get_num_threads,
        read_reference,
        write_reference,
    )

    sequences = [text.token_ids for text in texts]
    if not (scratch / _REFERENCE).is_file():
        write_reference(original, sequences, scratch / _REFERENCE)
    references = read_reference(scratch / _REFERENCE, sequences)
    longest = max(map(len, sequences))
    size = (longest // _CONTEXT_STEP + 1) * _CONTEXT_STEP
    distances, differing = {}, 0
    with LlamaLogits(path, size, get_num_threads()) as model:
        for text, reference in zip(texts, references, strict=True):
            distances[text.id] = compare_text(reference, model.compute(text.token_ids), text.token_ids)
            plain = text.prompt
            differing += model.tokenize(plain) != tokenizer.encode(plain)
    summary = summarize_distances(distances, {text.id: text.language for text in texts})
    return Fidelity(engine=_ENGINE, **vars(summary)), differing
