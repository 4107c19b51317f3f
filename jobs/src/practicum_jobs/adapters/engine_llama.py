"""llama.cpp's server in this process (xllamacpp), asked over HTTP with token ids and streamed token by token."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any

import httpx
import numpy as np
import numpy.typing as npt

from practicum_core.errors import ConfigError, PlatformError, Reason
from practicum_jobs.adapters.engine import Conversation, EngineSettings, TimedAnswer, sort_answers

_DATA = "data: "
_KERNELS = ("AVX", "FMA", "AMX", "NEON", "DOTPROD", "SVE", "LLAMAFILE", "REPACK", "ARCHS")
_TIMEOUT_S = 600.0


class LlamaEngine:
    """A GGUF file in llama.cpp, with a slot for each request at the same time.

    Raises:
        ConfigError: llama.cpp cannot load the file.
    """

    has_logits = False

    def __init__(self, settings: EngineSettings) -> None:
        import xllamacpp  # noqa: PLC0415 - in the environment `serve` alone

        self._library: Any = xllamacpp
        self._settings = settings
        options = xllamacpp.CommonParams()
        options.model.path = str(settings.path)
        options.n_parallel = settings.concurrency
        options.n_ctx = settings.context_size * settings.concurrency
        options.cpuparams.n_threads = options.cpuparams_batch.n_threads = settings.num_threads
        options.n_threads_http = settings.concurrency + 2
        options.warmup = False
        options.verbosity = 0
        try:
            self._server = xllamacpp.Server(options)
        except (RuntimeError, ValueError) as error:
            raise ConfigError(f"{settings.path}: llama.cpp cannot load it ({error})", "make the file again") from error
        self._client = httpx.Client(
            base_url=self._server.listening_address,
            timeout=_TIMEOUT_S,
            # Its server closes a connection after a few requests, and a request on one that is being closed is lost.
            limits=httpx.Limits(max_connections=settings.concurrency + 2, max_keepalive_connections=0),
            trust_env=False,
        )

    @property
    def kernel(self) -> str:
        """Device, and what its matrix products use of it."""
        return shorten_system_info(str(self._library.get_system_info()))

    def answer(self, prompts: Sequence[Sequence[int]], concurrency: int) -> list[TimedAnswer]:
        """Answer every prompt, ``concurrency`` of them at the same time."""
        return sort_answers(self.iter_answers(prompts, concurrency))

    def iter_answers(self, prompts: Sequence[Sequence[int]], concurrency: int) -> Iterator[tuple[int, TimedAnswer]]:
        """Answer every prompt; yield the answers as they are finished."""
        pool = ThreadPoolExecutor(concurrency)
        try:
            asked = {pool.submit(self._answer_one, prompt): place for place, prompt in enumerate(prompts)}
            for finished in as_completed(asked):
                yield asked[finished], finished.result()
        finally:
            pool.shutdown(cancel_futures=True)

    def close(self) -> None:
        """Stop the server."""
        self._client.close()
        del self._server

    def _answer_one(self, prompt: Sequence[int]) -> TimedAnswer:
        request = {
            "prompt": list(prompt),
            "n_predict": self._settings.max_new_tokens,
            "temperature": 0.0,
            "cache_prompt": False,
            "return_tokens": True,
            "stream": True,
        }
        token_ids: list[int] = []
        last: dict[str, Any] = {}
        start_s = first_s = time.perf_counter()
        with self._client.stream("POST", "/completion", json=request) as response:
            _check(response)
            for line in response.iter_lines():
                if not line.startswith(_DATA):
                    continue
                last = json.loads(line.removeprefix(_DATA))
                if last.get("tokens") and not token_ids:
                    first_s = time.perf_counter()
                token_ids += last.get("tokens") or []
        end_s = time.perf_counter()
        return TimedAnswer(token_ids, self._read_prompt(last), start_s, first_s, end_s)

    def read_conversations(self, conversations: Sequence[Conversation]) -> list[Sequence[int] | None]:
        """Return the prompt token ids of conversations, each of which is answered with one token."""
        prompts: list[Sequence[int] | None] = []
        for turns in conversations:
            request = {
                "messages": [dict(turn) for turn in turns],
                "max_tokens": 1,
                "temperature": 0.0,
                "cache_prompt": False,
                "verbose": True,  # the answer has what `/completion` would say in `__verbose`
            }
            response = self._client.post("/v1/chat/completions", json=request)
            is_answered = response.status_code == httpx.codes.OK  # else the template refuses the conversation
            prompts.append(self._read_prompt(response.json().get("__verbose") or {}) if is_answered else None)
        return prompts

    def _read_prompt(self, answer: dict[str, Any]) -> list[int] | None:
        """Return the prompt's token ids: the server gives back the text of the tokens it processed and their number.

        The text, special tokens included, is read by the tokenizer in the file. ``None`` where that gives another
        number of tokens than were processed, or the server gives back no text.
        """
        text, count = answer.get("prompt"), answer.get("tokens_evaluated")
        if not isinstance(text, str) or not isinstance(count, int):
            return None
        found = self._post("/tokenize", {"content": text, "add_special": False, "parse_special": True})
        token_ids = [int(one) for one in found.get("tokens") or []]
        return token_ids if len(token_ids) == count else None

    def _post(self, path: str, request: dict[str, Any]) -> dict[str, Any]:
        response = self._client.post(path, json=request)
        _check(response)
        document: dict[str, Any] = response.json()
        return document

    def compute_logits(self, token_ids: Sequence[int]) -> npt.NDArray[np.float32]:
        """Refuse: this package gives no logits of whole texts."""
        raise NotImplementedError


def shorten_system_info(text: str) -> str:
    """Return the parts of llama.cpp's ``llama_print_system_info`` that matrix products depend on.

    >>> shorten_system_info("CPU : SSE3 = 1 | AVX = 1 | AVX2 = 1 | LLAMAFILE = 1 | OPENMP = 1 | REPACK = 1 | ")
    'CPU AVX2 LLAMAFILE REPACK'
    """
    device, _, features = text.partition(":")
    names = [part.split("=")[0].strip() for part in features.split("|") if part.strip().endswith("= 1")]
    return " ".join([device.strip(), *(name for name in names if name.startswith(_KERNELS) and name != "AVX")])


def _check(response: httpx.Response) -> None:
    if response.status_code != httpx.codes.OK:
        detail = response.read().decode(errors="replace")[:200]
        raise PlatformError(Reason.UPSTREAM_UNAVAILABLE, f"llama.cpp answered {response.status_code}: {detail}", "")
