"""The labels of a row: the answer and the token that ends it, and nothing of the prompt."""

from __future__ import annotations

import unittest

import program

IGNORED = -100


class LabelsTest(unittest.TestCase):
    def setUp(self):
        self.encoded, self.stop = program.encode(program.read_rows())

    def test_the_stop_token_of_every_answer_counts(self):
        for row in self.encoded:
            self.assertEqual(row.tokens.labels[-1], self.stop)

    def test_no_token_of_the_prompt_counts(self):
        for row in self.encoded:
            num_counted = len(row.row.answer.split()) + 1
            self.assertEqual(
                [one != IGNORED for one in row.tokens.labels].index(True), len(row.tokens.labels) - num_counted
            )
