"""Loading of a model folder, and greedy generation of answers in batches.

Names of tensors carry their shape: B rows of a batch, T tokens of the padded prompt, V entries of the vocabulary.

Rows are batched by length and answered in the caller's order. The same rows on the same machine, packages and thread
count give the same answers bit for bit, in whatever order the rows come. A row's answer may differ in its last bits
when it is batched with other rows, because sums are taken in another order.
"""
# ruff: noqa: N803, N806 - the shape suffixes named above

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import torch
import transformers

from practicum_core.errors import ConfigError, DataError, Reason
from practicum_jobs.adapters.answer_engine import EngineAnswer
from practicum_jobs.storage.answers import Answer
from practicum_jobs.storage.stores import describe_error

_LOADING_FAULTS = (
    *(OSError, ValueError, RuntimeError, TypeError, LookupError, AttributeError, ImportError),
    safetensors.SafetensorError,
)
"""What transformers and PEFT raise for a faulty folder, whose values they read without a check."""
_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True)
class LoadedModel:
    """A model with its tokenizer, ready to answer.

    Attributes:
        model: In evaluation mode, on its device.
        tokenizer: With a chat template.
        stop_ids: Tokens that end an answer.
    """

    model: Any
    tokenizer: Any
    stop_ids: frozenset[int]

    @property
    def device(self) -> str:
        """Where the model computes: ``cpu`` or ``cuda``."""
        return str(torch.device(self.model.device).type)

    @property
    def dtype(self) -> str:
        """Number format of the weights, such as ``float32``."""
        return str(self.model.dtype).removeprefix("torch.")


def load_causal_lm(folder: Path, adapter: Path | None = None, dtype: str = "auto") -> LoadedModel:
    """Load a chat model, and an adapter on top of it where one is named.

    Args:
        folder: Configuration, safetensors, tokenizer, chat template. Code in the folder is never run.
        adapter: A PEFT adapter's folder.
        dtype: ``float32``, ``bfloat16``, ``float16``; ``auto`` is bfloat16 on a GPU and float32 on a CPU, which
            computes faster in it.

    Raises:
        ConfigError: The folder cannot be loaded, or needs its own code.
    """
    transformers.utils.logging.disable_progress_bar()
    device, chosen = choose_computation(dtype)
    try:
        model = transformers.AutoModelForCausalLM.from_pretrained(
            folder, dtype=_DTYPES[chosen], use_safetensors=True, local_files_only=True, trust_remote_code=False
        )
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        if adapter is not None:
            import peft  # noqa: PLC0415 - seconds, for adapters only

            model = peft.PeftModel.from_pretrained(model, adapter)
    except _LOADING_FAULTS as error:
        raise ConfigError(
            f"{adapter or folder}: the model cannot be loaded ({describe_error(error)[:300]})",
            "check that the folder is complete, and that an adapter belongs to this base model",
            Reason.MODEL_MISSING,
        ) from error
    model.to(device).eval()
    return LoadedModel(model, tokenizer, find_stop_ids(model, tokenizer))


def choose_computation(dtype: str = "auto") -> tuple[str, str]:
    """Return the device and the number format that :func:`load_causal_lm` will use on this machine."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return device, ("bfloat16" if device == "cuda" else "float32") if dtype == "auto" else dtype


def find_stop_ids(model: Any, tokenizer: Any) -> frozenset[int]:  # noqa: ANN401 - untyped library objects
    """Return the tokens that end an answer: of the model's generation configuration and of its tokenizer."""
    configured = getattr(model.generation_config, "eos_token_id", None)
    ids = configured if isinstance(configured, list) else [configured]
    return frozenset(int(token) for token in (*ids, tokenizer.eos_token_id) if token is not None)


def generate_answers(
    loaded: LoadedModel,
    prompts: Sequence[list[int]],
    max_new_tokens: int,
    batch_size: int = 16,
    on_batch: Callable[[int, int], None] | None = None,
) -> list[Answer]:
    """Answer each prompt greedily.

    Args:
        loaded: The model.
        prompts: Token ids of each, as ``ChatTokenizer.encode_prompt`` makes them.
        max_new_tokens: Tokens at most per answer.
        batch_size: Rows computed at once.
        on_batch: Called with (answered, all) after each batch; what it raises stops the generation.

    Returns:
        One answer per prompt, in the order given.

    Raises:
        DataError: A prompt is longer than the model's context.
        MemoryError: The batch does not fit.
    """
    answers: dict[int, Answer] = {}
    for batch in iter_answers(loaded, prompts, max_new_tokens, batch_size):
        answers |= {row: given.answer for row, given in batch.items()}
        if on_batch is not None:
            on_batch(len(answers), len(prompts))
    return [answers[row] for row in range(len(prompts))]


def iter_answers(
    loaded: LoadedModel, prompts: Sequence[list[int]], max_new_tokens: int, batch_size: int
) -> Iterator[dict[int, EngineAnswer]]:
    """Continue prompts of token ids greedily, batch by batch, the longest first; yield answers by place.

    The prompt of an answer is read from the tensors that the model was given.

    Raises:
        DataError: A prompt is longer than the model's context.
        MemoryError: The batch does not fit.
    """
    check_lengths(loaded, prompts, max_new_tokens)
    order = sorted(range(len(prompts)), key=lambda row: (-len(prompts[row]), prompts[row]))
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        with torch.inference_mode(), explain_memory():
            pad_id = min(loaded.stop_ids, default=0)
            ids_BT, mask_BT = pad_left([prompts[row] for row in rows], pad_id, loaded.device)
            outputs = _continue_batch(loaded, ids_BT, mask_BT, max_new_tokens)
        given = read_padded(ids_BT, mask_BT)
        yield {
            row: EngineAnswer(_decode(loaded, ids), prompt)
            for row, ids, prompt in zip(rows, outputs, given, strict=True)
        }


def _decode(loaded: LoadedModel, ids: Sequence[int]) -> Answer:
    is_stopped = bool(ids) and ids[-1] in loaded.stop_ids
    return Answer(loaded.tokenizer.decode(ids, skip_special_tokens=True), len(ids), is_stopped)


def get_num_threads() -> int:
    """Return how many threads one operation uses; answers are bit-equal only for equal counts."""
    return int(torch.get_num_threads())


def check_lengths(loaded: LoadedModel, prompts: Sequence[Sequence[int]], max_new_tokens: int) -> None:
    """Check that prompts with what is generated fit the model.

    Raises:
        DataError: One is too long.
    """
    limit = getattr(loaded.model.config, "max_position_embeddings", None)
    too_long = [row for row, ids in enumerate(prompts) if limit is not None and len(ids) + max_new_tokens > limit]
    if too_long:
        first = too_long[0]
        raise DataError(
            f"{len(too_long)} rows do not fit the model's {limit} positions; the first is row {first} with "
            f"{len(prompts[first])} tokens and {max_new_tokens} to generate",
            "shorten these rows, or lower max_new_tokens",
        )


def _continue_batch(
    loaded: LoadedModel, ids_BT: torch.Tensor, mask_BT: torch.Tensor, max_new_tokens: int
) -> list[list[int]]:
    """Generate one batch. When half of its rows have ended they are removed, which makes later steps cheaper."""
    model = loaded.model
    position_B = mask_BT.sum(1)
    positions_BT = (mask_BT.cumsum(1) - 1).clamp(min=0)
    cache = transformers.DynamicCache(config=model.config)
    outputs: list[list[int]] = [[] for _ in ids_BT]
    alive = list(range(len(outputs)))
    for _ in range(max_new_tokens):
        logits_BV = model(
            input_ids=ids_BT,
            attention_mask=mask_BT,
            position_ids=positions_BT,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        ).logits[:, -1]
        token_B = logits_BV.argmax(-1)
        for row, token in zip(alive, token_B.tolist(), strict=True):
            if not _is_over(outputs[row], loaded.stop_ids):
                outputs[row].append(token)
        keep = [place for place, row in enumerate(alive) if not _is_over(outputs[row], loaded.stop_ids)]
        if not keep:
            break
        if len(keep) * 2 <= len(alive):
            kept_B = torch.tensor(keep, device=loaded.device)
            cache.batch_select_indices(kept_B)
            token_B, mask_BT, position_B = token_B[kept_B], mask_BT[kept_B], position_B[kept_B]
            alive = [alive[place] for place in keep]
        ids_BT = token_B[:, None]
        mask_BT = torch.cat([mask_BT, mask_BT.new_ones(len(alive), 1)], dim=1)
        positions_BT = position_B[:, None]
        position_B = position_B + 1
    return outputs


def _is_over(output: Sequence[int], stop_ids: frozenset[int]) -> bool:
    return bool(output) and output[-1] in stop_ids


def pad_left(prompts: Sequence[list[int]], pad_id: int, device: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Return ids_BT and mask_BT; prompts end in the last column, so that every row continues at the same place."""
    length = max(len(ids) for ids in prompts)
    ids_BT = [[pad_id] * (length - len(ids)) + ids for ids in prompts]
    mask_BT = [[0] * (length - len(ids)) + [1] * len(ids) for ids in prompts]
    return torch.tensor(ids_BT, device=device), torch.tensor(mask_BT, device=device)


def read_padded(ids_BT: torch.Tensor, mask_BT: torch.Tensor) -> list[list[int]]:
    """Return the token ids of each row of a batch that are no padding.

    >>> read_padded(*pad_left([[5], [6, 7]], 0, "cpu"))
    [[5], [6, 7]]
    """
    return [row[kept].tolist() for row, kept in zip(ids_BT, mask_BT.bool(), strict=True)]


@contextlib.contextmanager
def explain_memory() -> Iterator[None]:
    """Turn torch's two ways of running out of memory into ``MemoryError``."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise MemoryError(str(error)) from error
    except RuntimeError as error:
        if "can't allocate memory" in str(error):
            raise MemoryError(str(error)) from error
        raise
