"""What stands around llama.cpp's server, without llama.cpp: its places, requests passed on, clients that leave."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from fake_engine import FakeEngine, serve_engine
from fake_scheduler import Settings
from practicum_core.errors import ConfigError, Reason
from practicum_core.stages.serve import ServeConfig
from practicum_jobs.adapters.engine_server import ServerSettings
from practicum_jobs.adapters.llama_server import LlamaApplication
from practicum_jobs.models.gguf_files import GgufFacts, find_gguf
from practicum_jobs.serve.slots import plan_slots

FACTS = GgufFacts(context_tokens=1024, kv_bytes_per_token=1 << 20, dtype="Q8_0", has_chat_template=True)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"kv_cache_gib": 3.5}, (1024, 3)),
        ({"kv_cache_gib": 3.5, "max_num_seqs": 2}, (1024, 2)),
        ({"kv_cache_gib": 1, "max_model_len": 256}, (256, 4)),
    ],
)
def test_the_kv_cache_is_divided_into_places(options, expected):
    slots = plan_slots(FACTS, ServeConfig(**options))
    assert (slots.context_tokens, slots.number) == expected
    assert slots.kv_bytes == expected[0] * expected[1] << 20


def test_a_cache_that_holds_no_longest_request_is_refused():
    with pytest.raises(ConfigError, match=r"one request of 1,024 tokens take 1\.00 GiB, .* is 0\.5") as refused:
        plan_slots(FACTS, ServeConfig(kv_cache_gib=0.5))
    assert refused.value.reason is Reason.PREFLIGHT_FAILED
    with pytest.raises(ConfigError, match=r"made for 1,024 tokens, and serve\.max_model_len is 2,048"):
        plan_slots(FACTS, ServeConfig(max_model_len=2048))


def test_a_gguf_file_is_found_in_a_folder_that_is_no_models(tmp_path):
    (tmp_path / "model.gguf").touch()
    assert find_gguf(tmp_path) == find_gguf(tmp_path / "model.gguf") == tmp_path / "model.gguf"
    (tmp_path / "config.json").touch()
    assert find_gguf(tmp_path) is None
    assert find_gguf(Path("model.gguf")) is None


class Client:
    """One request of an ASGI server's; ``leave`` ends it from the client's side."""

    def __init__(self, path, body=None):
        self.scope = {
            "type": "http",
            "method": "GET" if body is None else "POST",
            "path": path,
            "headers": [(b"content-type", b"application/json"), (b"authorization", b"Bearer other")],
        }
        self.body = b"" if body is None else json.dumps(body).encode()
        self.sent = []
        self.gone = asyncio.Event()
        self.is_read = False

    async def receive(self):
        if not self.is_read:
            self.is_read = True
            return {"type": "http.request", "body": self.body, "more_body": False}
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message):
        self.sent.append(message)

    @property
    def answer(self):
        return self.sent[0]["status"], b"".join(message.get("body", b"") for message in self.sent)


def on_application(settings, test):
    async def run():
        engine = FakeEngine(settings)
        async with serve_engine(engine) as url:
            names = ("model", "file:///m.gguf")
            server = ServerSettings(ServeConfig(), Path(), names, "127.0.0.1", 0)
            app = LlamaApplication(url, "secret", server, 512)
            try:
                return await test(engine, app)
            finally:
                await app.close()

    return asyncio.run(run())


def test_requests_are_passed_on_with_the_engines_own_key():
    async def test(engine, app):
        asked = {"model": "model", "messages": [], "max_tokens": 3}
        clients = [Client("/v1/chat/completions", asked | {"stream": is_streamed}) for is_streamed in (True, False)]
        others = [Client("/v1/models"), Client("/v1/completions", {"model": "another", "prompt": "x"})]
        for client in [*clients, *others]:
            await app(client.scope, client.receive, client.send)
        return [client.answer for client in [*clients, *others]], app.num_requests, engine.headers[0]

    answers, num_requests, headers = on_application(Settings(api_key="secret"), test)
    streamed, whole, models, unknown = answers
    assert (streamed[0], whole[0]) == (200, 200)
    assert streamed[1].endswith(b"data: [DONE]\n\n")
    assert json.loads(whole[1])["usage"]["completion_tokens"] == 3
    listed = [(model["id"], model["max_model_len"]) for model in json.loads(models[1])["data"]]
    assert listed == [("model", 512), ("file:///m.gguf", 512)]
    assert (unknown[0], json.loads(unknown[1])["error"]["param"]) == (404, "model")
    assert num_requests == 2
    assert headers["Content-Type"] == "application/json"


@pytest.mark.parametrize("is_streamed", [True, False])
def test_a_client_that_goes_away_ends_its_request(is_streamed):
    async def test(engine, app):
        client = Client("/v1/chat/completions", {"messages": [], "max_tokens": 1000, "stream": is_streamed})
        asked = asyncio.create_task(app(client.scope, client.receive, client.send))
        async with asyncio.timeout(20):
            while not engine.running:  # noqa: ASYNC110 - the engine tells nobody
                await asyncio.sleep(0.01)
            client.gone.set()
            await asked
            while engine.running:  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.01)
        return engine.num_aborted, len(engine.running), app.num_requests

    assert on_application(Settings(step_s=0.02), test) == (1, 0, 0)
