"""What stands around vLLM's server, without vLLM: the first answer, the probes, the command line, what was counted."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from fake_engine import MODEL, FakeEngine, serve_engine
from practicum_core.errors import ConfigError, Stopped
from practicum_core.stages.serve import ServeConfig
from practicum_jobs.adapters.vllm_server import Doorway, ServerSettings, _answer_once, build_options

HERE = Path(__file__).parent


def build_settings(port=0, **options):
    return ServerSettings(ServeConfig(**options), HERE, (MODEL, "builtin:fake"), "0.0.0.0", port)  # noqa: S104 - as in a pod


def answer_once(fault=None, *, is_stop_requested=False):
    async def run():
        engine = FakeEngine()
        engine.fault = fault
        async with serve_engine(engine) as url:
            settings = build_settings(int(url.rpartition(":")[2]))
            seconds = await _answer_once(settings, lambda: is_stop_requested)
            return seconds, engine

    return asyncio.run(run())


def test_the_first_answer_is_a_real_one_and_read_to_its_end():
    seconds, engine = answer_once()
    assert 0 < seconds < 5
    [body] = engine.bodies
    assert (body["model"], body["max_tokens"], engine.num_generated, engine.num_aborted) == (MODEL, 2, 2, 0)


@pytest.mark.parametrize(
    ("fault", "said"), [("broken", "engine is dead"), ("framework", "Not Found"), ("mute", "empty")]
)
def test_a_model_that_gives_no_answer_is_told(fault, said):
    with pytest.raises(ConfigError, match=said):
        answer_once(fault)


def test_a_stop_ends_the_wait_for_the_first_answer():
    with pytest.raises(Stopped):
        answer_once(is_stop_requested=True)


@pytest.mark.parametrize(
    ("path", "is_alive", "is_ready", "status"),
    [
        ("/readyz", True, False, 503),
        ("/healthz", True, False, 200),
        ("/readyz", True, True, 200),
        ("/readyz", False, True, 503),
        ("/healthz", False, True, 503),
        ("/v1/models", True, False, "passed on"),
    ],
)
def test_probes_are_answered_before_vllm(path, is_alive, is_ready, status):
    answers = []

    async def application(scope, receive, send):
        answers.append("passed on")

    async def send(message):
        answers.append(message.get("status"))

    doorway = Doorway(application, lambda: is_alive)
    doorway.is_ready = is_ready
    asyncio.run(doorway({"type": "http", "path": path}, None, send))
    assert answers[0] == status


def test_options_become_vllms():
    options = build_options(build_settings(enable_prefix_caching=False, kv_cache_gib=0.5, max_num_batched_tokens=64))
    words = " ".join(options)
    for expected in (
        "--no-enable-prefix-caching",
        "--enable-chunked-prefill",
        "--enforce-eager",
        "--max-num-batched-tokens 64",
        f"--served-model-name {MODEL} builtin:fake",
    ):
        assert expected in words
    assert "--max-model-len" not in words
