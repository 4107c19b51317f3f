"""What every test process needs: the packages on the path of the processes it starts, and threads that wait asleep."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCES = [
    str(ROOT / part) for part in ("platform/core/src", "platform/cli/src", "platform/controller/src", "jobs/src")
]

os.environ["PYTHONPATH"] = os.pathsep.join(SOURCES)
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
