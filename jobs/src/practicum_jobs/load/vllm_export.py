"""The requests of one rate in the form of ``vllm bench serve --save-result --save-detailed`` (vLLM 0.32). Pure.

As there, latencies count from the moment of sending, and ``queue_times`` holds how late a request was sent. Single gaps
between chunks are not kept, so what vLLM computes of them (``itls``, ``*_itl_ms``, ``max_output_tokens_per_s``) is left
out, and so are the texts of answers.

Source: ``vllm/benchmarks/serve.py``, ``benchmark`` and ``main_async``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from practicum_core.stages.loadtest import LoadLevel, LoadSample, LoadtestRecord

_PERCENTILES = (50, 95, 99)


def build_vllm_result(record: LoadtestRecord, level: LoadLevel, samples: Sequence[LoadSample]) -> dict[str, Any]:
    """Build the document of one rate.

    Args:
        record: Of the test.
        level: The rate.
        samples: All requests of the test; the measured ones of the rate are taken.
    """
    ours = [one for one in samples if one.load == level.load and one.phase == "measured"]
    well = [one for one in ours if one.is_ok]
    duration_s = level.end_s - level.start_s
    prompts, answers = (sum(getattr(one, name) for one in well) for name in ("prompt_tokens", "completion_tokens"))
    is_chat = record.endpoint == "chat"
    return {
        "date": record.started_at[:19].replace("-", "").replace(":", "").replace("T", "-"),
        "endpoint_type": "openai-chat" if is_chat else "openai",
        "backend": "openai-chat" if is_chat else "openai",
        "label": None,
        "model_id": record.model,
        "tokenizer_id": record.model,
        "num_prompts": len(ours),
        "request_rate": level.rate,
        "burstiness": {"poisson": 1.0}.get(record.load),
        "max_concurrency": None,
        "duration": duration_s,
        "completed": len(well),
        "failed": len(ours) - len(well),
        "total_input_tokens": prompts,
        "total_output_tokens": answers,
        "request_throughput": len(well) / duration_s,
        "request_goodput": level.goodput.value if level.goodput else None,
        "output_throughput": answers / duration_s,
        "total_token_throughput": (prompts + answers) / duration_s,
        "input_lens": [one.prompt_tokens for one in ours],
        "output_lens": [one.completion_tokens for one in ours],
        "ttfts": [(one.first_token_s or one.sent_s) - one.sent_s for one in ours],
        "latencies": [one.ended_s - one.sent_s for one in ours],
        "start_times": [one.sent_s for one in ours],
        "queue_times": [one.dispatch_s for one in ours],
        "errors": [one.error and f"{one.error}: {one.error_text}" for one in ours],
        "max_concurrent_requests": _count_most_open(ours),
        **_summarize("ttft", [one.first_token_s - one.sent_s for one in well if one.first_token_s is not None]),
        **_summarize("tpot", [one.tpot_s for one in well if one.tpot_s is not None]),
        **_summarize("e2el", [one.ended_s - one.sent_s for one in well]),
        **_summarize("client_queue_time", [one.dispatch_s for one in well]),
    }


def _summarize(name: str, seconds: Sequence[float]) -> dict[str, float]:
    """Summarize a latency in milliseconds; zeros where nobody had it, as vLLM writes."""
    values = 1000 * np.asarray(seconds or [0.0])
    return {
        f"mean_{name}_ms": float(np.mean(values)),
        f"median_{name}_ms": float(np.median(values)),
        f"std_{name}_ms": float(np.std(values)),
        **{f"p{share}_{name}_ms": float(np.percentile(values, share)) for share in _PERCENTILES},
    }


def _count_most_open(samples: Sequence[LoadSample]) -> int:
    """Count the most requests that were under way at the same time."""
    # At equal times an end comes before a start.
    changes = sorted([(one.sent_s, 1) for one in samples] + [(one.ended_s, -1) for one in samples])
    most = now = 0
    for _, change in changes:
        now += change
        most = max(most, now)
    return most
