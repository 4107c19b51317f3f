"""Whether transformers will load a model folder: its model type, its own code, quantized weights, its sizes.

Asked before anything is loaded, so that a model that cannot be trained is refused in the model step and not by the
first stage that loads it. Reads config.json and headers; imports neither torch nor transformers, which takes 8 s.
"""

from __future__ import annotations

import functools
import importlib.util
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from practicum_core.errors import suggest_similar
from practicum_jobs.models.weights import Header

_MAPPING = re.compile(r"^MODEL_FOR_CAUSAL_LM_MAPPING_NAMES = OrderedDict\((.*?)^\)", re.DOTALL | re.MULTILINE)
_PAIR = re.compile(r'\(\s*"([^"]+)",\s*"')
_EMBEDDING = re.compile(r"(^|\.)(embed_tokens|wte|embed_in|word_embeddings|tok_embeddings)\.weight$")
_LAYER = re.compile(r"\.(?:layers|h|blocks)\.([0-9]+)\.")
_WIDTH_KEYS = ("word_embed_proj_dim", "embedding_size", "hidden_size", "n_embd", "d_model")
"""In this order: a few families embed in fewer dimensions than they compute in."""
_DEPTH_KEYS = ("num_hidden_layers", "n_layer", "num_layers")
QUANTIZED_FIX = "name the model that it was made from; sft.method=qlora quantizes that while it trains"


@functools.cache
def list_causal_types() -> frozenset[str]:
    """List the model types that the installed transformers loads as causal language models; none without transformers.

    Read from the source of ``transformers/models/auto/modeling_auto.py``: importing it imports torch.
    """
    spec = importlib.util.find_spec("transformers")
    folders = list(spec.submodule_search_locations or []) if spec else []
    if not folders:
        return frozenset()
    found = _MAPPING.search((Path(folders[0]) / "models" / "auto" / "modeling_auto.py").read_text(encoding="utf-8"))
    return frozenset(_PAIR.findall(found[1])) if found else frozenset()


def find_config_problems(config: Mapping[str, Any]) -> list[str]:
    """Return why transformers would refuse a config.json, or load weights that cannot be trained."""
    problems = []
    family = config.get("model_type")
    known = list_causal_types()
    if not isinstance(family, str) or not family:
        problems.append("config.json: no model_type, so nothing says which kind of model this is")
    elif known and family not in known and config.get("auto_map"):
        problems.append(
            f"config.json: model_type '{family}' needs Python code that comes with the model (auto_map), and such code"
            " is never run here; name a model that transformers itself knows"
        )
    elif known and family not in known:
        problems.append(
            f"config.json: model_type '{family}' is no causal language model that transformers knows"
            f"{suggest_similar(family, known)}"
        )
    quantization = config.get("quantization_config") or config.get("compression_config")
    if quantization:
        method = quantization.get("quant_method") if isinstance(quantization, dict) else None
        problems.append(
            f"config.json: the weights are quantized ({method or 'quantization_config'}), and quantized weights are"
            f" not trained; {QUANTIZED_FIX}"
        )
    return problems


def find_size_problems(config: Mapping[str, Any], tensors: Header) -> list[str]:
    """Return where config.json and the weights tell other sizes: vocabulary, width, number of layers."""
    inner = config.get("text_config")
    sizes = {**config, **inner} if isinstance(inner, dict) else config
    problems = []
    for keys, found in zip((("vocab_size",), _WIDTH_KEYS), find_embedding_shape(tensors) or (), strict=False):
        name = next((key for key in keys if key in sizes), None)
        if name is not None and sizes[name] != found:
            problems.append(f"config.json says {name} {sizes[name]!r}, and the weights have {found}")
    layers = [int(match[1]) for name in tensors if (match := _LAYER.search(name))]
    name = next((key for key in _DEPTH_KEYS if key in sizes), None)
    if layers and name is not None and (type(sizes[name]) is not int or sizes[name] > max(layers) + 1):
        problems.append(f"config.json says {name} {sizes[name]!r}, and the weights have {max(layers) + 1}")
    return problems


def find_embedding_shape(tensors: Header) -> tuple[int, ...] | None:
    """Return ``(vocabulary, width)`` of the token embedding; ``None`` where no tensor has a known name for it."""
    shapes = [shape for name, shape in tensors.items() if _EMBEDDING.search(name)]
    return shapes[0] if len(shapes) == 1 and len(shapes[0]) == 2 else None  # noqa: PLR2004 - a matrix
