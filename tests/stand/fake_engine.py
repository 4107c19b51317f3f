"""A small engine of the tests' own that answers OpenAI's API as vLLM does, with a scheduler that load makes slower.

Each step generates one token for every running request and takes longer the more of them run. Requests wait while all
places or the KV cache are taken. Its gauges have vLLM's names. A request may ask for a fault: ``{"fault": "html"}``.

Usage: python fake_engine.py PORT [STEP_S]
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from dataclasses import dataclass, field

from aiohttp import web

MODEL = "fake"
END = None


@dataclass
class Settings:
    step_s: float = 0.001
    step_s_per_request: float = 0.0
    prefill_s_per_token: float = 0.0
    max_running: int = 64
    kv_tokens: int = 100_000
    max_model_tokens: int = 4096


@dataclass
class Job:
    prompt_tokens: int
    max_tokens: int
    queue: asyncio.Queue = field(default_factory=asyncio.Queue)
    num_tokens: int = 0


class FakeEngine:
    """The engine: :meth:`build_app` gives its HTTP side, :meth:`run` its scheduler."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or Settings()
        self.waiting: list[Job] = []
        self.running: list[Job] = []
        self.bodies: list[dict] = []
        self.headers: list[dict] = []
        self.num_aborted = 0
        self.num_generated = 0
        self.fault: str | None = None
        self._wake = asyncio.Event()

    def build_app(self) -> web.Application:
        app = web.Application(client_max_size=64 << 20)
        app.router.add_post("/v1/chat/completions", self.answer)
        app.router.add_post("/v1/completions", self.answer)
        app.router.add_post("/v1/embeddings", self.embed)
        app.router.add_get("/v1/models", self.list_models)
        app.router.add_get("/metrics", self.tell_metrics)
        return app

    async def run(self) -> None:
        while True:
            await self._wake.wait()
            self._schedule()
            if not self.running:
                self._wake.clear()
                continue
            settings = self.settings
            prefill = sum(job.prompt_tokens for job in self.running if not job.num_tokens)
            await asyncio.sleep(
                settings.step_s
                + settings.step_s_per_request * len(self.running)
                + settings.prefill_s_per_token * prefill
            )
            for job in list(self.running):
                job.num_tokens += 1
                self.num_generated += 1
                job.queue.put_nowait(job.num_tokens)
                if job.num_tokens >= job.max_tokens:
                    job.queue.put_nowait(END)
                    self.running.remove(job)

    def _schedule(self) -> None:
        while self.waiting and len(self.running) < self.settings.max_running:
            needed = self.waiting[0].prompt_tokens + self.waiting[0].max_tokens
            if self.running and self.count_kv() + needed > self.settings.kv_tokens:
                return
            self.running.append(self.waiting.pop(0))

    def count_kv(self) -> int:
        return sum(job.prompt_tokens + job.max_tokens for job in self.running)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.bodies.append(body)
        peer = request.transport.get_extra_info("peername")
        self.headers.append({**request.headers, "X-Port": str(peer[1])})
        if (fault := await self._fault(body.get("fault") or self.fault)) is not None:
            return fault
        text = json.dumps(body.get("messages") or body.get("prompt"))
        job = Job(max(len(text) // 4, 1), body.get("max_completion_tokens") or body.get("max_tokens") or 16)
        if job.prompt_tokens + job.max_tokens > self.settings.max_model_tokens:
            return _refuse(400, f"maximum context length is {self.settings.max_model_tokens} tokens", "context_length")
        self.waiting.append(job)
        self._wake.set()
        try:
            return await (self._stream(request, body, job) if body.get("stream") else self._whole(body, job))
        except asyncio.CancelledError:
            self.num_aborted += 1
            raise
        except ConnectionError:
            self.num_aborted += 1
            return web.Response()
        finally:
            for jobs in (self.waiting, self.running):
                with contextlib.suppress(ValueError):
                    jobs.remove(job)

    async def _stream(self, request: web.Request, body: dict, job: Job) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
        is_chat = "messages" in body
        breaks_at = body.get("breaks_at")
        first = await job.queue.get()
        await response.prepare(request)
        number = first
        while number is not END:
            if number == breaks_at:
                request.transport.abort()
                return response
            delta = {"delta": {"content": f"t{number} "}} if is_chat else {"text": f"t{number} "}
            await _send(response, {**_head(body, is_chat, ".chunk"), "choices": [{"index": 0, **delta}]})
            number = await job.queue.get()
        done = {"delta": {}} if is_chat else {"text": ""}
        choice = {"index": 0, "finish_reason": "length", **done}
        await _send(response, {**_head(body, is_chat, ".chunk"), "choices": [choice]})
        if (body.get("stream_options") or {}).get("include_usage"):
            await _send(response, {**_head(body, is_chat, ".chunk"), "choices": [], "usage": _count(job)})
        await response.write(b"data: [DONE]\n\n")
        return response

    async def _whole(self, body: dict, job: Job) -> web.Response:
        while await job.queue.get() is not END:
            pass
        text = "".join(f"t{number} " for number in range(1, job.num_tokens + 1))
        is_chat = "messages" in body
        said = {"message": {"role": "assistant", "content": text}} if is_chat else {"text": text}
        choice = {"index": 0, "finish_reason": "length", **said}
        return web.json_response({**_head(body, is_chat, ""), "choices": [choice], "usage": _count(job)})

    async def _fault(self, fault: str | None) -> web.StreamResponse | None:
        if fault == "silent":
            await asyncio.sleep(3600)
        return FAULTS[fault]() if isinstance(fault, str) and fault in FAULTS else None

    async def embed(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.bodies.append(body)
        data = [{"object": "embedding", "index": 0, "embedding": [0.25, 0.5]}]
        usage = {"prompt_tokens": 3, "total_tokens": 3}
        return web.json_response({"object": "list", "model": MODEL, "data": data, "usage": usage})

    async def list_models(self, request: web.Request) -> web.Response:
        model = {"id": MODEL, "object": "model", "created": 0, "owned_by": "tests"}
        model["max_model_len"] = self.settings.max_model_tokens
        return web.json_response({"object": "list", "data": [model]})

    async def tell_metrics(self, request: web.Request) -> web.Response:
        values = {
            "vllm:num_requests_running": len(self.running),
            "vllm:num_requests_waiting": len(self.waiting),
            "vllm:kv_cache_usage_perc": self.count_kv() / self.settings.kv_tokens,
        }
        lines = [f'{name}{{model_name="{MODEL}"}} {value}\n' for name, value in values.items()]
        return web.Response(text="".join(lines))


def _head(body: dict, is_chat: bool, suffix: str) -> dict:
    kind = f"chat.completion{suffix}" if is_chat else "text_completion"
    return {"id": "cmpl-1", "object": kind, "created": 0, "model": body.get("model", MODEL)}


def _count(job: Job) -> dict:
    total = job.prompt_tokens + job.num_tokens
    return {"prompt_tokens": job.prompt_tokens, "completion_tokens": job.num_tokens, "total_tokens": total}


def _refuse(status: int, message: str, code: str) -> web.Response:
    error = {"message": message, "type": "BadRequestError", "param": None, "code": code}
    return web.json_response({"error": error}, status=status)


async def _send(response: web.StreamResponse, document: dict) -> None:
    await response.write(b"data: " + json.dumps(document, separators=(",", ":")).encode() + b"\n\n")


FAULTS = {
    "html": lambda: web.Response(text="<html>a proxy's page</html>", content_type="text/html"),
    "html-502": lambda: web.Response(status=502, text="<html>bad gateway</html>", content_type="text/html"),
    "mute": lambda: web.Response(text="data: [DONE]\n\n", content_type="text/event-stream"),
    "framework": lambda: web.json_response({"detail": "Not Found"}, status=404),
    "busy": lambda: _refuse(503, "too many queued requests", "admission"),
    "broken": lambda: _refuse(500, "engine is dead", "internal"),
}


@contextlib.asynccontextmanager
async def serve_engine(engine: FakeEngine, port: int = 0):
    """Serve an engine on loopback; gives its address."""
    # The handler is cancelled when its client goes away, as in vLLM.
    runner = web.AppRunner(engine.build_app(), handler_cancellation=True, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    scheduler = asyncio.create_task(engine.run())
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        scheduler.cancel()
        await runner.cleanup()


async def main(port: int, step_s: float) -> None:
    async with serve_engine(FakeEngine(Settings(step_s=step_s)), port) as url:
        sys.stdout.write(f"{url}\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main(int(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else 0.001))
