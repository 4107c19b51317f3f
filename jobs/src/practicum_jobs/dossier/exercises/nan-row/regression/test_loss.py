"""A row without a token that counts adds nothing to the loss."""

from __future__ import annotations

import math
import unittest

import loss
import numpy as np

ORDINARY = loss.Row([1, 2, 3], [False, True, True])
CUT = loss.Row([4, 5, 6], [False, False, False])


class LossTest(unittest.TestCase):
    def test_a_row_without_a_counted_token_changes_nothing(self):
        weights = np.zeros((8, 8))
        alone, gradient_alone = loss.compute(weights, [ORDINARY])
        both, gradient_both = loss.compute(weights, [ORDINARY, CUT])
        self.assertAlmostEqual(alone, math.log(8))
        self.assertAlmostEqual(both, alone)
        np.testing.assert_allclose(gradient_both, gradient_alone)

    def test_a_batch_of_such_rows_has_a_loss(self):
        value, _ = loss.compute(np.zeros((8, 8)), [CUT])
        self.assertTrue(math.isfinite(value))
