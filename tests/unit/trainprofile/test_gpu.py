"""What the driver's program says of a GPU's utilization."""

from __future__ import annotations

import pytest

from practicum_core.machine import read_gpu_utilization


@pytest.mark.parametrize(("said", "share"), [("37", 0.37), ("0\n12", 0.0), ("[N/A]", None), ("", None)])
def test_the_first_gpu_counts_and_what_is_no_number_is_unknown(tmp_path, monkeypatch, said, share):
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\ncase $1 in --query-gpu=utilization.gpu) printf '{said}\\n';; *) exit 1;; esac\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert read_gpu_utilization() == share


def test_without_the_program_it_is_unknown(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert read_gpu_utilization() is None
