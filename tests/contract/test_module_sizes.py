"""Modules of the controller are read in one sitting, and its reconcile in one minute."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
MAX_LINES = 300
MAX_RECONCILE_LINES = 60
STEPS = ("observe_week_job", "plan_week_job", "apply_children", "publish_status")


def test_no_module_of_the_controller_is_longer_than_a_sitting():
    files = (ROOT / "platform/controller/src").rglob("*.py")
    lengths = {path.name: len(path.read_text(encoding="utf-8").splitlines()) for path in files}
    assert {name: length for name, length in lengths.items() if length > MAX_LINES} == {}


def test_reconcile_is_four_calls_from_observation_to_status():
    source = (ROOT / "platform/controller/src/practicum_controller/reconcile.py").read_text(encoding="utf-8")
    functions = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.AsyncFunctionDef)]
    (reconcile,) = [node for node in functions if node.name == "reconcile"]
    assert reconcile.end_lineno - reconcile.lineno < MAX_RECONCILE_LINES
    calls = [node for node in ast.walk(reconcile) if isinstance(node, ast.Call)]
    names = [(node.lineno, getattr(node.func, "attr", getattr(node.func, "id", ""))) for node in calls]
    assert tuple(name for _, name in sorted(names) if name in STEPS) == STEPS
