"""A judge model at an OpenAI-compatible address. The API key is sent, and never written anywhere."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Generator, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from practicum_core.errors import ConfigError
from practicum_core.stages.judge import Unusable
from practicum_jobs.judge.pairs import Judgement, Question
from practicum_jobs.judge.prompts import RESPONSE_FORMATS, RULES, build_messages, write_instructions
from practicum_jobs.judge.replies import read_reply

MAX_REPLY_BYTES = 1_000_000
_FIRST_PAUSE_S = 0.5
_MAX_PAUSE_S = 30.0
_TRY_AGAIN = frozenset({408, 409, 425, 429})
_SERVER_FAULT = 500
_MAX_DETAIL = 200
_NO_ANSWER = Judgement(None, Unusable.NO_ANSWER)


@dataclass(frozen=True)
class HttpOptions:
    """Where a judge model answers and how it is asked. ``key`` is empty where none is sent."""

    url: str
    model: str
    key: str = ""
    response_format: str = "json_object"
    timeout_s: float = 60.0
    retries: int = 2
    concurrency: int = 4
    max_tokens: int = 128
    show_reference: bool = True

    def __repr__(self) -> str:
        """Leave out the key: a trace may show this object."""
        return f"HttpOptions({self.url!r}, {self.model!r})"


class _TryAgainError(Exception):
    """The server asks to come back; after ``pause_s`` seconds where it says so."""

    def __init__(self, pause_s: float | None = None) -> None:
        super().__init__("the judge asks to come back later")
        self.pause_s = pause_s


class HttpJudge:
    """Asks a model over HTTP, several questions at a time, at temperature 0."""

    def __init__(self, options: HttpOptions) -> None:
        self._options = options

    @property
    def identity(self) -> str:
        """The address, the model and what changes its answers."""
        one = self._options
        shown = "with" if one.show_reference else "without"
        return f"model {one.model} at {one.url}, {one.response_format}, {one.max_tokens} tokens, {shown} reference"

    @property
    def instructions(self) -> str:
        """The instructions in each language."""
        return json.dumps([write_instructions(language, "json") for language in sorted(RULES)], ensure_ascii=False)

    def judge(self, questions: Sequence[Question]) -> Generator[tuple[Question, Judgement]]:
        """Answer the questions as their answers arrive.

        Raises:
            ConfigError: The server refuses the request itself: no such model, no such address, a wrong key.
        """
        with asyncio.Runner() as runner:
            stream = self._ask_all(questions)
            while (answered := runner.run(_take_next(stream))) is not None:
                yield answered

    async def _ask_all(self, questions: Sequence[Question]) -> AsyncIterator[tuple[Question, Judgement]]:
        headers = {"Authorization": f"Bearer {self._options.key}"} if self._options.key else {}
        room = asyncio.Semaphore(self._options.concurrency)
        async with httpx.AsyncClient(headers=headers, timeout=self._options.timeout_s) as client:

            async def ask(question: Question) -> tuple[Question, Judgement]:
                async with room:
                    try:
                        return question, await self._ask_patiently(client, question)
                    except ConfigError:
                        # Whoever waits for this room would be refused as well, and services count refused requests.
                        for one in tasks:
                            if one is not asyncio.current_task():
                                one.cancel()
                        raise

            tasks = [asyncio.create_task(ask(question)) for question in questions]
            try:
                for task in asyncio.as_completed(tasks):
                    yield await task
            finally:
                for one in tasks:
                    one.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _ask_patiently(self, client: httpx.AsyncClient, question: Question) -> Judgement:
        """Ask until there is an answer, a bounded number of times."""
        for attempt in range(self._options.retries + 1):
            pause_s = _FIRST_PAUSE_S * 2**attempt
            try:
                async with asyncio.timeout(self._options.timeout_s):
                    return await self._ask_once(client, question)
            except _TryAgainError as asked:
                pause_s = asked.pause_s if asked.pause_s is not None else pause_s
            except (TimeoutError, httpx.TransportError):
                pass
            if attempt < self._options.retries:
                await asyncio.sleep(min(pause_s, _MAX_PAUSE_S))
        return _NO_ANSWER

    async def _ask_once(self, client: httpx.AsyncClient, question: Question) -> Judgement:
        options = self._options
        request = {
            "model": options.model,
            "messages": build_messages(question, form="json", show_reference=options.show_reference),
            "temperature": 0,
            "max_tokens": options.max_tokens,
            **RESPONSE_FORMATS[options.response_format],
        }
        async with client.stream("POST", f"{options.url}/chat/completions", json=request) as response:
            body = await _read_body(response)
            if response.status_code in _TRY_AGAIN or response.status_code >= _SERVER_FAULT:
                raise _TryAgainError(_read_pause(response))
            if response.status_code != httpx.codes.OK:
                raise self._explain_refused(response.status_code, body)
        return self._read_body(body)

    def _read_body(self, body: bytes) -> Judgement:
        """Return the judgement in a completion; a body of another shape is garbage."""
        try:
            document: Any = json.loads(body)
            choice = document["choices"][0]
            message, model = choice["message"], str(document.get("model") or "")
        except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
            return Judgement(None, Unusable.GARBAGE, self._hide_key(body.decode(errors="replace"))[:_MAX_DETAIL])
        if not isinstance(message, dict):
            return Judgement(None, Unusable.GARBAGE, model=model)
        content = message.get("content")
        text = self._hide_key(content if isinstance(content, str) else "")
        if message.get("refusal") or choice.get("finish_reason") == "content_filter":
            return Judgement(None, Unusable.REFUSAL, text[:_MAX_DETAIL], model)
        if choice.get("finish_reason") == "length":
            return Judgement(None, Unusable.CUT_OFF, text[:_MAX_DETAIL], model)
        return read_reply(text, model)

    def _explain_refused(self, status: int, body: bytes) -> ConfigError:
        said = " ".join(self._hide_key(body.decode(errors="replace")).split())[:_MAX_DETAIL]
        fixes = {
            401: "put the API key in the variable that judge.key_variable names",
            403: "put an API key that may use this model in the variable that judge.key_variable names",
            404: "correct judge.url (it often ends in /v1) and judge.model_name",
        }
        fix = fixes.get(status, "correct judge.model_name, or set judge.response_format=none or judge.max_tokens")
        return ConfigError(f"{self._options.url}: the judge answers HTTP {status}: {said}", fix)

    def _hide_key(self, text: str) -> str:
        """Remove the key from what the server says; some repeat it in their errors."""
        return text.replace(self._options.key, "***") if self._options.key else text


async def _take_next(
    stream: AsyncIterator[tuple[Question, Judgement]],
) -> tuple[Question, Judgement] | None:
    return await anext(stream, None)


async def _read_body(response: httpx.Response) -> bytes:
    """Read at most ``MAX_REPLY_BYTES``; a longer body is cut off, and so no JSON."""
    parts, size = [], 0
    async for part in response.aiter_bytes():
        parts.append(part)
        size += len(part)
        if size > MAX_REPLY_BYTES:
            break
    return b"".join(parts)[:MAX_REPLY_BYTES]


def _read_pause(response: httpx.Response) -> float | None:
    """Return the seconds of ``Retry-After``; ``None`` for a date or for none."""
    value = response.headers.get("retry-after", "")
    return float(value) if value.isascii() and value.isdigit() else None
