"""What every test process needs: the packages on the path of what it starts, threads that wait asleep, the command."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = [
    str(ROOT / part)
    for part in (
        "platform/core/src",
        "platform/runtime/src",
        "platform/cli/src",
        "platform/controller/src",
        "jobs/src",
        "services/gateway/src",
    )
]

os.environ["PYTHONPATH"] = os.pathsep.join(SOURCES)
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def pytest_collection_finish():
    """Take what was collected out of the garbage collector: a search through a million objects takes a second.

    statsmodels searches with every correction of p-values, and tests of the controller at their end.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture
def command(capsys):
    """Return a function that runs the command and returns exit code, stdout and stderr."""

    # Imported here: only tests that run the command wait for it.
    from practicum_cli.main import main  # noqa: PLC0415

    def call(*arguments):
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call
