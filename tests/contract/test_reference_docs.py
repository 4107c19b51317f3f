"""The committed reference pages are what the models say."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from practicum_core.phases import TRANSITIONS

ROOT = Path(__file__).parents[2]
SPEC = importlib.util.spec_from_file_location("build_reference", ROOT / "tools" / "build_reference.py")
BUILD = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(BUILD)


@pytest.mark.parametrize("name", sorted(BUILD.build_pages()))
def test_reference_page_is_current(name):
    committed = (ROOT / "docs" / "reference" / name).read_text(encoding="utf-8")
    assert committed == BUILD.build_pages()[name], "run `make docs` and commit docs/reference"


def test_no_phase_leaves_a_terminal_state():
    assert [start for start, _ in TRANSITIONS if start.is_terminal] == []
