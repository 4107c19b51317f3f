"""The distance of two models from arrays whose KL divergence is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import entropy

from practicum_jobs.scoring.fidelity import compare_text, compute_log_probabilities, summarize_distances

LOGITS = np.array([[0.0, 1.0, 2.0], [3.0, 0.0, 0.0], [0.0, 0.0, 0.0]], dtype=np.float32)


def test_a_model_is_at_no_distance_from_itself():
    distance = compare_text(compute_log_probabilities(LOGITS), LOGITS, [0, 2, 1])
    assert distance.kl_sum == pytest.approx(0, abs=1e-6)
    assert (distance.num_same_top, distance.num_tokens) == (2, 2)


def test_the_divergence_is_that_of_scipy():
    other = LOGITS[:, ::-1] * 0.5
    distance = compare_text(compute_log_probabilities(LOGITS), other, [0, 2, 1])
    known = [np.exp(compute_log_probabilities(rows)) for rows in (LOGITS, other)]
    assert distance.kl_sum == pytest.approx(sum(entropy(known[0][at], known[1][at]) for at in range(2)), rel=1e-5)
    assert distance.num_same_top == 0
    assert distance.loss_sum == pytest.approx(-math.log(known[1][0][2]) - math.log(known[1][1][1]), rel=1e-5)


def test_padding_of_the_vocabulary_counts_for_nothing():
    padded = np.concatenate([LOGITS, np.full((3, 5), 99.0, dtype=np.float32)], axis=1)
    assert compare_text(compute_log_probabilities(LOGITS), padded, [0, 2, 1]).kl_sum == pytest.approx(0, abs=1e-6)


def test_perplexity_is_pooled_over_the_tokens_of_a_language():
    reference = compute_log_probabilities(LOGITS)
    texts = {"a": compare_text(reference, LOGITS, [0, 2, 1]), "b": compare_text(reference, LOGITS, [1, 0, 0])}
    both = summarize_distances(texts, {"a": "en", "b": "en"})
    assert both.perplexity["en"] == pytest.approx(math.exp((texts["a"].loss_sum + texts["b"].loss_sum) / 4))
    apart = summarize_distances(texts, {"a": "en", "b": "zh"})
    assert apart.perplexity["zh"] == pytest.approx(math.exp(texts["b"].loss_sum / 2))
    assert set(apart.kl_by_text) == {"a", "b"}


@pytest.mark.parametrize("token_ids", [[1], [0, 1], [0, 1, 2, 0]])
def test_shapes_that_do_not_fit_are_refused(token_ids):
    with pytest.raises(ValueError, match="positions for"):
        compare_text(compute_log_probabilities(LOGITS), LOGITS, token_ids)


def test_a_logit_that_is_no_number_is_refused():
    with pytest.raises(ValueError, match="not finite"):
        compare_text(compute_log_probabilities(LOGITS), LOGITS * np.nan, [0, 2, 1])
