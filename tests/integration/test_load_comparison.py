"""Two deployments under the same saved schedule: the slower one is told, percentile by percentile."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from practicum_core.stages.loadtest import LoadtestConfig, LoadtestRecord
from practicum_jobs.context import StageContext
from practicum_jobs.loadtest.stage import run

ENGINE = Path(__file__).parents[1] / "stand/fake_engine.py"


def load(folder: Path, step_s: float, **options) -> LoadtestRecord:
    engine = subprocess.Popen([sys.executable, str(ENGINE), "0", str(step_s)], stdout=subprocess.PIPE, text=True)
    try:
        url = engine.stdout.readline().strip()
        plain = {"rates": [20], "rate_s": 3, "warmup_s": 0.5, "max_tokens": 4, "max_dispatch_s": 1.0}
        config = LoadtestConfig.model_validate({"url": url, **plain, **options})
        return run(config, StageContext(folder / "experiments/unit/run", "loadtest", "loadtest"))
    finally:
        engine.kill()
        engine.communicate()


def test_a_slower_deployment_is_told_by_the_same_requests(tmp_path) -> None:
    load(tmp_path / "one", 0.01)
    earlier = tmp_path / "one/experiments/unit/run/stages/loadtest"
    record = load(
        tmp_path / "two", 0.1, schedule=str(earlier / "artifacts"), base_samples=str(earlier / "samples.jsonl")
    )
    medians = {one.latency: one for one in record.differences if one.quantile == 0.5}
    assert {one.is_paired for one in record.differences} == {True}
    for latency, at_least_s in (("ttft", 0.05), ("e2e", 0.2)):
        assert medians[latency].verdict == "slower"
        assert medians[latency].difference.value > at_least_s
    # Sixty requests say nothing of a 99th percentile.
    assert {one.verdict for one in record.differences if one.quantile == 0.99} == {"too_few"}
