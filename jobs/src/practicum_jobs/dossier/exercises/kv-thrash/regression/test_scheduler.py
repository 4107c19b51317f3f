"""The configured engine computes hardly a token twice."""

from __future__ import annotations

import unittest
from pathlib import Path

import program
import yaml


class SchedulerTest(unittest.TestCase):
    def test_hardly_a_token_is_computed_twice(self):
        computed, again = program.simulate(yaml.safe_load(Path("config.yaml").read_text()))
        self.assertLess(again, 0.05 * computed)
        self.assertGreaterEqual(computed, program.NUM_REQUESTS * program.ANSWER)
