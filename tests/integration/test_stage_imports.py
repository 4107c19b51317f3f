"""Every stage's program is imported in its own environment, which lacks what the development environment has."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from practicum_core.stages import STAGES

ROOT = Path(__file__).parents[2]
SOURCES = ("platform/core/src", "platform/runtime/src", "jobs/src", "services/gateway/src")
ENVIRONMENTS = ("base", "train", "gateway")
"""Those that other tests make too; `serve` and `quantize` hold what `train` holds, or have tests of their own."""


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_stage_is_imported_in_its_own_environment(environment):
    programs = sorted({spec.program for spec in STAGES.values() if spec.environment == environment})
    found = subprocess.run([ROOT / "tools/ensure-env.sh", environment], capture_output=True, text=True, check=True)
    python = Path(found.stdout.strip()) / "bin/python"
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(str(ROOT / source) for source in SOURCES)}
    code = "import importlib, sys\nfor name in sys.argv[1:]: importlib.import_module(name)"
    imported = subprocess.run(
        [python, "-c", code, *programs], env=variables, capture_output=True, text=True, check=False, timeout=300
    )
    assert imported.returncode == 0, imported.stderr
    assert programs
