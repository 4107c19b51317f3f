"""Recorded traffic as the schedule of a load test: the same times, prompts of the same sizes. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from practicum_core.errors import DataError
from practicum_core.stages.load_results import LoadSample, RequestError
from practicum_core.traffic import CLIENT_GONE, TraceRequest
from practicum_jobs.load.prompts import Prompt, write_prompt
from practicum_jobs.load.schedule import RateStep

_CHARS_PER_WORD = 5
"""Of the words that prompts are made of, with the space; where no engine counted the tokens."""
_DEFAULT_MAX_TOKENS = 128
_BAD_GATEWAY = 502
_REFUSED_BEFORE = frozenset({401, 403, 404, 405, 408, 413})
"""Status of requests that no engine and no rung would see: there is nothing to send again."""


def build_replay(
    requests: Sequence[TraceRequest], max_tokens: int = _DEFAULT_MAX_TOKENS
) -> tuple[RateStep, list[Prompt]]:
    """Build the schedule of recorded requests, and what is sent.

    A request with a recorded prompt sends that. Any other sends words drawn from the hash of its prompt, as many as it
    had tokens: equal prompts stay equal, and different ones share no beginning.

    Args:
        requests: In order of their arrival; times from the start of the schedule.
        max_tokens: Of an answer to a request that did not say.

    Raises:
        DataError: None of them has a prompt.
    """
    kept = list_replayable(requests)
    if not kept:
        raise DataError("no request of this trace can be sent again", "record requests of /v1/chat/completions")
    places: dict[str, int] = {}
    prompts: list[Prompt] = []
    for one in kept:
        if one.prompt_hash not in places:
            places[one.prompt_hash] = len(prompts)
            prompts.append(build_prompt(one))
    duration_s = max(kept[-1].at_s, 0.001)
    step = RateStep(
        rate=max(len(kept) / duration_s, 0.001),
        warmup_s=0.0,
        duration_s=duration_s,
        at_s=[one.at_s for one in kept],
        prompts=[places[one.prompt_hash] for one in kept],
        max_tokens=[max(one.max_tokens or one.completion_tokens or max_tokens, 1) for one in kept],
    )
    return step, prompts


def list_replayable(requests: Sequence[TraceRequest]) -> list[TraceRequest]:
    """List the requests that can be sent again: those whose body was read and was one."""
    return [one for one in requests if one.prompt_hash and one.status not in _REFUSED_BEFORE]


def build_prompt(request: TraceRequest) -> Prompt:
    """Build what is sent for a recorded request.

    >>> made = build_prompt(TraceRequest(at_s=0, path="/", status=200, total_s=1, prompt_hash="0f", prompt_tokens=3))
    >>> made.num_words
    3
    """
    messages = _read_messages(request.prompt)
    if messages:
        return Prompt(tuple(messages))
    rng = np.random.default_rng(int(request.prompt_hash, 16))
    num_words = request.prompt_tokens or max(request.prompt_chars // _CHARS_PER_WORD, 1)
    return write_prompt(num_words, rng)


def _read_messages(prompt: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - any JSON
    """Read recorded messages, or a recorded text as one; empty where there are none."""
    if isinstance(prompt, str) and prompt:
        return [{"role": "user", "content": prompt}]
    if isinstance(prompt, list) and prompt and all(isinstance(turn, dict) for turn in prompt):
        return prompt
    return []


def build_seen(samples: Sequence[LoadSample], zero_s: float) -> list[TraceRequest]:
    """Build what a client saw of a replay in the form of a trace, in order of the schedule.

    An answer that was not whole counts as an error, whatever its status.

    Args:
        samples: Of the replay.
        zero_s: Start of the schedule, on their clock.
    """
    return [
        TraceRequest(
            at_s=round(one.sent_s - zero_s, 6),
            path="",
            status=_find_status(one),
            rung=one.rung,
            prompt_tokens=one.prompt_tokens or None,
            completion_tokens=one.completion_tokens or None,
            is_streamed=True,
            first_byte_s=None if one.first_token_s is None else round(max(one.first_token_s - one.sent_s, 0.0), 6),
            total_s=round(one.ended_s - one.sent_s, 6),
        )
        for one in sorted(samples, key=lambda one: one.scheduled_s)
    ]


def _find_status(sample: LoadSample) -> int:
    if sample.is_ok:
        return sample.status or 200
    if sample.error in (RequestError.TIMEOUT, RequestError.OPEN):
        return CLIENT_GONE
    return sample.status if sample.error.startswith("http_") else _BAD_GATEWAY
