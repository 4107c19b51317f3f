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
from practicum_jobs.models.tokens import read_chat_template
from practicum_jobs.quantize.shapes import find_group_size

GGUF_FILE = "model.gguf"
GGUF_TYPES: Mapping[FormatName, str] = {"gguf-q8_0": "Q8_0", "gguf-q4_k_m": "Q4_K_M"}
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


def build_recipe(
    name: FormatName, config: QuantizeConfig, model: Mapping[str, Any], rows: Sequence[Sequence[int]]
) -> Recipe:
    """Return the recipe of a format.

    Args:
        name: The format.
        config: Of the stage.
        model: config.json of the model.
        rows: Token ids of the calibration set.
    """
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
    settings = {**versions, **grid, "group_size": find_group_size(model), "calibration": hash_rows(used)}
    return Recipe(name, "vllm", settings, len(used))


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
        _run_llama_quantize(f16(), target / GGUF_FILE, GGUF_TYPES[recipe.name])
    else:
        _compress(recipe, folder, target, rows)


def _compress(recipe: Recipe, folder: Path, target: Path, rows: Sequence[Sequence[int]]) -> None:
    from practicum_jobs.adapters import compression  # noqa: PLC0415 - imports torch and transformers

    used, settings = rows[: recipe.calibration_rows], recipe.settings
    match recipe.name:
        case "int8":
            compression.quantize_without_data(folder, target, "W8A8")
        case "fp8":
            compression.quantize_without_data(folder, target, "FP8_DYNAMIC")
        case "gptq":
            compression.quantize_gptq(folder, target, used, settings["group_size"])
        case "awq":
            compression.quantize_awq(folder, target, used, settings["group_size"], settings["grid"])
        case _:
            compression.quantize_nf4(folder, target)


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
