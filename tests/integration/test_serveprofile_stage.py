"""The stage ``serveprofile`` with the fake engine for vLLM: real processes, real load, options that change it."""

from __future__ import annotations

import pytest

from practicum_core.stages.levers import BASELINE, CONTROL
from practicum_core.stages.serveprofile import ServeProfileConfig
from practicum_jobs.context import StageContext
from practicum_jobs.serveprofile import stage


@pytest.fixture
def fake(monkeypatch):
    """Take the fake engine for vLLM in the measured processes."""
    monkeypatch.syspath_prepend("tests/stand")
    monkeypatch.setattr(stage, "SERVER", "fake_vllm_server:serve_until_stopped")
    monkeypatch.setattr(stage, "LIBRARIES", ())


def test_few_sequences_are_slower_and_a_server_that_fails_is_told(tmp_path, tiny_model_dir, fake):
    ctx = StageContext(tmp_path / "run", "serveprofile", "serveprofile", cache_dir=tmp_path / "cache")
    ctx.layout.root.mkdir(parents=True)
    config = ServeProfileConfig(
        model=str(tiny_model_dir),
        baseline="max_num_seqs=8",
        levers=("max_num_seqs=1", "quantization=broken"),
        rounds=3,
        num_requests=8,
        max_tokens=4,
        shared_tokens=8,
        own_tokens=4,
        num_answers=2,
        timeout_s=30,
    )
    record = stage.run(config, ctx)
    rows = {row.name: row for row in record.rows}
    assert list(rows) == [BASELINE, CONTROL, "max_num_seqs=1", "quantization=broken"]
    assert (rows[CONTROL].verdict, rows["max_num_seqs=1"].verdict) == ("undecided", "worse")
    assert rows["max_num_seqs=1"].ratios["tokens_per_s"].high < 0.5
    assert rows["max_num_seqs=1"].effect == "same"
    assert rows["quantization=broken"].verdict == "not_measured"
    assert "ValueError: no such quantization" in rows["quantization=broken"].note
    metrics = {metric.name: metric.value for metric in record.metrics}
    assert (metrics["num_levers"], metrics["num_unmeasured"], metrics["num_failed_requests"]) == (2, 1, 0)
    assert rows[BASELINE].figures["memory_gib"] > 0
