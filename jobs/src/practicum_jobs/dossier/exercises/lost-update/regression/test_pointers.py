"""Moves of a pointer take turns."""

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path

import program


class PointerTest(unittest.TestCase):
    def test_pointer_and_journal_agree_after_two_moves_at_once(self):
        with tempfile.TemporaryDirectory() as folder:
            leads_to, journal = program.move_both(Path(folder))
        self.assertEqual(leads_to, journal)
