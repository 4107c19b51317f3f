"""Each row is encoded once, whatever the number of epochs, and each epoch has its own order."""

from __future__ import annotations

import unittest

from loader import Loader

ROWS = [{"id": str(number), "text": chr(97 + number)} for number in range(20)]


class LoaderTest(unittest.TestCase):
    def test_each_row_is_encoded_once(self):
        loader = Loader(ROWS)
        orders = [list(loader.iterate(epoch)) for epoch in range(3)]
        self.assertEqual(loader.num_encoded, len(ROWS))
        self.assertNotEqual(orders[0], orders[1])
        self.assertEqual(sorted(orders[0]), sorted(orders[1]))
