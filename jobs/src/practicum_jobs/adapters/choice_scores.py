"""Log-probabilities of given continuations, in batches.

Names of tensors carry their shape: B continuations of a batch, T tokens, K tokens of the longest continuation,
V entries of the vocabulary.
"""
# ruff: noqa: N806 - the shape suffixes named above

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from practicum_jobs.adapters.answer_engine import ChoiceQuestion, ChoiceScores, gather_choices
from practicum_jobs.adapters.generation import LoadedModel, check_lengths, explain_memory, pad_left, read_padded


def iter_choice_scores(
    loaded: LoadedModel, questions: Sequence[ChoiceQuestion], batch_size: int
) -> Iterator[dict[int, ChoiceScores]]:
    """Yield the log-probability of each choice after its prompt, by place of the question.

    Args:
        loaded: The model.
        questions: Each with a prompt and its choices, none of them empty.
        batch_size: Continuations computed at once; a question is never divided.

    Raises:
        DataError: A prompt with a choice is longer than the model's context.
        MemoryError: The batch does not fit.
    """
    longest = [[*one.prompt, *max(one.choices, key=len)] for one in questions]
    check_lengths(loaded, longest, 0)
    order = sorted(range(len(questions)), key=lambda place: (-len(longest[place]), longest[place]))
    while order:
        places = [order.pop(0)]
        while order and sum(len(questions[place].choices) for place in [*places, order[0]]) <= batch_size:
            places.append(order.pop(0))
        pairs = [(questions[place].prompt, choice) for place in places for choice in questions[place].choices]
        with torch.inference_mode(), explain_memory():
            scores = _score_batch(loaded, pairs)
        yield dict(zip(places, gather_choices([questions[place] for place in places], scores), strict=True))


def _score_batch(loaded: LoadedModel, pairs: Sequence[tuple[list[int], list[int]]]) -> list[tuple[float, list[int]]]:
    width = max(len(choice) for _, choice in pairs)
    texts = [prompt + choice for prompt, choice in pairs]
    ids_BT, mask_BT = pad_left(texts, min(loaded.stop_ids, default=0), loaded.device)
    logits_BKV = loaded.model(
        input_ids=ids_BT,
        attention_mask=mask_BT,
        position_ids=(mask_BT.cumsum(1) - 1).clamp(min=0),
        logits_to_keep=width + 1,
    ).logits[:, :-1]
    targets_BK = ids_BT[:, -width:]
    logprobs_BK = logits_BKV.float().log_softmax(-1).gather(-1, targets_BK[..., None])[..., 0]
    scores = [float(logprobs_BK[row, width - len(choice) :].sum()) for row, (_, choice) in enumerate(pairs)]
    return list(zip(scores, read_padded(ids_BT, mask_BT), strict=True))
