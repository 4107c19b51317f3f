"""Week 7 as a student runs it, on a tiny GGUF file: served, loaded past its limit, judged, and shown as evidence."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from practicum_core.api_keys import KEY_FILE, read_key_file
from practicum_jobs.adapters.gguf_export import write_gguf
from practicum_jobs.models.tokens import read_chat_template
from tiny_models import make_model

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
OPTIONS = {
    "serve.max_num_seqs": "1",
    "loadtest.rates": "[1, 150]",
    "loadtest.rate_s": "4",
    "loadtest.warmup_s": "1",
    "loadtest.settle_s": "5",
    "loadtest.search_steps": "0",
    "loadtest.slo_ttft_s": "1",
    "loadtest.max_dispatch_s": "2",
}


@pytest.fixture(scope="module")
def finished(tiny_model_dir, tmp_path_factory) -> tuple[Path, str]:
    """The finished run, and what the command said."""
    folder = tmp_path_factory.mktemp("week")
    model = make_model(tiny_model_dir, folder / "model", 1)
    write_gguf(model, folder / "tiny.gguf", read_chat_template(model))
    chosen = [part for name, value in OPTIONS.items() for part in ("--set", f"{name}={value}")]
    command = [sys.executable, "-m", "practicum_cli.main", "run", "week-07", "--profile", "quick"]
    made = subprocess.run(
        [*command, "--model", folder / "tiny.gguf", *chosen], cwd=folder, capture_output=True, text=True, check=False
    )
    assert made.returncode == 0, made.stdout + made.stderr
    [run] = (folder / "experiments/serving").glob("*-??????")
    return run, made.stdout


def test_every_gate_passes_and_the_queue_is_named(finished) -> None:
    run, _ = finished
    gates = json.loads((run / "status.json").read_text())["gates"]
    assert {gate["name"]: gate["passed"] for gate in gates} == {
        "client_kept_up": True,
        "stated_rate_kept": True,
        "none_failed_below_knee": True,
        "bottleneck_named": True,
    }
    record = json.loads((run / "stages/loadtest/record.json").read_text())
    assert record["knee_rate"]["value"] == 1
    assert record["bottleneck"]["name"] == "engine_queue"
    assert record["bottleneck"]["proofs"][0]["metric"] == "llamacpp:requests_deferred"


def test_the_evidence_shows_the_bottleneck_in_both_languages(finished) -> None:
    run, _ = finished
    page = (run / "evidence/index.html").read_text(encoding="utf-8")
    for text in ("First bottleneck: the engine's queue", "最先的瓶颈：引擎队列", "llamacpp:requests_deferred"):
        assert text in page.replace("&#39;", "'")


def test_the_key_of_the_test_is_revoked_at_its_end(finished) -> None:
    run, _ = finished
    [key] = read_key_file(run.parent.parent / KEY_FILE).keys
    assert key.revoked_at is not None
