"""The committed reference pages are what the models say."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from practicum_core.phases import TRANSITIONS
from practicum_core.state_texts import PHASES, REASONS

ROOT = Path(__file__).parents[2]
SPEC = importlib.util.spec_from_file_location("build_reference", ROOT / "tools" / "build_reference.py")
BUILD = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(BUILD)


@pytest.mark.parametrize("name", sorted(BUILD.build_pages()))
def test_reference_page_is_current(name):
    committed = (ROOT / "docs" / "reference" / name).read_text(encoding="utf-8")
    assert committed == BUILD.build_pages()[name], "run `make docs` and commit docs/reference"


@pytest.mark.parametrize("texts", [PHASES, REASONS], ids=["phases", "reasons"])
def test_each_state_has_the_text_that_stands_where_it_is_defined(texts):
    documented = dict(BUILD.read_member_docs(type(next(iter(texts)))))
    assert {state: text.en for state, text in texts.items()} == documented


def test_no_phase_leaves_a_terminal_state():
    assert [start for start, _ in TRANSITIONS if start.is_terminal] == []
