"""A judge at an OpenAI-compatible address on loopback that behaves as a test wants.

A behaviour is a function of the question (a dictionary with ``question``, ``A``, ``B`` and perhaps ``reference``) and
of the number of the request. It returns the text of an answer, or a :class:`Reply` with a whole HTTP answer.
"""

from __future__ import annotations

import contextlib
import json
import random
import threading
import time
import zlib
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from practicum_jobs.judge.gold import build_canaries, build_gold


@dataclass(frozen=True)
class Reply:
    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    pause_s: float = 0.0


def say(verdict):
    return json.dumps({"verdict": verdict})


def build_key():
    """Return what the gold set and the canaries say of each pair of answers: 1 where the first is better, -1, or 0."""
    scores = {"base": 1, "candidate": -1, "tie": 0}
    key = {}
    for language in ("en", "zh"):
        for pair in (*build_gold(language), *build_canaries(language)):
            key[pair.prompt, pair.base, pair.candidate] = scores[pair.winner]
            key[pair.prompt, pair.candidate, pair.base] = -scores[pair.winner]
    return key


KEY = build_key()


def good(question, _number):
    """Know the gold set but for some pairs in a hundred; of others, prefer the answer that equals the reference."""
    first, second = question["A"], question["B"]
    pair = json.dumps([question["question"], *sorted([first, second])], ensure_ascii=False)
    known = KEY.get((question["question"], first, second))
    if known is None:
        known = (first == question["reference"]) - (second == question["reference"])
    if zlib.crc32(pair.encode()) % 100 < 4:
        known = 0
    return say({1: "A", -1: "B", 0: "tie"}[known])


def always_first(_question, _number):
    return say("A")


def prefers_long(question, _number):
    first, second = len(question["A"]), len(question["B"])
    return say("tie" if first == second else "A" if first > second else "B")


def build_random(seed=3):
    generator = random.Random(seed)
    return lambda _question, _number: say(generator.choice(["A", "B", "tie"]))


def build_changing(after, later=always_first):
    return lambda question, number: good(question, number) if number < after else later(question, number)


class JudgeServer:
    """Serves one behaviour. ``requests`` holds every request's payload, ``headers`` its headers."""

    def __init__(self, behaviour) -> None:
        self.behaviour = behaviour
        self.model = "judge-1"
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self._lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = 65536  # head and body in one segment: two would wait for an acknowledgement of the first

            def do_POST(self):
                outer.answer(self)

            def log_message(self, *arguments):
                """Write no line for each question."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()

    def answer(self, handler):
        content = handler.rfile.read(int(handler.headers["Content-Length"]))
        if not content:  # a client that went away
            return
        payload = json.loads(content)
        with self._lock:
            number = len(self.requests)
            self.requests.append(payload)
            self.headers.append(dict(handler.headers))
        reply = self.behaviour(json.loads(payload["messages"][-1]["content"]), number)
        if isinstance(reply, str):
            reply = Reply(body=build_completion(reply, model=self.model))
        time.sleep(reply.pause_s)
        with contextlib.suppress(OSError):  # a client that no longer waits
            handler.send_response(reply.status)
            for name, value in reply.headers.items():
                handler.send_header(name, value)
            handler.send_header("Content-Length", str(len(reply.body)))
            handler.end_headers()
            handler.wfile.write(reply.body)
            handler.wfile.flush()


def build_completion(text, model="judge-1", finish_reason="stop", **message):
    choice = {"index": 0, "message": {"role": "assistant", "content": text, **message}, "finish_reason": finish_reason}
    return json.dumps({"object": "chat.completion", "model": model, "choices": [choice]}).encode()
