"""LoRA adapters as PEFT saves them: what their files say, and whether they belong to a base model. Loads no weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from practicum_core.content_hash import hash_path
from practicum_core.errors import ConfigError, Reason
from practicum_jobs.models.folder import ADAPTER_CONFIG, is_adapter
from practicum_jobs.models.json_files import read_object
from practicum_jobs.models.weights import Header, find_weight_problems, read_header

ADAPTER_WEIGHTS = "adapter_model.safetensors"
_PREFIX = "base_model.model."
_IN, _OUT = ".lora_A.weight", ".lora_B.weight"


@dataclass(frozen=True)
class AdapterFiles:
    """An adapter on this machine.

    Attributes:
        folder: Where it lies.
        config: What PEFT noted of it.
        tensors: Shape of each of its tensors.
    """

    folder: Path
    config: Mapping[str, Any]
    tensors: Header

    @property
    def rank(self) -> int:
        """The largest rank of its matrices."""
        return max((shape[0] for name, shape in self.tensors.items() if name.endswith(_IN) and shape), default=0)

    @property
    def num_parameters(self) -> int:
        """Numbers in its matrices."""
        return sum(shape[0] * shape[1] for shape in self.tensors.values() if len(shape) == 2)  # noqa: PLR2004 - matrices

    def find_features(self) -> list[str]:
        """List what it has beside matrices of two factors, in PEFT's words; engines do not compute that.

        >>> AdapterFiles(Path(), {"use_dora": True, "bias": "none", "peft_type": "LORA"}, {}).find_features()
        ['use_dora']
        """
        kind = str(self.config.get("peft_type", "LORA"))
        extras = [] if kind == "LORA" else [f"peft_type {kind}"]
        extras += [name for name in ("use_dora", "modules_to_save") if self.config.get(name)]
        return extras + (["bias"] if self.config.get("bias", "none") != "none" else [])


def read_adapter(folder: Path, uri: str) -> AdapterFiles:
    """Read the configuration of an adapter and the header of its weights.

    Raises:
        ConfigError: There is none, or its files are cut off.
    """
    if not is_adapter(folder):
        raise ConfigError(f"{uri}: no {ADAPTER_CONFIG} in {folder}", "name an adapter's folder", Reason.MODEL_MISSING)
    return AdapterFiles(folder, read_object(folder / ADAPTER_CONFIG), read_header(folder / ADAPTER_WEIGHTS))


def find_misfit(adapter: AdapterFiles, base: Header) -> str:
    """Say where an adapter's matrices do not fit the weights of a base model; empty where all fit.

    Matrices whose weights the base has under no such name are not compared, as in a quantized model.

    >>> tensors = {"base_model.model.q.lora_A.weight": (8, 64), "base_model.model.q.lora_B.weight": (32, 8)}
    >>> find_misfit(AdapterFiles(Path(), {}, tensors), {"q.weight": (32, 48)})
    'q is made for 32 x 64 and is 32 x 48 there'
    """
    for name, shape in adapter.tensors.items():
        module = name.removeprefix(_PREFIX).removesuffix(_IN)
        weight = base.get(f"{module}.weight")
        out = adapter.tensors.get(name.removesuffix(_IN) + _OUT)
        if not name.endswith(_IN) or weight is None or out is None:
            continue
        if (out[0], shape[1]) != tuple(weight):
            return f"{module} is made for {out[0]} x {shape[1]} and is {' x '.join(map(str, weight))} there"
    return ""


def check_adapter_base(adapter: AdapterFiles, adapter_uri: str, uri: str, base: Path) -> str:
    """Check that an adapter was trained on this base model.

    Args:
        adapter: The adapter.
        adapter_uri: As it was asked for.
        uri: Of the base model, as it was asked for.
        base: Folder of the base model.

    Returns:
        A note if the base model that the adapter names is not on this machine; else an empty text.

    Raises:
        ConfigError: The adapter names another model, or its matrices do not fit the weights.
    """
    misfit = find_misfit(adapter, find_weight_problems(base)[1])
    named = str(adapter.config.get("base_model_name_or_path") or "")
    is_named = named in {uri, uri.removeprefix("hf://"), str(base)}
    is_same = is_named or (named != "" and has_same_weights(Path(named), base))
    is_unknown = not named or (named.startswith("/") and not Path(named).exists())
    if misfit or not (is_same or is_unknown):
        raise ConfigError(
            f"{adapter_uri}: made for the base model '{named}', not for {uri}" + (f": {misfit}" if misfit else ""),
            "name the base model that the adapter was trained on",
            Reason.MODEL_MISSING,
        )
    return "" if is_same else f"the adapter's base model '{named}' is not known on this machine; its weights fit {uri}"


def has_same_weights(one: Path, other: Path) -> bool:
    """Whether two folders hold the same safetensors files; other files are ignored."""
    files = [sorted(folder.glob("*.safetensors")) for folder in (one, other)]
    sizes = [[(file.name, file.stat().st_size) for file in found] for found in files]
    if not files[0] or sizes[0] != sizes[1]:
        return False
    return all(hash_path(left) == hash_path(right) for left, right in zip(*files, strict=True))
