"""``practicum serve`` with a model that cannot be served: told once, before anything is loaded, and not tried again."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from practicum_core.api_keys import KEY_FILE, read_key_file

pytestmark = pytest.mark.slow


def test_a_model_that_does_not_fit_into_memory_is_told_before_it_is_loaded(tmp_path):
    command = [sys.executable, "-m", "practicum_cli.main", "serve", "builtin:smollm2-135m"]
    ended = subprocess.run(
        [*command, "--set", "serve.kv_cache_gib=100000"],
        check=False,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "error: PreflightFailed: serve: builtin:smollm2-135m needs about 10000" in ended.stderr
    [run] = (tmp_path / "experiments/service").glob("*-??????")
    stages = json.loads((run / "status.json").read_text())["stages"]
    assert [(stage["phase"], stage["attempt"]) for stage in stages] == [("Failed", 1), ("Pending", 0)]
    assert "vllm" not in (run / "stages/serve/log.txt").read_text().lower()
    [key] = read_key_file(tmp_path / "experiments" / KEY_FILE).keys
    assert key.revoked_at is not None
