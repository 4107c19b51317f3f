"""Which formats can hold the matrices of a model: rows of GGUF blocks, groups of 4-bit weights. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from practicum_core.errors import ConfigError
from practicum_core.stages.quantize import FormatName

_K_ROW, _ROW = 256, 32
"""A K-quant packs 256 weights of a row into a block, the older types of llama.cpp 32."""
_GROUP_SIZES = (128, 64, 32)
_QUANTIZED_GGUF = ("gguf-q8_0", "gguf-q4_k_m")
_GROUPED = ("gptq", "awq")


def check_formats(config: Mapping[str, Any], formats: Sequence[FormatName]) -> None:
    """Check that a model fits into every format, before the first one is made.

    Args:
        config: config.json of the model.
        formats: What will be made.

    Raises:
        ConfigError: It does not fit into one of them.
    """
    for name in formats:
        if name in _QUANTIZED_GGUF:
            check_row_sizes(config, name)
        elif name in _GROUPED:
            find_group_size(config)


def check_row_sizes(config: Mapping[str, Any], name: FormatName) -> None:
    """Check that the rows of the model's matrices can be packed.

    Raises:
        ConfigError: A row is no multiple of 32 weights, or for a K-quant none is a multiple of 256.

    >>> check_row_sizes({"hidden_size": 576, "intermediate_size": 1536}, "gguf-q4_k_m")
    """
    widths = {key: int(config[key]) for key in ("hidden_size", "intermediate_size")}
    shown = ", ".join(f"{key} {width}" for key, width in widths.items())
    if any(width % _ROW for width in widths.values()):
        raise ConfigError(
            f"{name}: rows must be multiples of {_ROW} weights, and the model has {shown}",
            f"leave {name} out of formats",
        )
    if name == "gguf-q4_k_m" and all(width % _K_ROW for width in widths.values()):
        raise ConfigError(
            f"{name}: the model is too small for a K-quant, whose rows are multiples of {_K_ROW} weights;"
            f" it has {shown}",
            f"leave {name} out of formats; gguf-q8_0 needs multiples of {_ROW}",
        )


def describe_fallback(types: Mapping[str, int]) -> list[str]:
    """Say which matrices of a GGUF file are in no K-quant, because their rows do not fit; nothing where all are.

    Args:
        types: Number of tensors by GGUF type; vectors stay in F32.

    >>> describe_fallback({"Q4_K": 16, "Q6_K": 14, "Q5_0": 166, "F32": 61})
    ['30 tensors are in a K-quant (16 Q4_K, 14 Q6_K); rows of the others are no multiple of 256 weights: 166 Q5_0']
    >>> describe_fallback({"Q4_K": 16, "F32": 61})
    []
    """
    packed = {kind: count for kind, count in types.items() if kind.endswith("_K")}
    others = {kind: count for kind, count in types.items() if kind not in packed and kind != "F32"}
    if not others:
        return []
    inside, outside = (", ".join(f"{count} {kind}" for kind, count in part.items()) for part in (packed, others))
    said = f"{sum(packed.values())} tensors are in a K-quant ({inside})"
    return [f"{said}; rows of the others are no multiple of {_K_ROW} weights: {outside}"]


def find_group_size(config: Mapping[str, Any]) -> int:
    """Return the largest group size that divides the width of every linear layer of a model.

    Raises:
        ConfigError: None does.

    >>> find_group_size({"hidden_size": 576, "intermediate_size": 1536, "num_attention_heads": 9})
    64
    """
    heads = int(config["num_attention_heads"])
    head_size = int(config.get("head_dim") or int(config["hidden_size"]) // heads)
    widths = {int(config["hidden_size"]), int(config["intermediate_size"]), heads * head_size}
    for size in _GROUP_SIZES:
        if all(width % size == 0 for width in widths):
            return size
    raise ConfigError(
        f"gptq and awq scale groups of {', '.join(map(str, _GROUP_SIZES))} weights, and layers of width"
        f" {', '.join(map(str, sorted(widths)))} cannot be divided into them",
        "leave gptq and awq out of formats",
    )
