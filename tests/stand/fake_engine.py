"""A small engine of the tests' own that answers OpenAI's API as vLLM does, and that load makes slower as it does vLLM.

Queue, batch, KV cache and preemption are in ``fake_scheduler.py``, the metrics with vLLM's names in
``fake_metrics.py``. Time passes by sleeping, so that it needs little of the processor.

A fault is asked for by a request (``{"fault": "cut"}``), or put on all or some of them (``FakeEngine.fault``,
``fault_share``, or ``POST /fake/fault {"fault": "cut", "share": 0.2}``). Of a stream that a fault breaks, half of the
tokens come before it. Settings are changed while it runs by ``POST /fake/settings {"step_s": 0.1}``.

Usage: python fake_engine.py PORT [STEP_S] [--max-running 4 ...]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import sys
from dataclasses import fields

from aiohttp import web

from fake_metrics import EngineMetrics
from fake_scheduler import Job, Scheduler, Settings

MODEL = "fake"
END = None
_FOREVER_S = 3600.0
_TOKEN_CHARACTERS = 4
_LAG_S = 0.1


class FakeEngine:
    """The engine: :meth:`build_app` gives its HTTP side, :meth:`run` computes.

    Attributes:
        fault: Fault of requests that name none.
        fault_share: Share of the requests that :attr:`fault` hits.
        models: Names that it tells.
        bodies: Of all requests, as they came.
        headers: Of all requests, with the client's port.
        num_aborted: Requests whose client went away.
        num_generated: Tokens.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or Settings()
        self.scheduler = Scheduler(self.settings)
        self.metrics = EngineMetrics(MODEL)
        self.bodies: list[dict] = []
        self.headers: list[dict] = []
        self.num_aborted = 0
        self.num_generated = 0
        self.fault: str | None = None
        self.fault_share = 1.0
        self.models = [MODEL]
        self._random = random.Random(0)
        self._wake = asyncio.Event()

    @property
    def running(self) -> list[Job]:
        return self.scheduler.running

    @property
    def waiting(self) -> list[Job]:
        return self.scheduler.waiting

    def build_app(self) -> web.Application:
        app = web.Application(client_max_size=64 << 20)
        app.router.add_post("/v1/chat/completions", self.answer)
        app.router.add_post("/v1/completions", self.answer)
        app.router.add_post("/v1/embeddings", self.embed)
        app.router.add_get("/v1/models", self.list_models)
        app.router.add_get("/metrics", self.tell_metrics)
        app.router.add_get("/health", self.tell_health)
        app.router.add_post("/fake/fault", self.change_fault)
        app.router.add_post("/fake/settings", self.change_settings)
        return app

    async def run(self) -> None:
        """Compute step after step until it is cancelled."""
        loop = asyncio.get_running_loop()
        is_idle, ends_s = True, 0.0
        while True:
            await self._wake.wait()
            step = self.scheduler.plan_step()
            if step is None:
                self._wake.clear()
                is_idle = True
                continue
            # A step starts where the one before ended by its plan, so that late wake-ups do not add up.
            starts_s = loop.time() if is_idle else max(ends_s, loop.time() - _LAG_S)
            is_idle, ends_s = False, starts_s + step.duration_s
            for job in step.tokens:
                job.scheduled_s = starts_s if job.scheduled_s is None else job.scheduled_s
            await asyncio.sleep(max(ends_s - loop.time(), 0))
            gained = self.scheduler.finish_step(step)
            now_s = loop.time()
            self.metrics.count_step(step, gained, now_s)
            self.num_generated += len(gained)
            for job in gained:
                job.queue.put_nowait(job.num_tokens)
                if job.num_tokens >= job.max_tokens:
                    job.queue.put_nowait(END)
                    self.scheduler.remove(job)
                    self.metrics.count_end(job, "length", now_s)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        refusal = self._check_key(request)
        if refusal is not None:
            return refusal
        body = await request.json()
        self.bodies.append(body)
        peer = request.transport.get_extra_info("peername")
        self.headers.append({**request.headers, "X-Port": str(peer[1])})
        fault = self._choose_fault(body)
        if (faulty := await self._fail_before(request, fault)) is not None:
            return faulty
        job = self._build_job(body)
        if job.prompt_tokens + job.max_tokens > self.settings.max_model_tokens:
            return _refuse(400, f"maximum context length is {self.settings.max_model_tokens} tokens", "context_length")
        if self.settings.max_waiting is not None and len(self.waiting) >= self.settings.max_waiting:
            self.metrics.count_rejection()
            return _refuse(503, "too many queued requests", "admission")
        job.arrived_s = asyncio.get_running_loop().time()
        self.waiting.append(job)
        self._wake.set()
        write = self._stream if body.get("stream") else self._whole
        try:
            return await write(request, body, job, fault)
        except asyncio.CancelledError:
            self.num_aborted += 1
            raise
        except ConnectionError:
            self.num_aborted += 1
            return web.Response()
        finally:
            if self.scheduler.remove(job):
                self.metrics.count_end(job, "abort", asyncio.get_running_loop().time())

    def _build_job(self, body: dict) -> Job:
        prompt = body.get("messages") or body.get("prompt")
        # Only chat completions have the first of these fields.
        named = (body.get("max_completion_tokens") if "messages" in body else None) or body.get("max_tokens")
        most = named if isinstance(named, int) and named > 0 else 16
        if isinstance(prompt, list) and prompt and isinstance(prompt[0], int):  # token ids
            return Job(len(prompt), most, self._name_blocks(prompt, self.settings.block_tokens))
        text = json.dumps(prompt)
        blocks = self._name_blocks(text, self.settings.block_tokens * _TOKEN_CHARACTERS)
        return Job(max(len(text) // _TOKEN_CHARACTERS, 1), most, blocks)

    def _name_blocks(self, prompt: str | list[int], length: int) -> tuple[int, ...]:
        ends = range(length, len(prompt) + 1, length) if self.settings.has_prefix_cache else ()
        return tuple(hash(str(prompt[:end])) for end in ends)

    def _check_key(self, request: web.Request) -> web.Response | None:
        key = self.settings.api_key
        if not key or request.headers.get("Authorization") == f"Bearer {key}":
            return None
        return web.json_response({"error": "Unauthorized"}, status=401)

    def _choose_fault(self, body: dict) -> str | None:
        named = body.get("fault")
        if named and isinstance(named, str):
            return named
        return self.fault if self.fault and self._random.random() < self.fault_share else None

    async def _fail_before(self, request: web.Request, fault: str | None) -> web.StreamResponse | None:
        if fault == "silent":
            await asyncio.sleep(_FOREVER_S)
        if fault == "slow":
            await asyncio.sleep(self.settings.slow_first_token_s)
        if fault == "reset":
            request.transport.abort()
            return web.Response()
        return FAULTS[fault]() if isinstance(fault, str) and fault in FAULTS else None

    async def _stream(self, request: web.Request, body: dict, job: Job, fault: str | None) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
        is_chat = "messages" in body
        fails_at = body.get("breaks_at") or max(job.max_tokens // 2, 1)
        fault = "cut" if body.get("breaks_at") else fault
        number = await job.queue.get()
        await response.prepare(request)
        while number is not END:
            if number == fails_at and fault in STREAM_FAULTS and await STREAM_FAULTS[fault](request, response):
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

    async def _whole(self, request: web.Request, body: dict, job: Job, fault: str | None) -> web.StreamResponse:
        while await job.queue.get() is not END:
            pass
        text = "".join(f"t{number} " for number in range(1, job.num_tokens + 1))
        is_chat = "messages" in body
        said = {"message": {"role": "assistant", "content": text}} if is_chat else {"text": text}
        choice = {"index": 0, "finish_reason": "length", **said}
        document = {**_head(body, is_chat, ""), "choices": [choice], "usage": _count(job)}
        if fault in STREAM_FAULTS:
            page = json.dumps(document).encode()
            response = web.StreamResponse(headers={"Content-Type": "application/json"})
            response.content_length = len(page)
            await response.prepare(request)
            await response.write(page[: len(page) // 2])
            await STREAM_FAULTS[fault](request, response)
            request.transport.abort()
            return response
        return web.json_response(document)

    async def embed(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.bodies.append(body)
        data = [{"object": "embedding", "index": 0, "embedding": [0.25, 0.5]}]
        usage = {"prompt_tokens": 3, "total_tokens": 3}
        return web.json_response({"object": "list", "model": MODEL, "data": data, "usage": usage})

    async def list_models(self, request: web.Request) -> web.Response:
        refusal = self._check_key(request)
        if refusal is not None:
            return refusal
        card = {"object": "model", "created": 0, "owned_by": "tests", "max_model_len": self.settings.max_model_tokens}
        return web.json_response({"object": "list", "data": [{"id": name, **card} for name in self.models]})

    async def tell_metrics(self, request: web.Request) -> web.Response:
        page = self.metrics.build_page(self.scheduler)
        return web.Response(body=page, content_type="text/plain", charset="utf-8")

    async def tell_health(self, request: web.Request) -> web.Response:
        return web.Response(status=503 if self.fault == "broken" else 200)

    async def change_fault(self, request: web.Request) -> web.Response:
        change = await request.json()
        self.fault, self.fault_share = change.get("fault"), change.get("share", 1.0)
        return web.Response()

    async def change_settings(self, request: web.Request) -> web.Response:
        changes = await request.json()
        if unknown := changes.keys() - {one.name for one in fields(Settings)}:
            return _refuse(400, f"no settings: {sorted(unknown)}", "settings")
        for name, value in changes.items():
            setattr(self.settings, name, value)
        return web.Response()


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
    "moved": lambda: web.Response(status=302, headers={"location": "/login"}, text="<html>log in first</html>"),
    "html-502": lambda: web.Response(status=502, text="<html>bad gateway</html>", content_type="text/html"),
    "mute": lambda: web.Response(text="data: [DONE]\n\n", content_type="text/event-stream"),
    "framework": lambda: web.json_response({"detail": "Not Found"}, status=404),
    "busy": lambda: _refuse(503, "too many queued requests", "admission"),
    "broken": lambda: _refuse(500, "engine is dead", "internal"),
}
"""Answers in place of a right one. Beside them: ``silent`` (never answers), ``slow``, ``reset`` (closes at once)."""


async def _cut(request: web.Request, response: web.StreamResponse) -> bool:
    request.transport.abort()
    return True


async def _stall(request: web.Request, response: web.StreamResponse) -> bool:
    await asyncio.sleep(_FOREVER_S)
    return True


async def _write_broken_event(request: web.Request, response: web.StreamResponse) -> bool:
    await response.write(b'data: {"choices": [{"index": 0, "delta"\n\n')
    return False


async def _write_error_event(request: web.Request, response: web.StreamResponse) -> bool:
    error = {"message": "engine is dead", "type": "InternalServerError", "param": None, "code": 500}
    await _send(response, {"error": error})
    await response.write(b"data: [DONE]\n\n")
    return True


STREAM_FAULTS = {"cut": _cut, "stall": _stall, "malformed": _write_broken_event, "error-event": _write_error_event}
"""What happens in the middle of an answer, and whether that is its end; a whole answer is cut off there."""


@contextlib.asynccontextmanager
async def serve_engine(engine: FakeEngine, port: int = 0, host: str = "127.0.0.1"):
    """Serve an engine on loopback; gives its address."""
    # The handler is cancelled when its client goes away, as in vLLM.
    runner = web.AppRunner(engine.build_app(), handler_cancellation=True, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, host, port)
    await site.start()
    computing = asyncio.create_task(engine.run())
    try:
        yield f"http://{host}:{runner.addresses[0][1]}"
    finally:
        computing.cancel()
        await runner.cleanup()


async def main(port: int, settings: Settings) -> None:
    async with serve_engine(FakeEngine(settings), port) as url:
        sys.stdout.write(f"{url}\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


def read_arguments(arguments: list[str]) -> tuple[int, Settings]:
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("step_s", type=float, nargs="?", default=Settings.step_s)
    for one in fields(Settings):
        if one.name != "step_s":
            kind = int if one.default is None else type(one.default)
            parser.add_argument(f"--{one.name.replace('_', '-')}", type=kind, default=one.default)
    options = vars(parser.parse_args(arguments))
    return options.pop("port"), Settings(**options)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main(*read_arguments(sys.argv[1:])))
