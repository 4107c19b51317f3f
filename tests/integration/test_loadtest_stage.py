"""The stage ``loadtest`` with its own client processes against the tests' engine and the gateway."""

from __future__ import annotations

import contextlib
import json
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import psutil
import pytest

from gateway_stand import find_port
from practicum_core.errors import PracticumError, Reason, Stopped
from practicum_core.stages.loadtest import LoadSample, LoadtestConfig, ServerMetrics
from practicum_jobs.context import StageContext
from practicum_jobs.loadtest.stage import run

ENGINE = Path(__file__).parents[1] / "stand/fake_engine.py"
QUICK = {"rates": (20.0, 40.0), "rate_s": 1.5, "warmup_s": 0.5, "max_tokens": 4, "max_dispatch_s": 1.0}


@pytest.fixture
def engine(request):
    """Return a function that starts an engine, which is ended after the test, and gives its address."""

    def start(*options):
        process = subprocess.Popen(
            [sys.executable, str(ENGINE), "0", *map(str, options)], stdout=subprocess.PIPE, text=True
        )
        request.addfinalizer(process.communicate)
        request.addfinalizer(process.kill)
        return process.stdout.readline().strip()

    return start


def load(url, folder, **options):
    """Run the stage; return its record, its samples and the metrics of the servers."""
    ctx = StageContext(folder / "experiments/unit/run", "loadtest", "loadtest")
    record = run(LoadtestConfig(url=url, **{**QUICK, **options}), ctx)
    lines = (ctx.layout.root / "server_metrics.jsonl").read_text().splitlines()
    metrics = [ServerMetrics.model_validate_json(line) for line in lines]
    samples = [LoadSample.model_validate_json(line) for line in ctx.layout.samples.read_text().splitlines()]
    return record, samples, metrics


def list_clients():
    return [one for one in psutil.Process().children() if "practicum_jobs.load.client" in one.cmdline()]


def test_requests_are_sent_when_they_are_due_and_a_schedule_is_sent_again(engine, tmp_path):
    url = engine(0.02)
    record, samples, metrics = load(url, tmp_path / "one", engine_url=url)
    saved = tmp_path / "one/experiments/unit/run/stages/loadtest/artifacts"
    steps = json.loads((saved / "schedule.json").read_text())["steps"]
    for level, step in zip(record.levels, steps, strict=True):
        mine = [one for one in samples if one.load == level.load]
        start_s = mine[0].scheduled_s - step["at_s"][0]
        assert [one.scheduled_s - start_s for one in mine] == pytest.approx(step["at_s"], abs=0.001)
        assert {one.client for one in mine} == {0, 1}
        assert level.num_requests == sum(at_s >= 0.5 for at_s in step["at_s"]) == level.num_ok
    for one in samples:
        assert one.error == "", one
        assert (one.completion_tokens, one.num_chunks) == (4, 4)
        assert one.prompt_tokens > 0
        assert one.scheduled_s <= one.sent_s < one.first_token_s <= one.last_token_s <= one.ended_s
        # Four steps of 20 ms each: the first token takes one at least, the others one each.
        assert one.first_token_s - one.sent_s >= 0.015
        assert one.itl_p50_s <= one.itl_max_s
    # A busy machine brings tokens late, and so the next ones closer to them; half of the requests see none of that.
    assert statistics.median(one.itl_p50_s for one in samples) > 0.015
    assert statistics.median(one.tpot_s for one in samples) > 0.015
    sources = {one.source for one in metrics}
    assert sources == {"cpu", "client", f"engine:{url.removeprefix('http://')}"}
    running = [one.values["vllm:num_requests_running"] for one in metrics if one.source.startswith("engine")]
    assert len(running) >= 3
    again, _, _ = load(url, tmp_path / "two", schedule=str(saved), endpoint="completions")
    assert (again.schedule_sha256, again.prompts_sha256) == (record.schedule_sha256, record.prompts_sha256)


def test_failed_requests_are_told_by_kind_and_are_in_no_latency(engine, tmp_path):
    url = engine(0.005, "--max-waiting", 1, "--max-running", 1)
    record, samples, _ = load(url, tmp_path, rates=(60.0,), max_tokens=8)
    [level] = record.levels
    kinds = Counter(one.error for one in samples if one.phase == "measured")
    assert kinds["http_503"] == level.failures["http_503"] > 0
    assert level.num_ok == kinds[""]
    assert level.num_ok + level.num_failed == level.num_requests
    refused = next(one for one in samples if one.error == "http_503")
    assert (refused.status, refused.first_token_s, refused.completion_tokens) == (503, None, 0)
    assert refused.error_text
    assert level.ttft.p50.value > 0.004, "an answer that came at once was no answer"
    assert level.good_share.value == pytest.approx(level.num_ok / level.num_requests)
    assert [one.kind for one in record.failures if one.kind == "requests_failed"]


@pytest.mark.parametrize(
    ("fault", "kind"),
    [("cut", "lost|cut_off"), ("html", "not_a_stream"), ("mute", "empty"), ("silent", "timeout|open")],
)
def test_each_way_to_fail_has_its_kind(engine, tmp_path, fault, kind):
    url = engine(0.002)
    httpx.post(f"{url}/fake/fault", json={"fault": fault, "share": 0.5}).raise_for_status()
    record, samples, _ = load(url, tmp_path, rates=(30.0,), rate_s=0.8, warmup_s=0, timeout_s=0.5, settle_s=3)
    kinds = {one.error for one in samples}
    assert kinds <= {"", *kind.split("|")}
    assert 0 < record.levels[0].num_failed < record.levels[0].num_requests


def test_a_client_that_cannot_keep_the_schedule_is_found_out(engine, tmp_path):
    """One of the client processes is stopped for a moment, as by a busy machine."""
    stopped = threading.Event()
    progress = tmp_path / "experiments/unit/run/stages/loadtest/progress.json"

    def stop_a_client():
        while not (progress.exists() and json.loads(progress.read_text())["fraction"] > 0.2):
            time.sleep(0.02)
        client = list_clients()[0]
        client.suspend()
        time.sleep(0.7)
        client.resume()
        stopped.set()

    thread = threading.Thread(target=stop_a_client)
    url = engine()
    thread.start()
    record, _, _ = load(url, tmp_path, rates=(40.0, 80.0), rate_s=3, max_dispatch_s=0.2)
    thread.join()
    assert stopped.is_set()
    [level] = record.levels
    assert "ms late" in level.refused, "and the higher rate was not tried"
    assert (level.ttft, level.e2e, level.good_share, level.meets_slo) == (None, None, None, False)
    assert not record.client_check.is_ok
    assert record.knee_rate is None
    assert {one.kind for one in record.failures} == {"client_limited"}


def test_a_machine_without_open_files_is_no_fault_of_the_server(engine, tmp_path):
    """Each client process may have 30 files, and the server takes a second for each first token."""
    url = engine()
    httpx.post(f"{url}/fake/fault", json={"fault": "slow", "share": 1.0}).raise_for_status()
    config = tmp_path / "config.yaml"
    options = {**QUICK, "url": url, "rates": [80]}
    config.write_text(json.dumps(options))
    code = (
        "import resource, sys; from practicum_jobs.load import fleet; start = fleet._start\n"
        "async def limited():\n"
        "    process = await start()\n"
        "    resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (30, 30))\n"
        "    return process\n"
        "fleet._start = limited; from practicum_jobs.__main__ import main; sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", code, "loadtest", "--config", str(config), "--run-dir", str(tmp_path / "run")]
    subprocess.run(command, check=True, timeout=60)
    record = json.loads((tmp_path / "run/stages/loadtest/record.json").read_text())
    assert "ulimit" in record["client_check"]["why"]
    [level] = record["levels"]
    assert level["refused"] == record["client_check"]["why"]
    assert level["failures"]["client"] > 0


def test_rates_are_searched_for_the_knee(engine, tmp_path):
    # Two answers of 4 tokens in 0.4 s: 5 a second at most. At 8 a second the last ones wait for more than two seconds;
    # below, none waits, and a busy machine may delay it by one.
    url = engine(0.1, "--max-running", 2)
    record, _, _ = load(url, tmp_path, rates=(2.0,), search_steps=2, slo_ttft_s=1.2, load="constant", rate_s=4.0)
    assert [level.rate for level in record.levels] == [2.0, 4.0, 8.0]
    assert [level.meets_slo for level in record.levels] == [True, True, False]
    assert record.knee_rate.value == 4.0


def test_a_stop_ends_the_clients(engine, tmp_path):
    ctx = StageContext(tmp_path / "experiments/unit/run", "loadtest", "loadtest")
    threading.Timer(1.5, ctx.request_stop).start()
    started_s = time.monotonic()
    with pytest.raises(Stopped):
        run(LoadtestConfig(url=engine(), **{**QUICK, "rate_s": 60}), ctx)
    assert time.monotonic() - started_s < 30
    assert not list_clients()


@contextlib.contextmanager
def serve_page(status, body):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (200, b"<html>a page</html>", "no list of models"),
        (401, b"{}", "asks for a key"),
        (200, b'{"data": []}', "serves no model"),
        (200, b'{"data": [{"id": "other"}]}', "serves no model 'fake'"),
        (302, b"", "no list of models"),
    ],
)
def test_a_server_that_cannot_be_tested_is_told_at_once(tmp_path, status, body, said):
    with serve_page(status, body) as url, pytest.raises(PracticumError, match=said) as caught:
        load(url, tmp_path, served_model="fake")
    assert caught.value.reason is Reason.CONFIG_INVALID


def test_no_server_and_requests_that_can_never_work_are_told_at_once(engine, tmp_path):
    with pytest.raises(PracticumError, match="no answer") as caught:
        load(f"http://127.0.0.1:{find_port()}", tmp_path)
    assert caught.value.reason is Reason.UPSTREAM_UNAVAILABLE
    with pytest.raises(PracticumError, match="refuses such a request"):
        load(engine(), tmp_path, prompt_tokens=20_000)
