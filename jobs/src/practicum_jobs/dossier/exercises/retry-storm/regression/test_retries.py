"""The budget of retries runs out while retries are under way."""

from __future__ import annotations

import unittest

from practicum_gateway.retries import RetryBudget


class BudgetTest(unittest.TestCase):
    def test_no_more_than_the_share_is_under_way(self):
        budget = RetryBudget(share=0.2, num_open=100)
        self.assertEqual(sum(budget.acquire() for _ in range(100)), 20)

    def test_a_retry_that_ends_makes_room_for_the_next(self):
        budget = RetryBudget(share=0.0, minimum=1)
        self.assertTrue(budget.acquire())
        self.assertFalse(budget.acquire())
        budget.release()
        self.assertTrue(budget.acquire())
