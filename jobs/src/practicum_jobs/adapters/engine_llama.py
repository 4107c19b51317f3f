"""llama.cpp's server in this process (xllamacpp), asked over HTTP with token ids and streamed token by token."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import numpy as np
import numpy.typing as npt

from practicum_core.errors import ConfigError, PlatformError, Reason
from practicum_jobs.adapters.engine import EngineSettings, TimedAnswer

_DATA = "data: "
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
        """What llama.cpp found of the processor."""
        return " ".join(str(self._library.get_system_info()).replace("|", " ").replace("= 1", "").split())

    def answer(self, prompts: Sequence[Sequence[int]], concurrency: int) -> list[TimedAnswer]:
        """Answer every prompt, ``concurrency`` of them at the same time."""
        with ThreadPoolExecutor(concurrency) as pool:
            return list(pool.map(self._answer_one, prompts))

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
            if response.status_code != httpx.codes.OK:
                detail = response.read().decode(errors="replace")[:200]
                raise PlatformError(
                    Reason.UPSTREAM_UNAVAILABLE, f"llama.cpp answered {response.status_code}: {detail}", ""
                )
            for line in response.iter_lines():
                if not line.startswith(_DATA):
                    continue
                last = json.loads(line.removeprefix(_DATA))
                if last.get("tokens") and not token_ids:
                    first_s = time.perf_counter()
                token_ids += last.get("tokens") or []
        counted = int(last.get("tokens_evaluated", -1))
        return TimedAnswer(token_ids, counted, counted == len(prompt), start_s, first_s, time.perf_counter())

    def compute_logits(self, token_ids: Sequence[int]) -> npt.NDArray[np.float32]:
        """Refuse: this package gives no logits of whole texts."""
        raise NotImplementedError
