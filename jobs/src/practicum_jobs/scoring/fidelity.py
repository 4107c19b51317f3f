"""How far the probabilities of one model are from those of another on the same tokens. Pure.

Names of arrays carry their shape: T positions of a text, V entries of the vocabulary.
"""
# ruff: noqa: N803, N806 - the shape suffixes named above

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class TextDistance:
    """Sums over the positions of one text that predict a further token of it."""

    num_tokens: int
    kl_sum: float
    num_same_top: int
    loss_sum: float

    @property
    def kl_mean(self) -> float:
        """Mean KL divergence of a position, in nats."""
        return self.kl_sum / self.num_tokens


def compute_log_probabilities(logits_TV: Floats) -> Floats:
    """Return the logarithm of the softmax of each row.

    >>> round(float(np.exp(compute_log_probabilities(np.zeros((1, 4), dtype=np.float32)))[0, 0]), 3)
    0.25
    """
    shifted = logits_TV - logits_TV.max(axis=-1, keepdims=True)
    log_TV: Floats = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return log_TV


def compare_text(reference_TV: Floats, logits_TV: Floats, token_ids: Sequence[int]) -> TextDistance:
    """Compare the predictions of a model with reference log-probabilities, position by position.

    Args:
        reference_TV: Log-probabilities of the reference model.
        logits_TV: Logits of the compared model; its vocabulary may be padded beyond the reference's.
        token_ids: The T tokens of the text. Position t predicts token t + 1, so the last position counts for nothing.

    Raises:
        ValueError: The shapes do not belong together, or a logit is not finite.
    """
    count = len(token_ids) - 1
    if count < 1 or len(reference_TV) != len(token_ids) or len(logits_TV) != len(token_ids):
        raise ValueError(f"{len(reference_TV)} and {len(logits_TV)} positions for {len(token_ids)} tokens")
    log_TV = compute_log_probabilities(logits_TV[:count, : reference_TV.shape[1]].astype(np.float32))
    if not np.isfinite(log_TV).all():
        raise ValueError("a logit is not finite")
    known_TV = reference_TV[:count]
    kl_T = (np.exp(known_TV) * (known_TV - log_TV)).sum(axis=-1, dtype=np.float64)
    same_T = known_TV.argmax(axis=-1) == log_TV.argmax(axis=-1)
    loss_T = -log_TV[np.arange(count), np.asarray(token_ids[1:])]
    return TextDistance(count, float(kl_T.sum()), int(same_T.sum()), float(loss_T.sum(dtype=np.float64)))


@dataclass(frozen=True)
class Distance:
    """The distance over several texts."""

    num_tokens: int
    kl_mean: float
    top1_agreement: float
    perplexity: Mapping[str, float]
    kl_by_text: Mapping[str, float]


def summarize_distances(by_text: Mapping[str, TextDistance], languages: Mapping[str, str]) -> Distance:
    """Pool the positions of all texts, and those of each language for the perplexity.

    >>> one = TextDistance(num_tokens=2, kl_sum=0.5, num_same_top=1, loss_sum=0.0)
    >>> summarize_distances({"a": one}, {"a": "en"}).perplexity
    {'en': 1.0}
    """
    total = sum(one.num_tokens for one in by_text.values())
    if not total:
        raise ValueError("no text")
    perplexity = {}
    for language in dict.fromkeys(languages[name] for name in by_text):
        own = [one for name, one in by_text.items() if languages[name] == language]
        perplexity[language] = math.exp(sum(one.loss_sum for one in own) / sum(one.num_tokens for one in own))
    return Distance(
        num_tokens=total,
        kl_mean=sum(one.kl_sum for one in by_text.values()) / total,
        top1_agreement=sum(one.num_same_top for one in by_text.values()) / total,
        perplexity=perplexity,
        kl_by_text={name: one.kl_mean for name, one in by_text.items()},
    )
