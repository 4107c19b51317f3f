"""A row with more parts than the queue has places is loaded whole and in order."""

from __future__ import annotations

import unittest

import loader


class LoaderTest(unittest.TestCase):
    def test_a_row_longer_than_the_queue_is_loaded(self):
        text = " ".join(str(number) for number in range(50))
        parts = loader.load([{"text": text}], {"part_words": 2, "queue_size": 3})
        self.assertEqual([word for part in parts for word in part], text.split())
