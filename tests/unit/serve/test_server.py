"""What stands around vLLM's server, without vLLM: the first answer, the probes, the command line, what was counted."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from fake_engine import MODEL, FakeEngine, serve_engine
from fake_scheduler import Settings
from practicum_core.errors import ConfigError, Stopped
from practicum_core.stages.serve import ServeConfig
from practicum_jobs.adapters.doorway import Doorway
from practicum_jobs.adapters.engine_server import ServerSettings, answer_once, require_free_port
from practicum_jobs.adapters.vllm_server import build_options, find_root_cause, find_start_details

HERE = Path(__file__).parent


def build_settings(port=0, **options):
    return ServerSettings(ServeConfig(**options), HERE, (MODEL, "builtin:fake"), "0.0.0.0", port)  # noqa: S104 - as in a pod


def ask_once(fault=None, *, is_stop_requested=False):
    async def run():
        engine = FakeEngine(Settings(api_key="secret"))
        engine.fault = fault
        async with serve_engine(engine) as url:
            settings = replace(build_settings(int(url.rpartition(":")[2])), key="secret")
            seconds = await answer_once(settings, lambda: is_stop_requested)
            return seconds, engine

    return asyncio.run(run())


def test_the_first_answer_is_a_real_one_and_read_to_its_end():
    seconds, engine = ask_once()
    assert seconds > 0
    [body] = engine.bodies
    assert (body["model"], body["max_tokens"], engine.num_generated, engine.num_aborted) == (MODEL, 2, 2, 0)


@pytest.mark.parametrize(
    ("fault", "said"), [("broken", "engine is dead"), ("framework", "Not Found"), ("mute", "empty")]
)
def test_a_model_that_gives_no_answer_is_told(fault, said):
    with pytest.raises(ConfigError, match=said):
        ask_once(fault)


def test_a_stop_ends_the_wait_for_the_first_answer():
    with pytest.raises(Stopped):
        ask_once(is_stop_requested=True)


def pass_doorway(path, headers=(), key="", *, is_alive=True, is_ready=True):
    answers = []

    async def application(scope, receive, send):
        answers.append("passed on")

    async def send(message):
        answers.append(message.get("status"))

    doorway = Doorway(application, lambda: is_alive, key)
    doorway.is_ready = is_ready
    asyncio.run(doorway({"type": "http", "path": path, "headers": headers}, None, send))
    return answers[0]


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
def test_probes_are_answered_before_the_engine(path, is_alive, is_ready, status):
    assert pass_doorway(path, is_alive=is_alive, is_ready=is_ready) == status


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/v1/models", [], 401),
        ("/tokenize", [(b"authorization", b"Bearer other")], 401),
        ("/v1/models", [(b"authorization", b"Bearer secret"), (b"authorization", b"Bearer secret")], 401),
        ("/v1/models", [(b"authorization", b"Bearer secret")], "passed on"),
        ("/metrics", [], "passed on"),
        ("/readyz", [], 200),
    ],
)
def test_strangers_of_the_machine_are_refused(path, headers, status):
    assert pass_doorway(path, headers, "secret") == status


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
    assert "--enable-lora" not in options


def test_adapters_become_vllms_options():
    settings = replace(build_settings(), adapters={"student-01": HERE, "student-02": HERE}, lora_rank=32)
    words = " ".join(build_options(settings))
    assert "--enable-lora --max-lora-rank 32 --max-loras 3 --max-cpu-loras 3 --lora-modules" in words
    assert f'{{"name": "student-01", "path": "{HERE}"}}' in words


def test_the_key_is_in_no_text_of_the_settings():
    assert "secret" not in repr(replace(build_settings(), key="secret"))


def test_a_port_in_use_is_told_before_a_model_is_loaded():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"port {port} of 127\.0\.0\.1: Address already in use"):
            require_free_port("127.0.0.1", port)
    require_free_port("127.0.0.1", port)


def test_the_cause_is_the_last_error_that_another_process_logged():
    log = """(EngineCore pid=7) ERROR 11-27 [core.py:1] EngineCore failed to start.
(EngineCore pid=7) ERROR 11-27 [core.py:1]     raise ValueError(
(EngineCore pid=7) ERROR 11-27 [core.py:1] ValueError: Head size 16 is not supported by the CPU's attention.
(APIServer pid=6) RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {}
"""
    assert find_root_cause(log) == "Head size 16 is not supported by the CPU's attention."
    assert find_root_cause("INFO: all is well") == ""
    assert find_start_details("Loading weights took 0.52 seconds\n") == {"weights_s": 0.52}
