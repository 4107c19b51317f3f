"""Decides how a GGUF file becomes a folder that transformers, PEFT and vLLM load like any other model.

Weights are written as float32: the quantized values are exact there (bfloat16 would round them a second time), and
the CPU computes in float32 anyway.
"""

from __future__ import annotations

from pathlib import Path

import gguf
import torch
import transformers
from tokenizers import Tokenizer, pre_tokenizers

_PRE_TOKENIZER_KEY = "tokenizer.ggml.pre"


def convert_gguf(source: Path, folder: Path) -> None:
    """Write config.json, model.safetensors, generation_config.json, tokenizer and chat template into ``folder``.

    Args:
        source: The GGUF file.
        folder: Existing, empty folder.
    """
    transformers.utils.logging.disable_progress_bar()
    tokenizer = transformers.AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name)
    _mend_pre_tokenizer(tokenizer.backend_tokenizer, read_pre_tokenizer_name(source))
    quantized = transformers.AutoModelForCausalLM.from_pretrained(
        source.parent, gguf_file=source.name, dtype=torch.float32
    )
    model = _rebuild_plain(quantized)
    stop_id = tokenizer.convert_tokens_to_ids(tokenizer.eos_token)
    model.generation_config = transformers.GenerationConfig(
        bos_token_id=tokenizer.bos_token_id, eos_token_id=stop_id, pad_token_id=tokenizer.pad_token_id
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def read_pre_tokenizer_name(source: Path) -> str:
    """Return the name of the splitting rule that the file's tokenizer was trained with; empty where none is named."""
    field = gguf.GGUFReader(source).get_field(_PRE_TOKENIZER_KEY)
    return str(field.contents()) if field is not None else ""


def _mend_pre_tokenizer(tokenizer: Tokenizer, name: str) -> None:
    """Restore the splitting rule, which transformers' GGUF reader drops.

    ``smollm`` splits digits one by one before the byte-level rule; without it, blank lines before a digit become
    other tokens than in training. Source: ``LLAMA_VOCAB_PRE_TYPE_SMOLLM`` in llama.cpp, ``src/llama-vocab.cpp``.
    """
    if name == "smollm":
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
        )


def _rebuild_plain(quantized: transformers.PreTrainedModel) -> transformers.PreTrainedModel:
    """Put the dequantized weights into a fresh model: transformers refuses to save one that it loaded from GGUF."""
    config = quantized.config
    del config.quantization_config
    config.name_or_path = ""
    model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    model.load_state_dict(quantized.state_dict(), strict=True)
    return model
