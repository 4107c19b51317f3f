"""What a server is asked: bursts with a common beginning, and a few prompts whose answers are compared."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import httpx
import numpy as np

from practicum_core.stages.load_results import LoadSample
from practicum_core.stages.serveprofile import ServeProfileConfig
from practicum_jobs.load.fleet import Target
from practicum_jobs.load.prompts import Prompt, write_prompt
from practicum_jobs.load.schedule import RateStep

MODEL = "measured"


def build_target(url: str, timeout_s: float) -> Target:
    """Return where requests to a measured server go; answers are as long as they may."""
    return Target(f"{url}/v1/chat/completions", "", MODEL, is_chat=True, ignore_eos=True, timeout_s=timeout_s)


def write_burst(config: ServeProfileConfig, number: int) -> list[Prompt]:
    """Write the prompts of a round: all begin alike, in all rounds, and no end is ever repeated."""
    shared = write_prompt(config.shared_tokens, np.random.default_rng([config.seed, 0])).text
    rng = np.random.default_rng([config.seed, 1, number])
    return [_join(shared, write_prompt(config.own_tokens, rng).text) for _ in range(config.num_requests)]


def _join(shared: str, own: str) -> Prompt:
    return Prompt(({"role": "user", "content": f"{shared} {own}".strip()},))


def plan_burst(config: ServeProfileConfig) -> RateStep:
    """Return requests that all come at once."""
    count = config.num_requests
    return RateStep(
        rate=float(count),
        warmup_s=0.0,
        duration_s=1.0,
        at_s=[0.0] * count,
        prompts=list(range(count)),
        max_tokens=[config.max_tokens] * count,
    )


@dataclass(frozen=True)
class Burst:
    """What a burst gave: figures by name, empty where no request ended well, and requests that failed."""

    figures: dict[str, float]
    num_failed: int


def summarize_burst(samples: Sequence[LoadSample], memory_bytes: int) -> Burst:
    """Return the throughput until the last answer, and the medians of the latencies."""
    well = [one for one in samples if one.is_ok and one.ttft_s is not None and one.tpot_s is not None]
    failed = len(samples) - len(well)
    if not well:
        return Burst({}, failed)
    seconds = max(one.ended_s for one in samples) - min(one.scheduled_s for one in samples)
    return Burst(
        {
            "tokens_per_s": sum(one.completion_tokens for one in well) / seconds,
            "ttft_s": statistics.median(one.ttft_s for one in well if one.ttft_s is not None),
            "tpot_s": statistics.median(one.tpot_s for one in well if one.tpot_s is not None),
            "memory_gib": memory_bytes / 2**30,
        },
        failed,
    )


def ask(url: str, prompts: Sequence[Prompt], max_tokens: int, timeout_s: float) -> list[str]:
    """Return the most probable answers, one request after another, so that none depends on what it is computed with.

    Raises:
        httpx.HTTPError: The server gives none.
    """
    answers = []
    with httpx.Client(timeout=timeout_s, trust_env=False) as client:
        for prompt in prompts:
            body = {
                "model": MODEL,
                "messages": list(prompt.messages),
                "max_tokens": max_tokens,
                "temperature": 0,
                "ignore_eos": True,
            }
            reply = client.post(f"{url}/v1/chat/completions", json=body).raise_for_status()
            answers.append(str(json.loads(reply.text)["choices"][0]["message"]["content"]))
    return answers


def compare_answers(baseline: Sequence[str], lever: Sequence[str]) -> float:
    """Return the share of the answers that differ.

    >>> compare_answers(["a", "b"], ["a", "c"])
    0.5
    """
    pairs = list(zip(baseline, lever, strict=True))
    return sum(one != other for one, other in pairs) / len(pairs)
