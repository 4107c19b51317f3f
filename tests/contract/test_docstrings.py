"""The first line of a module docstring says what the module is or does, without a fixed opening word."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("platform", "jobs", "services", "tools", "tests")
OPENING, RIDDLE = "decides ", "refuses to know"


def find_fault(docstring: str, *, is_test: bool) -> str:
    words = " ".join(docstring.split()).lower()
    if not words:
        return "" if is_test else "write what the module is or does"
    if words.startswith(OPENING):
        return "name the thing, as in 'Kubernetes Jobs for task steps.'"
    return "say what the module does, or leave that sentence out" if RIDDLE in words else ""


@pytest.mark.parametrize("folder", FOLDERS)
def test_modules_say_in_plain_words_what_they_are(folder):
    modules = sorted((ROOT / folder).rglob("*.py"))
    assert len(modules) >= 10
    docstrings = {path: ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "" for path in modules}
    faults = {
        str(path.relative_to(ROOT)): fault
        for path, docstring in docstrings.items()
        if (fault := find_fault(docstring, is_test=folder == "tests"))
    }
    assert faults == {}


@pytest.mark.parametrize(
    "docstring", ["", "Decides how a table is written.", "A store of rows. Refuses to know\nwhere they lie."]
)
def test_a_riddle_is_found(docstring):
    assert find_fault(docstring, is_test=False)
