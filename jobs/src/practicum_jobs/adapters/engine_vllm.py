"""vLLM in this process, fed with token ids; its scheduler is stepped here, so that each token has its time."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from practicum_core.errors import ConfigError
from practicum_jobs.adapters.engine import Conversation, EngineSettings, TimedAnswer, sort_answers
from practicum_jobs.storage.stores import describe_error

_SETTINGS = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_LOGGING_LEVEL": "WARNING",
    "TORCHDYNAMO_DISABLE": "1",  # a rank of log-probabilities is compiled on first use, which takes 18 s on two cores
}


_OTHER_METHODS = ("Embedding", "KVCache")
"""Methods of layers that are not linear."""


def import_vllm() -> None:
    """Import the library, with what it reads from the environment set; memory before a model is measured after it."""
    os.environ.update(_SETTINGS)
    import vllm  # noqa: F401, PLC0415 - reads the environment, and takes seconds


class VllmEngine:
    """A model folder in vLLM.

    Raises:
        ConfigError: vLLM cannot load the folder.
    """

    has_logits = True

    def __init__(self, settings: EngineSettings) -> None:
        import_vllm()
        import torch  # noqa: PLC0415 - vLLM first: it reads the environment
        import vllm  # noqa: PLC0415 - as above

        self._vllm: Any = vllm
        self._settings = settings
        self._captured: list[npt.NDArray[np.float32]] = []
        options = {"gpu_memory_utilization": 0.5} if torch.cuda.is_available() else {}
        try:
            self._llm = vllm.LLM(
                model=str(settings.path),
                dtype=settings.dtype,
                enforce_eager=True,
                max_num_seqs=settings.concurrency,
                max_model_len=settings.context_size,
                enable_prefix_caching=settings.has_prefix_cache,
                disable_log_stats=True,
                **options,
            )
        except (ValueError, RuntimeError, OSError, TypeError, LookupError, NotImplementedError) as error:
            raise ConfigError(
                f"{settings.path}: vLLM cannot load it ({describe_error(error)[:300]})", "choose another format"
            ) from error
        self._kernels: set[str] = set()
        self._llm.apply_model(self._inspect)

    @property
    def kernel(self) -> str:
        """Names of the classes that multiply by the linear layers."""
        return ", ".join(sorted(self._kernels))

    def _inspect(self, model: Any) -> None:  # noqa: ANN401 - untyped library object
        """Name the kernels of the linear layers, and copy logits where the model computes them."""
        for module in model.modules():
            method = getattr(module, "quant_method", None)
            if method is not None and not any(part in type(method).__name__ for part in _OTHER_METHODS):
                self._kernels.add(_name_kernel(getattr(module, "scheme", None), method))
        compute = model.compute_logits

        def compute_and_keep(*args: Any, **options: Any) -> Any:  # noqa: ANN401 - as above
            logits = compute(*args, **options)
            if self._is_capturing:
                self._captured.append(logits.float().cpu().numpy().copy())
            return logits

        model.compute_logits = compute_and_keep

    _is_capturing = False

    def answer(self, prompts: Sequence[Sequence[int]], concurrency: int) -> list[TimedAnswer]:
        """Keep ``concurrency`` requests in the scheduler until every prompt is answered."""
        return sort_answers(self.iter_answers(prompts, concurrency))

    def iter_answers(self, prompts: Sequence[Sequence[int]], concurrency: int) -> Iterator[tuple[int, TimedAnswer]]:
        """Keep ``concurrency`` requests in the scheduler; yield the answers as they are finished."""
        parameters = self._vllm.SamplingParams(
            temperature=0.0,
            max_tokens=self._settings.max_new_tokens,
            stop_token_ids=list(self._settings.stop_ids),
            detokenize=False,
        )
        engine = self._llm.llm_engine
        waiting = list(range(len(prompts)))
        starts: dict[int, float] = {}
        firsts: dict[int, float] = {}
        num_finished = 0
        while num_finished < len(prompts):
            while waiting and len(starts) - num_finished < concurrency:
                row = waiting.pop(0)
                starts[row] = time.perf_counter()
                engine.add_request(str(row), {"prompt_token_ids": list(prompts[row])}, parameters)
            for output in engine.step():
                now = time.perf_counter()
                row = int(output.request_id.split("-")[0])
                if output.outputs[0].token_ids:
                    firsts.setdefault(row, now)
                if output.finished:
                    num_finished += 1
                    yield (
                        row,
                        TimedAnswer(
                            token_ids=list(output.outputs[0].token_ids),
                            prompt_token_ids=_copy_ids(output.prompt_token_ids),
                            start_s=starts[row],
                            first_s=firsts.get(row, now),
                            end_s=now,
                        ),
                    )

    def score_continuations(
        self, pairs: Sequence[tuple[Sequence[int], Sequence[int]]]
    ) -> list[tuple[float, list[int] | None]]:
        """Return the log-probability of each continuation in nats, and the token ids that vLLM says it processed."""
        parameters = self._vllm.SamplingParams(temperature=0.0, max_tokens=1, prompt_logprobs=0, detokenize=False)
        texts = [[*prompt, *more] for prompt, more in pairs]
        outputs = self._llm.generate([{"prompt_token_ids": ids} for ids in texts], parameters, use_tqdm=False)
        scores = []
        for output, ids, (_, more) in zip(outputs, texts, pairs, strict=True):
            places = range(len(ids) - len(more), len(ids))
            logprob = float(sum(output.prompt_logprobs[place][ids[place]].logprob for place in places))
            scores.append((logprob, _copy_ids(output.prompt_token_ids)))
        return scores

    def close(self) -> None:
        """Take the model out of memory."""
        from vllm.distributed.parallel_state import cleanup_dist_env_and_memory  # noqa: PLC0415 - as above

        del self._llm
        cleanup_dist_env_and_memory()

    def read_conversations(self, conversations: Sequence[Conversation]) -> list[Sequence[int] | None]:
        """Return the prompt token ids of conversations, each of which is answered with one token."""
        return [self._read_conversation([dict(turn) for turn in turns]) for turns in conversations]

    def _read_conversation(self, turns: list[dict[str, Any]]) -> list[int] | None:
        parameters = self._vllm.SamplingParams(temperature=0.0, max_tokens=1, detokenize=False)
        try:
            (output,) = self._llm.chat(turns, parameters, use_tqdm=False)
        except ValueError:  # the template refuses it, or makes of it more than fits into the context
            return None
        return _copy_ids(output.prompt_token_ids)

    def compute_logits(self, token_ids: Sequence[int]) -> npt.NDArray[np.float32]:
        """Return the logits after each token but the last, and a row of zeros for the last.

        vLLM gives log-probabilities of chosen tokens only; the logits that it computes them from are copied.
        """
        parameters = self._vllm.SamplingParams(temperature=0.0, max_tokens=1, prompt_logprobs=1, detokenize=False)
        self._captured = []
        self._is_capturing = True
        try:
            self._llm.generate([{"prompt_token_ids": list(token_ids)}], parameters, use_tqdm=False)
        finally:
            self._is_capturing = False
        wanted = len(token_ids) - 1
        rows = [array for array in self._captured if len(array) == wanted]
        if not rows:
            shapes = [array.shape for array in self._captured]
            raise RuntimeError(f"vLLM computed logits of shapes {shapes} for {len(token_ids)} tokens")
        return np.concatenate([rows[-1], np.zeros_like(rows[-1][:1])])


def _copy_ids(token_ids: Sequence[int] | None) -> list[int] | None:
    return None if token_ids is None else list(token_ids)


def _name_kernel(scheme: Any, method: Any) -> str:  # noqa: ANN401 - untyped library objects
    for owner in (scheme, method):
        for value in vars(owner).values() if owner is not None and hasattr(owner, "__dict__") else ():
            name = type(value).__name__
            if "Kernel" in name:
                return name
    return type(scheme or method).__name__
