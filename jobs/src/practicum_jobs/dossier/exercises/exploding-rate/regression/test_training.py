"""Training with the configured options ends, and the watchdog still sees an explosion."""

from __future__ import annotations

import unittest
from pathlib import Path

import program
import yaml

ROWS = [{"x": 1.1}, {"x": 1.2}, {"x": 1.3}]


class TrainingTest(unittest.TestCase):
    def setUp(self):
        self.config = yaml.safe_load(Path("config.yaml").read_text())

    def test_the_configured_options_do_not_explode(self):
        program.train(ROWS, self.config)

    def test_an_explosion_is_still_seen(self):
        with self.assertRaisesRegex(FloatingPointError, "loss_exploded"):
            program.train(ROWS, self.config | {"learning_rate": 9.0, "warmup_ratio": 0.0})
