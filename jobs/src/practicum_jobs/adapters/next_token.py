"""Log-probabilities of a few tokens right after a prompt, in batches.

Names of tensors carry their shape: B prompts of a batch, T tokens, V entries of the vocabulary.
"""
# ruff: noqa: N806 - the shape suffixes named above

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from practicum_jobs.adapters.generation import LoadedModel, check_lengths, explain_memory, pad_left


def iter_next_logprobs(
    loaded: LoadedModel, prompts: Sequence[list[int]], tokens: Sequence[int], batch_size: int
) -> Iterator[dict[int, tuple[float, ...]]]:
    """Yield the log-probability of each of ``tokens`` after each prompt, by place of the prompt, in nats.

    Raises:
        DataError: A prompt is longer than the model's context.
        MemoryError: The batch does not fit.
    """
    check_lengths(loaded, prompts, 1)
    order = sorted(range(len(prompts)), key=lambda place: (-len(prompts[place]), prompts[place]))
    for start in range(0, len(order), batch_size):
        places = order[start : start + batch_size]
        with torch.inference_mode(), explain_memory():
            ids_BT, mask_BT = pad_left(
                [prompts[place] for place in places], min(loaded.stop_ids, default=0), loaded.device
            )
            logits_BV = loaded.model(
                input_ids=ids_BT,
                attention_mask=mask_BT,
                position_ids=(mask_BT.cumsum(1) - 1).clamp(min=0),
                logits_to_keep=1,
            ).logits[:, -1]
            found = logits_BV.float().log_softmax(-1)[:, list(tokens)].tolist()
        yield dict(zip(places, map(tuple, found), strict=True))
