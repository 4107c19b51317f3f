"""transformers in this process, with bitsandbytes for NF4: requests at the same time are one batch."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import transformers
from jinja2 import TemplateError

from practicum_core.errors import ConfigError
from practicum_jobs.adapters.engine import Conversation, EngineSettings, TimedAnswer, sort_answers
from practicum_jobs.adapters.generation import LoadedModel, find_stop_ids, pad_left, read_padded
from practicum_jobs.storage.stores import describe_error


class TransformersEngine:
    """A model folder in transformers, in bfloat16 beside the quantized layers.

    Raises:
        ConfigError: transformers or bitsandbytes cannot load the folder.
    """

    has_logits = True

    def __init__(self, settings: EngineSettings) -> None:
        self._settings = settings
        device = "cuda" if torch.cuda.is_available() else "cpu"
        try:
            model = transformers.AutoModelForCausalLM.from_pretrained(
                settings.path, dtype=torch.bfloat16, device_map={"": device}, local_files_only=True
            ).eval()
            tokenizer = transformers.AutoTokenizer.from_pretrained(settings.path, local_files_only=True)
        except (ValueError, RuntimeError, OSError, TypeError, LookupError, ImportError) as error:
            raise ConfigError(
                f"{settings.path}: transformers cannot load it ({describe_error(error)[:300]})", "choose another format"
            ) from error
        self._loaded = LoadedModel(model, tokenizer, find_stop_ids(model, tokenizer))

    @property
    def kernel(self) -> str:
        """Classes of the quantized layers, with the device."""
        names = {type(module).__name__ for module in self._loaded.model.modules() if "Linear" in type(module).__name__}
        names -= {"Linear"} if len(names) > 1 else set()
        return f"{', '.join(sorted(names))} ({self._loaded.device})"

    def answer(self, prompts: Sequence[Sequence[int]], concurrency: int) -> list[TimedAnswer]:
        """Answer batches of ``concurrency`` prompts, one batch after the other."""
        return sort_answers(self.iter_answers(prompts, concurrency))

    def iter_answers(self, prompts: Sequence[Sequence[int]], concurrency: int) -> Iterator[tuple[int, TimedAnswer]]:
        """Answer batch by batch."""
        for start in range(0, len(prompts), concurrency):
            yield from enumerate(self._answer_batch(prompts[start : start + concurrency]), start)

    def close(self) -> None:
        """Let the model go."""
        del self._loaded

    def _answer_batch(self, prompts: Sequence[Sequence[int]]) -> list[TimedAnswer]:
        clock = _FirstTokenClock()
        pad_id = min(self._loaded.stop_ids, default=0)
        ids, mask = pad_left([list(one) for one in prompts], pad_id, self._loaded.device)
        length = ids.shape[1]
        start_s = time.perf_counter()
        with torch.inference_mode():
            output: Any = self._loaded.model.generate(
                input_ids=ids,
                attention_mask=mask,
                max_new_tokens=self._settings.max_new_tokens,
                do_sample=False,
                eos_token_id=list(self._settings.stop_ids),
                pad_token_id=pad_id,
                stopping_criteria=transformers.StoppingCriteriaList([clock]),
            )
        end_s = time.perf_counter()
        # What `generate` gives back begins with what it was given; the mask says which of that is no padding.
        given = read_padded(output[:, :length], mask)
        return [
            TimedAnswer(self._cut(row), prompt, start_s, clock.first_s or end_s, end_s)
            for row, prompt in zip(output[:, length:].tolist(), given, strict=True)
        ]

    def _cut(self, row: list[int]) -> list[int]:
        """Cut an answer after its first stop token; the rest is padding of the batch."""
        ends = [place for place, token in enumerate(row) if token in self._settings.stop_ids]
        return row[: ends[0] + 1] if ends else row

    def read_conversations(self, conversations: Sequence[Conversation]) -> list[Sequence[int] | None]:
        """Return the prompt token ids that the tokenizer of the folder makes of conversations."""
        return [self._read_conversation([dict(turn) for turn in turns]) for turns in conversations]

    def _read_conversation(self, turns: list[dict[str, Any]]) -> list[int] | None:
        try:
            encoded = self._loaded.tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_dict=False)
        except (TemplateError, ValueError):  # the template refuses it, or there is none
            return None
        return [int(one) for one in encoded]

    def compute_logits(self, token_ids: Sequence[int]) -> npt.NDArray[np.float32]:
        """Return the logits after each token."""
        with torch.inference_mode():
            output = self._loaded.model(input_ids=torch.tensor([list(token_ids)], device=self._loaded.device))
        logits: npt.NDArray[np.float32] = output.logits[0].float().cpu().numpy()
        return logits


class _FirstTokenClock(transformers.StoppingCriteria):  # type: ignore[misc]
    """Notes when the first token of a batch was there; stops nothing."""

    def __init__(self) -> None:
        self.first_s: float | None = None

    def __call__(self, input_ids: torch.Tensor, *_: object, **__: object) -> torch.Tensor:
        if self.first_s is None:
            self.first_s = time.perf_counter()
        return torch.zeros(input_ids.shape[0], dtype=torch.bool, device=input_ids.device)
