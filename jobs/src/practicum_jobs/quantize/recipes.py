"""How each format is made: a recipe names everything that decides its bytes, and so its place in the cache."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from practicum_core.errors import ConfigError, PlatformError, Reason
from practicum_core.stages.quantize import EngineName, FormatName, QuantizeConfig
from practicum_jobs.models.json_files import read_object
from practicum_jobs.models.tokens import read_chat_template

GGUF_FILE = "model.gguf"
GGUF_TYPES: Mapping[FormatName, str] = {"gguf-q8_0": "Q8_0", "gguf-q4_k_m": "Q4_K_M"}
_K_ROW, _ROW = 256, 32
"""A K-quant packs 256 weights of a row into a block, the older types of llama.cpp 32."""
_PACKAGES = {"llmcompressor": "llmcompressor", "gguf": "gguf", "ik": "ik-llama-cpp-python", "nf4": "bitsandbytes"}


@dataclass(frozen=True)
class Recipe:
    """How one format is made.

    Attributes:
        name: The format.
        engine: What a user would load it with.
        settings: Everything that decides the bytes, beside the model: method, calibration, package versions.
        calibration_rows: How many rows it is calibrated with.
    """

    name: FormatName
    engine: EngineName
    settings: Mapping[str, Any]
    calibration_rows: int = 0

    def build_key(self, model_sha256: str) -> str:
        """Return the name in the cache: equal for the same model made in the same way."""
        document = {"model_sha256": model_sha256, "format": self.name, **self.settings}
        return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()[:24]


def build_recipe(name: FormatName, config: QuantizeConfig, rows: Sequence[Sequence[int]]) -> Recipe:
    """Return the recipe of a format; ``rows`` are the token ids of the calibration set."""
    if name.startswith("gguf-"):
        return Recipe(name, "llama.cpp", _name_versions("gguf", "ik"))
    if name == "nf4":
        return Recipe(name, "transformers", _name_versions("nf4"))
    versions = _name_versions("llmcompressor")
    if name not in ("gptq", "awq"):
        return Recipe(name, "vllm", versions)
    count = config.gptq_rows if name == "gptq" else config.awq_rows
    used = list(rows[:count])
    grid = {"grid": config.awq_grid} if name == "awq" else {}
    return Recipe(name, "vllm", {**versions, **grid, "calibration": hash_rows(used)}, len(used))


def hash_rows(rows: Sequence[Sequence[int]]) -> str:
    """Return the SHA-256 of the token ids of rows."""
    return hashlib.sha256(json.dumps([list(row) for row in rows]).encode()).hexdigest()


def _name_versions(*packages: str) -> dict[str, str]:
    return {name: importlib.metadata.version(_PACKAGES[name]) for name in packages}


def make(recipe: Recipe, folder: Path, target: Path, rows: Sequence[Sequence[int]], f16: Callable[[], Path]) -> None:
    """Make a format of the model in ``folder`` in the empty folder ``target``.

    Args:
        recipe: What to make.
        folder: The original.
        target: Where it goes.
        rows: Token ids of the calibration set.
        f16: Returns the F16 file that the other GGUF files are made from, made on first use.

    Raises:
        ConfigError: The model has a shape that the format cannot hold.
    """
    if recipe.name == "gguf-f16":
        from practicum_jobs.adapters.gguf_export import write_gguf  # noqa: PLC0415 - imports torch

        write_gguf(folder, target / GGUF_FILE, read_chat_template(folder))
    elif recipe.name in GGUF_TYPES:
        check_row_sizes(read_object(folder / "config.json"), recipe.name)
        _run_llama_quantize(f16(), target / GGUF_FILE, GGUF_TYPES[recipe.name])
    else:
        _compress(recipe, folder, target, rows)


def _compress(recipe: Recipe, folder: Path, target: Path, rows: Sequence[Sequence[int]]) -> None:
    from practicum_jobs.adapters import compression  # noqa: PLC0415 - imports torch and transformers

    match recipe.name:
        case "int8":
            compression.quantize_without_data(folder, target, "W8A8")
        case "fp8":
            compression.quantize_without_data(folder, target, "FP8_DYNAMIC")
        case "gptq":
            compression.quantize_gptq(folder, target, rows[: recipe.calibration_rows])
        case "awq":
            compression.quantize_awq(folder, target, rows[: recipe.calibration_rows], recipe.settings["grid"])
        case _:
            compression.quantize_nf4(folder, target)


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


def _run_llama_quantize(source: Path, target: Path, kind: str) -> None:
    from ik_llama_cpp import find_quantize_bin  # noqa: PLC0415 - in the environment `quantize` alone

    program = find_quantize_bin()
    if program is None:
        raise PlatformError(
            Reason.ENVIRONMENT_MISSING, "llama-quantize is not in this environment", "make the environment again"
        )
    done = subprocess.run(
        [program, source, target, kind], capture_output=True, text=True, errors="replace", check=False
    )
    if done.returncode != 0:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise ConfigError(f"{kind}: llama-quantize failed: {' '.join(lines[-2:])[:300]}", "choose other formats")
