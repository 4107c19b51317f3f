"""What a run of CI demands of its machine."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

RUN = Path(__file__).parents[3] / ".ci" / "run"


@pytest.mark.skipif(os.geteuid() != 0 or not Path("/etc/debian_version").exists(), reason="needs root on Debian")
@pytest.mark.parametrize(
    ("has_go", "given", "required"),
    [(True, {}, "browser,redis,prometheus,cluster"), (False, {}, "browser,redis,prometheus"), (True, {"": ""}, "")],
)
def test_browser_and_cluster_are_required_where_they_can_run(tmp_path, has_go, given, required):
    # In place of the whole `make lint test`: what that would be told.
    programs = {"make": 'echo "$*:${PRACTICUM_REQUIRE-}"'} | ({"go": "true"} if has_go else {})
    for name, line in programs.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{line}\n")
        (tmp_path / name).chmod(0o755)
    for name in ("bash", "dirname", "id"):
        (tmp_path / name).symlink_to(f"/usr/bin/{name}")
    environment = {"PATH": str(tmp_path)} | {f"PRACTICUM_REQUIRE{key}": value for key, value in given.items()}
    done = subprocess.run([RUN], env=environment, capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout == f"lint test:{required}\n"
