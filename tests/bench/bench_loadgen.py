"""The load generator beside guidellm: how late requests are sent, and the highest rate that each keeps.

Both ask the same engine, which answers at once with eight chunks, by constant rates, with the same prompts, on the same
cores, one after the other. A generator keeps a rate if 95% of the requests a second are reached, none fails, and the
99th percentile of the delay between schedule and sending is 20 ms at most, as each generator tells it itself. Rates
double until one is not kept; then the geometric middle is tried once.

With ``--ours`` or ``--theirs``, only these rates are asked, and a line is printed for each.

Usage: python bench_loadgen.py --peer FOLDER [--seconds S] [--rounds N] [--ours 500,1000] [--theirs 100]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx
import uvicorn
from gateway_ways import answer_as_engine

from gateway_stand import find_port
from practicum_core.stages.loadtest import LoadtestConfig
from practicum_jobs.load.fleet import Target
from practicum_jobs.load.measurement import SelfCheck, open_bench
from practicum_jobs.load.schedule import Plan

MIN_REACHED = 0.95
MAX_DISPATCH_S = 0.02
PEER_VERSION = "0.8.1"
NUM_CLIENTS = 2
"""Processes of each generator; the machine of the figures has two cores."""
START_RATES = {"ours": 250.0, "guidellm": 50.0}
MAX_RATE = 8000.0


@dataclass(frozen=True)
class Kept:
    """What a generator did at a rate."""

    rate: float
    reached: float
    dispatch_p99_s: float
    num_failed: int

    @property
    def is_kept(self) -> bool:
        return self.reached >= MIN_REACHED * self.rate and self.dispatch_p99_s <= MAX_DISPATCH_S and not self.num_failed


def build_config(url: str, rate: float, seconds: float) -> LoadtestConfig:
    return LoadtestConfig(
        url=url, load="constant", rates=(rate,), rate_s=seconds, warmup_s=1.0, prompt_tokens=20, max_tokens=8
    )


async def run_ours(url: str, rate: float, seconds: float) -> Kept:
    plan = Plan.build(build_config(url, rate, seconds), [], None)
    step = plan.add_rate(rate)
    target = Target(f"{url}/v1/chat/completions", "", "m", is_chat=True, ignore_eos=False, timeout_s=30)
    async with open_bench(target, NUM_CLIENTS, []) as bench:
        measured = await bench.measure(0, step, plan.prompts, 5.0, SelfCheck(MAX_DISPATCH_S, 1.0))
    start_s, end_s = measured.window_s
    ended = [one for one in measured.samples if not one.error and start_s <= one.ended_s < end_s]
    failed = sum(bool(one.error) for one in measured.samples)
    return Kept(rate, len(ended) / (end_s - start_s), measured.client.dispatch_p99_s, failed)


def run_peer(peer: Path, url: str, rate: float, seconds: float, folder: Path) -> Kept:
    plan = Plan.build(build_config(url, rate, seconds), [], None)
    prompts, report = folder / "prompts.jsonl", folder / "report.json"
    # Its run ends with the rows of the file, so that there has to be one for each request.
    rows = [plan.prompts[number % len(plan.prompts)].text for number in range(int(rate * seconds * 1.2) + 100)]
    prompts.write_text("".join(json.dumps({"prompt": row}) + "\n" for row in rows))
    report.unlink(missing_ok=True)
    command = [
        peer / "bin/guidellm", "run", "--backend", f"kind=openai_http,target={url},model=m",
        "--profile", f"kind=constant,rate={rate}", "--constraint", f"kind=max_duration,seconds={seconds}",
        "--data", f"kind=json_file,path={prompts}", "--output", f"kind=json,path={report}", "--disable-console",
    ]  # fmt: skip
    # A worker for each core: its default of ten spends the cores on their start.
    variables = {
        "HF_HUB_OFFLINE": "1",
        "GUIDELLM__LOGGING__CONSOLE_LOG_LEVEL": "ERROR",
        "GUIDELLM__MAX_WORKER_PROCESSES": str(NUM_CLIENTS),
    }
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(command, env=inherited | variables, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode or not report.exists():
        raise RuntimeError((done.stderr or done.stdout)[-2000:])
    [found] = json.loads(report.read_text())["benchmarks"]
    metrics = found["metrics"]
    return Kept(
        rate,
        metrics["requests_per_second"]["successful"]["mean"],
        metrics["request_dispatch_delay"]["successful"]["percentiles"]["p99"],
        metrics["request_totals"]["errored"],
    )


def find_highest(run: Callable[[float], Kept], start: float) -> Kept | None:
    """Return the highest rate that was kept; ``None`` if not even the first one was."""
    best, rate = None, start
    while rate <= MAX_RATE:
        kept = run(rate)
        sys.stderr.write(f"{kept}\n")
        if not kept.is_kept:
            break
        best, rate = kept, 2 * rate
    if best is not None and rate <= MAX_RATE:
        middle = run(round((best.rate * rate) ** 0.5))
        sys.stderr.write(f"{middle}\n")
        best = middle if middle.is_kept else best
    return best


@contextlib.contextmanager
def serve_engine():
    port = find_port()
    process = subprocess.Popen([sys.executable, __file__, "--engine", str(port)])
    url = f"http://127.0.0.1:{port}"
    try:
        deadline_s = time.monotonic() + 30
        while True:
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"{url}/v1/models").status_code == 200:
                    break
            assert time.monotonic() < deadline_s, "the engine does not answer"
            time.sleep(0.1)
        yield url
    finally:
        process.kill()
        process.wait()


def run_engine(port: int) -> None:
    options = {"access_log": False, "log_level": "warning", "lifespan": "off", "ws": "none", "http": "httptools"}
    uvicorn.run(answer_as_engine, host="127.0.0.1", port=port, loop="uvloop", date_header=False, **options)


def read_rates(text: str) -> list[float]:
    return [float(word) for word in text.split(",")]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--peer", type=Path, help="environment of guidellm")
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--ours", type=read_rates, default=[], help="rates that this generator is asked for")
    parser.add_argument("--theirs", type=read_rates, default=[], help="rates that guidellm is asked for")
    parser.add_argument("--engine", type=int)
    options = parser.parse_args()
    if options.engine:
        run_engine(options.engine)
        return
    load = os.getloadavg()[0]
    problem = "" if options.peer else "no environment of guidellm was given"
    with serve_engine() as url, tempfile.TemporaryDirectory() as folder:

        def ask_ours(rate: float) -> Kept:
            return asyncio.run(run_ours(url, rate, options.seconds))

        def ask_peer(rate: float) -> Kept:
            return run_peer(options.peer, url, rate, options.seconds, Path(folder))

        if options.ours or options.theirs:
            for kept in (*map(ask_ours, options.ours), *map(ask_peer, options.theirs)):
                print(json.dumps({"load": round(os.getloadavg()[0], 2), **asdict(kept)}), flush=True)
            return
        at_500 = [ask_ours(500.0) for _ in range(options.rounds)]
        sys.stderr.write(f"{at_500}\n")
        ours = find_highest(ask_ours, START_RATES["ours"])
        theirs = None
        if options.peer:
            try:
                theirs = find_highest(ask_peer, START_RATES["guidellm"])
            except (RuntimeError, subprocess.TimeoutExpired) as error:
                problem = str(error)[-300:]
    rows = {
        "dispatch_p99_at_500": (
            1000 * statistics.median(one.dispatch_p99_s for one in at_500), "ms", "<= 2", lambda value: value <= 2,
        ),
        "highest_rate": (ours.rate if ours else 0.0, "1/s", "", None),
        "highest_rate_dispatch_p99": (1000 * ours.dispatch_p99_s if ours else 0.0, "ms", "", None),
    }  # fmt: skip
    if theirs is not None:
        rows["guidellm_highest_rate"] = (theirs.rate, "1/s", "", None)
        rows["guidellm_highest_rate_dispatch_p99"] = (1000 * theirs.dispatch_p99_s, "ms", "", None)
        ratio = ours.rate / theirs.rate if ours else 0.0
        rows["rate_over_guidellm"] = (ratio, "ratio", ">= 4", lambda value: value >= 4)
    elif not problem:
        problem = f"guidellm did not keep {START_RATES['guidellm']:g} requests/s"
    results = {
        name: {"value": round(value, 3), "unit": unit, **({"goal": goal, "met": met(value)} if met else {})}
        for name, (value, unit, goal, met) in rows.items()
    }
    peer = {"peer": f"guidellm {PEER_VERSION}", **({"peer_problem": problem} if problem else {})}
    print(json.dumps({"bench": "loadgen", "load": round(load, 2), **peer, "results": results}))


if __name__ == "__main__":
    main()
