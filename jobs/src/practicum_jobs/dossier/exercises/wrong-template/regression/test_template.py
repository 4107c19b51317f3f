"""The configured template writes only markers that the model knows as single tokens."""

from __future__ import annotations

import unittest
from pathlib import Path

import program
import yaml


class TemplateTest(unittest.TestCase):
    def test_the_configured_template_belongs_to_the_model(self):
        config = yaml.safe_load(Path("config.yaml").read_text())
        self.assertIsNone(program.find_problem(config, ["where is my parcel"]))

    def test_a_foreign_template_is_still_found(self):
        self.assertIn("eot_id", program.find_problem({"template": "headers.jinja"}, ["where is my parcel"]))
