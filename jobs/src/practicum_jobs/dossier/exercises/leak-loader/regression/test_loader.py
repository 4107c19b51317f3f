"""All versions of a ticket lie in one split."""

from __future__ import annotations

import unittest

import loader


class LoaderTest(unittest.TestCase):
    def test_versions_of_one_ticket_lie_in_one_split(self):
        for ticket in range(20):
            rows = [{"id": f"{ticket}-{version}", "ticket": f"ticket {ticket}"} for version in range(8)]
            sizes = {name: len(some) for name, some in loader.split(rows).items()}
            self.assertIn(8, sizes.values())

    def test_both_splits_get_tickets(self):
        splits = loader.split([{"id": str(at), "ticket": f"ticket {at}"} for at in range(50)])
        self.assertTrue(splits["train"])
        self.assertTrue(splits["test"])
