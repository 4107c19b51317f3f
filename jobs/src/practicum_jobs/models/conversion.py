"""A Llama in a GGUF file as a folder that transformers, PEFT and vLLM load like any other model.

Weights are written as float32: the quantized values are exact there (bfloat16 would round them a second time), and a
CPU computes in float32 anyway. Names and layouts are those of the Llama implementation in transformers.
"""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from practicum_core.errors import ConfigError, Reason
from practicum_jobs.models.gguf import Floats, GgufFile

_GLOBAL_NAMES = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}
_LAYER_NAMES = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_LAYER = re.compile(r"blk\.([0-9]+)\.([a-z_]+)\.weight")
_CONTROL_TOKEN = 3
"""Value of ``tokenizer.ggml.token_type`` for tokens such as ``<|im_end|>``."""


def convert_gguf(source: Path, folder: Path) -> None:
    """Write configuration, model.safetensors, tokenizer and chat template of a GGUF file into an empty folder.

    Raises:
        ConfigError: The file is malformed, or of another architecture or tokenizer.
    """
    file = GgufFile(source)
    try:
        _write_folder(file, source, folder)
    except (LookupError, TypeError, ValueError, ZeroDivisionError) as error:
        detail = f"{source}: malformed ({type(error).__name__}: {error})"
        raise ConfigError(detail, "bring the model's package again", Reason.MODEL_MISSING) from error


def _write_folder(file: GgufFile, source: Path, folder: Path) -> None:
    if file.metadata.get("general.architecture") != "llama" or file.metadata.get("tokenizer.ggml.model") != "gpt2":
        raise ConfigError(
            f"{source}: not a Llama with a byte-level tokenizer", "name a model that is", Reason.MODEL_MISSING
        )
    _write_json(folder / "config.json", build_config(file.metadata, is_tied="output.weight" not in file.shapes))
    _write_json(folder / "generation_config.json", _build_token_ids(file.metadata))
    _write_weights(folder / "model.safetensors", file)
    build_tokenizer(file.metadata).save(str(folder / "tokenizer.json"))
    _write_json(folder / "tokenizer_config.json", _build_tokenizer_config(file.metadata))
    (folder / "chat_template.jinja").write_text(file.metadata["tokenizer.chat_template"], encoding="utf-8")


def build_config(metadata: Mapping[str, Any], *, is_tied: bool) -> dict[str, Any]:
    """Return config.json of a Llama from GGUF metadata."""
    heads = metadata["llama.attention.head_count"]
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "dtype": "float32",
        "vocab_size": len(metadata["tokenizer.ggml.tokens"]),
        "hidden_size": metadata["llama.embedding_length"],
        "intermediate_size": metadata["llama.feed_forward_length"],
        "num_hidden_layers": metadata["llama.block_count"],
        "num_attention_heads": heads,
        "num_key_value_heads": metadata.get("llama.attention.head_count_kv", heads),
        "head_dim": metadata["llama.embedding_length"] // heads,
        "max_position_embeddings": metadata["llama.context_length"],
        "rms_norm_eps": shorten_float(metadata["llama.attention.layer_norm_rms_epsilon"]),
        "rope_parameters": {"rope_type": "default", "rope_theta": metadata.get("llama.rope.freq_base", 10_000.0)},
        "hidden_act": "silu",
        "initializer_range": 0.02,
        "attention_bias": False,
        "attention_dropout": 0.0,
        "mlp_bias": False,
        "tie_word_embeddings": is_tied,
        "use_cache": True,
        **_build_token_ids(metadata),
    }


def shorten_float(value: float) -> float:
    """Return the shortest number that is the same float32.

    >>> shorten_float(9.999999747378752e-06)
    1e-05
    """
    (rounded,) = struct.unpack("<f", struct.pack("<f", value))
    texts = (f"{value:.{digits}g}" for digits in range(1, 10))
    return next(
        (float(text) for text in texts if struct.unpack("<f", struct.pack("<f", float(text)))[0] == rounded), value
    )


def build_tokenizer(metadata: Mapping[str, Any]) -> Tokenizer:
    """Return the byte-level BPE tokenizer of a GGUF file, its splitting rule included."""
    tokens: list[str] = metadata["tokenizer.ggml.tokens"]
    merges = [tuple(merge.split(" ", 1)) for merge in metadata["tokenizer.ggml.merges"]]
    tokenizer = Tokenizer(models.BPE({token: number for number, token in enumerate(tokens)}, merges))
    tokenizer.pre_tokenizer = _build_pre_tokenizer(metadata.get("tokenizer.ggml.pre", ""))
    tokenizer.decoder = decoders.ByteLevel()
    kinds = metadata["tokenizer.ggml.token_type"]
    tokenizer.add_special_tokens(
        [
            AddedToken(token, special=True, normalized=False)
            for token, kind in zip(tokens, kinds, strict=True)
            if kind == _CONTROL_TOKEN
        ]
    )
    return tokenizer


def _build_pre_tokenizer(name: str) -> pre_tokenizers.PreTokenizer:
    """Return the splitting rule called ``name``.

    ``smollm`` splits digits one by one before the byte-level rule; without it, blank lines before a digit become
    other tokens than in training. Source: ``LLAMA_VOCAB_PRE_TYPE_SMOLLM`` in llama.cpp, ``src/llama-vocab.cpp``.
    """
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False)
    if name != "smollm":
        return byte_level
    return pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), byte_level])


def _build_token_ids(metadata: Mapping[str, Any]) -> dict[str, int]:
    stop_id = metadata["tokenizer.ggml.eos_token_id"]
    return {
        "bos_token_id": metadata["tokenizer.ggml.bos_token_id"],
        "eos_token_id": stop_id,
        "pad_token_id": metadata.get("tokenizer.ggml.padding_token_id", stop_id),
    }


def _build_tokenizer_config(metadata: Mapping[str, Any]) -> dict[str, Any]:
    tokens = metadata["tokenizer.ggml.tokens"]
    ids = _build_token_ids(metadata)
    unknown = metadata.get("tokenizer.ggml.unknown_token_id", ids["bos_token_id"])
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": tokens[ids["bos_token_id"]],
        "eos_token": tokens[ids["eos_token_id"]],
        "pad_token": tokens[ids["pad_token_id"]],
        "unk_token": tokens[unknown],
        "model_max_length": metadata["llama.context_length"],
        "clean_up_tokenization_spaces": False,
    }


def _write_weights(path: Path, file: GgufFile) -> None:
    """Write every tensor as float32 safetensors, one in memory at a time."""
    names = {get_weight_name(name): name for name in file.shapes}
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for name in sorted(names):
        shape = file.shapes[names[name]]
        end = offset + 4 * math.prod(shape)
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as handle:
        handle.write(struct.pack("<Q", len(text)) + text)
        for name in sorted(names):
            handle.write(_read_weight(file, names[name]).tobytes())


def get_weight_name(name: str) -> str:
    """Return the name that transformers gives a tensor of a GGUF file.

    Raises:
        ConfigError: A Llama has no such tensor.

    >>> get_weight_name("blk.3.attn_q.weight")
    'model.layers.3.self_attn.q_proj.weight'
    """
    match = _LAYER.fullmatch(name)
    if match and match[2] in _LAYER_NAMES:
        return f"model.layers.{match[1]}.{_LAYER_NAMES[match[2]]}.weight"
    if name in _GLOBAL_NAMES:
        return _GLOBAL_NAMES[name]
    raise ConfigError(f"tensor '{name}' has no place in a Llama", "name another model", Reason.MODEL_MISSING)


def _read_weight(file: GgufFile, name: str) -> Floats:
    """Read a tensor; queries and keys go back from GGUF's order of rotary pairs to that of halves.

    Source: ``LlamaModel.permute`` in llama.cpp, ``convert_hf_to_gguf.py``, of which this is the reverse.
    """
    weight = file.read_tensor(name)
    if ".attn_q." in name:
        return _unpermute(weight, file.metadata["llama.attention.head_count"])
    if ".attn_k." in name:
        heads = file.metadata["llama.attention.head_count"]
        return _unpermute(weight, file.metadata.get("llama.attention.head_count_kv", heads))
    return weight


def _unpermute(weight: Floats, num_heads: int) -> Floats:
    half = weight.shape[0] // num_heads // 2
    pairs = weight.reshape(num_heads, half, 2, weight.shape[1])
    return pairs.swapaxes(1, 2).reshape(weight.shape)


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
