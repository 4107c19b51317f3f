"""The command's help texts are frozen: a changed option is a changed contract."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SPEC = importlib.util.spec_from_file_location("freeze_help", ROOT / "tools" / "freeze_help.py")
FREEZE = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(FREEZE)
TEXTS = FREEZE.build_texts()


@pytest.mark.parametrize("name", sorted(TEXTS))
def test_help_text_is_the_frozen_one(name):
    frozen = (FREEZE.FOLDER / name).read_text(encoding="utf-8")
    assert frozen == TEXTS[name], "run tools/freeze_help.py, look at the difference, commit it"


def test_every_frozen_text_has_its_command():
    assert {path.name for path in FREEZE.FOLDER.glob("*.txt")} == set(TEXTS)


def test_help_is_quick_and_imports_nothing_heavy():
    code = (
        "import sys, time; from practicum_cli.main import main; main(['--help']);"
        "sys.stderr.write(str(time.process_time()));"
        "heavy = {'rich', 'pydantic', 'yaml', 'psutil', 'mlflow', 'torch', 'kubernetes', 'urllib3'} & set(sys.modules);"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    command = [sys.executable, "-c", code]
    seconds = []
    for _ in range(3):
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stderr
        seconds.append(float(result.stderr))
    assert min(seconds) < 0.4, "seconds of the processor, which wait for no other work"
