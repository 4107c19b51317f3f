"""Adds the made-up stages and their unit to a process that has imported the curriculum already, for one test."""

from __future__ import annotations

import importlib

import pytest

from practicum_core.curriculum import UNITS
from practicum_core.stages import PACKAGES_VARIABLE, STAGES, find_specs


def register(monkeypatch: pytest.MonkeyPatch) -> None:
    """Add them; processes that the test starts find them by the variable."""
    for spec in find_specs("made_up.stages"):
        monkeypatch.setitem(STAGES, spec.name, spec)
    for unit in importlib.import_module("made_up.units").UNITS:
        monkeypatch.setitem(UNITS, unit.name, unit)
    monkeypatch.setenv(PACKAGES_VARIABLE, "made_up")
