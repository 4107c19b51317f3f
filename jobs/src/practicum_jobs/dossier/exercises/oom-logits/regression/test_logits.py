"""A long row fits into memory, and the loss stays what it was."""

from __future__ import annotations

import math
import tracemalloc
import unittest

import logits

CONFIG = {"vocabulary": 1024}


class LogitsTest(unittest.TestCase):
    def test_the_loss_is_that_of_equal_chances(self):
        self.assertAlmostEqual(logits.compute_loss([16, 8], CONFIG), math.log(1024), places=4)

    def test_memory_does_not_grow_with_rows_times_tokens_times_vocabulary(self):
        tracemalloc.start()
        logits.compute_loss([512] * 8, CONFIG)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        self.assertLess(peak, 8 * 512 * 1024 * 4 / 4)
