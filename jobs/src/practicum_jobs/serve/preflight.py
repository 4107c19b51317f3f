"""What is known of a model folder before an engine spends a minute on it: its chat template, its attention heads."""

from __future__ import annotations

from pathlib import Path

from practicum_core.errors import ConfigError, DataError, Reason
from practicum_core.machine import list_gpus
from practicum_jobs.models.json_files import read_object
from practicum_jobs.models.tokens import ChatTokenizer

CPU_HEAD_SIZES = (32, 64, 80, 96, 112, 128, 160, 192, 224, 256, 512)
"""Sizes of attention heads that vLLM computes on a processor (``CPUAttentionBackend.get_supported_head_sizes``)."""
QUESTION = ({"role": "user", "content": "Say hello."},)


def check_template(folder: Path, uri: str) -> None:
    """Check that the chat template makes a prompt of a question.

    Raises:
        ConfigError: It fails, or refuses the question.
    """
    try:
        ChatTokenizer(folder).render(QUESTION, add_generation_prompt=True)
    except DataError as error:
        raise ConfigError(
            f"{uri}: {error.detail}", "correct the model's chat template", Reason.MODEL_MISSING
        ) from error


def check_head_size(folder: Path, uri: str) -> None:
    """Check that vLLM has attention for the heads of a model on a processor; on a GPU, vLLM chooses among several.

    Raises:
        ConfigError: It has none.
    """
    config = read_object(folder / "config.json")
    hidden, number = config.get("hidden_size"), config.get("num_attention_heads")
    size = config.get("head_dim") or (hidden // number if isinstance(hidden, int) and isinstance(number, int) else None)
    if isinstance(size, int) and size not in CPU_HEAD_SIZES and not list_gpus():
        raise ConfigError(
            f"{uri}: its attention heads have {size} numbers, and vLLM on a processor computes"
            f" {', '.join(map(str, CPU_HEAD_SIZES))}",
            "serve it on a GPU, or as a GGUF file with llama.cpp",
            Reason.MODEL_MISSING,
        )
