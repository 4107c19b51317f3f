"""What tests of training stages share: a run with frozen pairs of splits, the stage as a process, and its curves."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import yaml

from practicum_core.curves import Curves, read_curves
from practicum_core.layout import RunLayout
from practicum_core.rows import Row
from practicum_core.stages.snapshot import DataLock
from practicum_jobs.context import StageContext
from practicum_jobs.datasets.store import write_data_lock, write_split

MARKS = [
    pytest.mark.training,
    pytest.mark.usefixtures("one_thread"),
    # swig's generated types in sentencepiece's and others' extension modules, seen when transformers loads them
    pytest.mark.filterwarnings("ignore:builtin type .* has no __module__ attribute:DeprecationWarning"),
    # torch.distributed and ray import their own deprecated names
    pytest.mark.filterwarnings(
        "ignore::DeprecationWarning:(ray|torch|transformers|trl|peft|accelerate|bitsandbytes).*"
    ),
    pytest.mark.filterwarnings("ignore::FutureWarning:(ray|torch|transformers|trl|peft|accelerate|bitsandbytes).*"),
]


def write_run(folder: Path, stage: str, train: Sequence[Row], validation: Sequence[Row]) -> StageContext:
    """Make a run whose data is frozen, and open it for a stage."""
    folder.mkdir(parents=True, exist_ok=True)
    cache = folder.parent / "cache"
    splits = {"train": write_split(train, cache), "validation": write_split(validation, cache)}
    write_data_lock(RunLayout(folder), DataLock(uri="test:rows", splits=splits))
    return StageContext(folder, stage, stage, cache_dir=cache)


def read_metrics(ctx: StageContext) -> Curves:
    """Read the curves that a stage has written so far."""
    return read_curves(ctx.layout.metrics.read_text().splitlines())


def count_steps_done(ctx: StageContext) -> int:
    """Count the optimizer steps that the curves have; 0 before there are any."""
    return len(read_metrics(ctx).series.get("loss", [])) if ctx.layout.metrics.is_file() else 0


def start_stage(ctx: StageContext, options: dict) -> subprocess.Popen:
    """Start a stage as the executors do; its output goes to ``log.txt`` of the run."""
    folder = ctx.run.root
    (folder / "options.yaml").write_text(yaml.safe_dump(options))
    command = [sys.executable, "-m", "practicum_jobs", ctx.stage, "--config", str(folder / "options.yaml")]
    with (folder / "log.txt").open("w") as log:
        return subprocess.Popen(
            [*command, "--run-dir", str(folder)],
            env=os.environ | {"PRACTICUM_CACHE": str(ctx.cache_dir)},
            stdout=log,
            stderr=subprocess.STDOUT,
        )


def wait_for(
    condition: Callable[[], bool], process: subprocess.Popen, log: Path, timeout_s: float = 400, poll_s: float = 0.02
) -> None:
    """Wait until a condition holds while the process runs."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert process.poll() is None, log.read_text()[-3000:]
        assert time.monotonic() < deadline, log.read_text()[-3000:]
        time.sleep(poll_s)
