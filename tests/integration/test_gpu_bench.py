"""The GPU bench in its smallest size on a CPU, and what it says on a machine without a GPU."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from practicum_core.machine import list_gpus

BENCH = Path(__file__).parents[1] / "bench" / "bench_gpu.py"


def run_bench(*arguments: str) -> dict:
    environment = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, str(BENCH), *arguments], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.training
def test_both_trainers_reach_the_same_losses_in_the_smallest_size():
    line = run_bench("--size", "tiny", "--rounds", "1", "--steps", "8", "--batch-size", "8")
    results = line["results"]
    for method in ("full", "lora"):
        assert results[f"{method}_loss_difference"]["value"] <= 1e-3
        assert results[f"{method}_loss_drop"]["value"] > 0.03
        for figure in ("tokens_per_s", "bare_tokens_per_s", "estimated_memory"):
            assert results[f"{method}_{figure}"]["value"] > 0
    # An adapter's frozen weights need no gradients, so the same tokens take fewer operations.
    operations = {
        method: results[f"{method}_model_flops"]["value"] / results[f"{method}_tokens_per_s"]["value"]
        for method in ("full", "lora")
    }
    assert operations["lora"] < operations["full"]
    assert line["machine"]["rounds"] == 1


def test_a_machine_without_a_gpu_says_so_in_the_line():
    if list_gpus():
        pytest.skip("this machine has a GPU, so the bench would run")
    assert run_bench() == {"bench": "gpu", "results": {}, "not_run": "no GPU; --size tiny runs on a CPU"}
