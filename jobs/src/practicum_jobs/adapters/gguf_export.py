"""Writes a model folder of transformers as a GGUF file in F16, the inverse of models/conversion.py.

Tensor names come from the package of llama.cpp's authors. Queries and keys of a Llama are reordered, because llama.cpp
rotates neighbouring pairs and transformers rotates halves. Source: ``LlamaModel.permute`` in llama.cpp,
``convert_hf_to_gguf.py``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import numpy.typing as npt
import safetensors
import torch

from practicum_core.errors import ConfigError

_Array = npt.NDArray[Any]
_ARCHITECTURES = {"llama": gguf.MODEL_ARCH.LLAMA, "qwen2": gguf.MODEL_ARCH.QWEN2}
_SPECIAL_IDS = {
    "bos_token_id": "add_bos_token_id",
    "eos_token_id": "add_eos_token_id",
    "pad_token_id": "add_pad_token_id",
}
_FIX = f"choose other formats; GGUF files are written of {' and '.join(_ARCHITECTURES)} models"


def write_gguf(folder: Path, path: Path, chat_template: str) -> None:
    """Write ``folder`` as one F16 file; vectors (norms, biases) stay in float32, as llama.cpp wants them.

    Args:
        folder: config.json, safetensors and tokenizer.json of a Llama or Qwen2.
        path: The file to be written. After an interruption it is not whole; write it under a temporary name.
        chat_template: Stored in the file, so that llama.cpp renders conversations as the original does.

    Raises:
        ConfigError: The architecture or the tokenizer has no form in GGUF that is written here.
    """
    config = _read_json(folder / "config.json")
    family = config.get("model_type")
    if family not in _ARCHITECTURES:
        raise ConfigError(f"{folder}: a {family} model cannot be written as GGUF", _FIX)
    architecture = _ARCHITECTURES[family]
    writer = gguf.GGUFWriter(path, gguf.MODEL_ARCH_NAMES[architecture])
    _add_sizes(writer, config)
    _add_tokenizer(writer, folder, config, chat_template)
    names = gguf.get_tensor_name_map(architecture, config["num_hidden_layers"])
    for name, tensor in _iterate_tensors(folder):
        if name == "lm_head.weight" and config.get("tie_word_embeddings"):
            continue
        known = names.get_name(name, try_suffixes=(".weight", ".bias"))
        if known is None:
            raise ConfigError(f"{folder}: tensor '{name}' has no place in a GGUF file", _FIX)
        ordered = _permute(name, tensor, config) if family == "llama" else tensor
        is_matrix = ordered.ndim > 1
        writer.add_tensor(known, ordered.astype(np.float16 if is_matrix else np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _read_json(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document


def _add_sizes(writer: Any, config: Mapping[str, Any]) -> None:  # noqa: ANN401 - untyped library object
    heads = config["num_attention_heads"]
    head_size = config.get("head_dim") or config["hidden_size"] // heads
    rope = config.get("rope_parameters") or {}
    if rope.get("rope_type", "default") != "default":
        raise ConfigError(f"rope_type {rope['rope_type']!r} cannot be written as GGUF here", _FIX)
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(config.get("num_key_value_heads", heads))
    writer.add_rope_dimension_count(head_size)
    writer.add_rope_freq_base(float(rope.get("rope_theta", config.get("rope_theta", 10_000.0))))
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_vocab_size(config["vocab_size"])
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)


def _add_tokenizer(writer: Any, folder: Path, config: Mapping[str, Any], chat_template: str) -> None:  # noqa: ANN401
    document = _read_json(folder / "tokenizer.json")
    if document["model"].get("type") != "BPE":
        raise ConfigError(f"{folder}: its tokenizer is no byte-level BPE", _FIX)
    tokens = [f"[PAD{number}]" for number in range(config["vocab_size"])]
    kinds = [int(gguf.TokenType.UNUSED)] * len(tokens)
    for token, number in document["model"]["vocab"].items():
        tokens[number], kinds[number] = token, int(gguf.TokenType.NORMAL)
    for added in document.get("added_tokens", []):
        kind = gguf.TokenType.CONTROL if added["special"] else gguf.TokenType.USER_DEFINED
        tokens[added["id"]], kinds[added["id"]] = added["content"], int(kind)
    merges = [one if isinstance(one, str) else " ".join(one) for one in document["model"]["merges"]]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(find_pre_tokenizer(document))
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges(merges)
    writer.add_add_bos_token(value=False)
    writer.add_chat_template(chat_template)
    for key, method in _SPECIAL_IDS.items():
        value = config.get(key)
        if value is not None:
            getattr(writer, method)(value[0] if isinstance(value, list) else value)


def find_pre_tokenizer(document: Mapping[str, Any]) -> str:
    """Return llama.cpp's name of the splitting rule in a tokenizer.json.

    Source: ``LLAMA_VOCAB_PRE_TYPE_*`` in llama.cpp, ``src/llama-vocab.cpp``.

    Raises:
        ConfigError: A rule that is not one of those named here.
    """
    rule = document.get("pre_tokenizer") or {}
    parts = rule.get("pretokenizers", [rule])
    kinds = [part.get("type") for part in parts]
    if kinds == ["ByteLevel"]:
        return "gpt-2"
    if kinds == ["Digits", "ByteLevel"] and parts[0].get("individual_digits"):
        return "smollm"
    if kinds == ["Split", "ByteLevel"] and r"\p{N}|" in str(parts[0].get("pattern")):
        return "qwen2"
    raise ConfigError(f"tokenizer: the splitting rule {kinds} has no name in GGUF that is known here", _FIX)


def _iterate_tensors(folder: Path) -> Iterator[tuple[str, _Array]]:
    """Yield every tensor as float32, one in memory at a time."""
    for path in sorted(folder.glob("*.safetensors")):
        with safetensors.safe_open(path, framework="pt") as opened:
            for name in sorted(opened.keys()):
                yield name, opened.get_tensor(name).to(torch.float32).numpy()


def _permute(name: str, tensor: _Array, config: Mapping[str, Any]) -> _Array:
    """Reorder the rows of a query or key matrix from halves to neighbouring pairs; other tensors stay."""
    heads = config["num_attention_heads"]
    counts = {"q_proj": heads, "k_proj": config.get("num_key_value_heads", heads)}
    count = next((count for part, count in counts.items() if f".{part}." in name), None)
    if count is None:
        return tensor
    halves = tensor.reshape(count, 2, tensor.shape[0] // count // 2, *tensor.shape[1:])
    reordered: _Array = halves.swapaxes(1, 2).reshape(tensor.shape)
    return reordered
