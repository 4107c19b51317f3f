"""Decides what a model folder must hold, and describes it by content. Reads headers and hashes; never loads weights."""

from __future__ import annotations

import hashlib
import json
import math
import struct
from pathlib import Path
from typing import Any

from practicum_core.errors import ConfigError, Reason
from practicum_core.stages.model import ModelFile, ModelLock
from practicum_jobs.context import hash_path
from practicum_jobs.models.tokens import read_chat_template

ADAPTER_CONFIG = "adapter_config.json"
_LOCKED_SUFFIXES = frozenset({".json", ".safetensors", ".jinja", ".model", ".txt"})


def is_adapter(folder: Path) -> bool:
    """Whether the folder holds a PEFT adapter and not a whole model."""
    return (folder / ADAPTER_CONFIG).is_file()


def check_model_folder(folder: Path, uri: str) -> None:
    """Check that a folder can be loaded by every stage: configuration, safetensors, tokenizer, chat template.

    Raises:
        ConfigError: Something is missing; all of it is named in one message.
    """
    if not folder.is_dir():
        raise ConfigError(f"{uri}: {folder} is not a folder", "name the folder that holds config.json", _MISSING)
    if is_adapter(folder) and not (folder / "config.json").is_file():
        raise ConfigError(
            f"{uri}: {folder} holds an adapter, not a whole model", "name its base model, or merge it first", _MISSING
        )
    problems = [f"no {name}" for name in ("config.json", "tokenizer.json") if not (folder / name).is_file()]
    if not any(folder.glob("*.safetensors")):
        problems.append("no *.safetensors (pickled weights are not loaded)")
    if not problems and not read_chat_template(folder):
        problems.append("no chat template (chat_template.jinja, or chat_template in tokenizer_config.json)")
    if problems:
        raise ConfigError(
            f"{uri}: {folder} is not a chat model's folder: {'; '.join(problems)}",
            "name an instruction-tuned model saved with save_pretrained(), tokenizer included",
            _MISSING,
        )


_MISSING = Reason.MODEL_MISSING


def build_model_lock(folder: Path, uri: str, revision: str) -> ModelLock:
    """Hash every file that decides what a model says, and describe the model (about 1 s per GB)."""
    names = sorted(file.name for file in folder.iterdir() if file.suffix in _LOCKED_SUFFIXES)
    files = [
        ModelFile(path=name, sha256=hash_path(folder / name), size_bytes=(folder / name).stat().st_size)
        for name in names
    ]
    lines = "".join(f"{file.sha256}  {file.path}\n" for file in files)
    return ModelLock(
        uri=uri,
        revision=revision,
        family=read_family(folder),
        num_parameters=sum(count_parameters(folder / name) for name in names if name.endswith(".safetensors")),
        tokenizer_sha256=hash_path(folder / "tokenizer.json"),
        chat_template_sha256=hashlib.sha256(read_chat_template(folder).encode()).hexdigest(),
        sha256=hashlib.sha256(lines.encode()).hexdigest(),
        files=files,
    )


def read_family(folder: Path) -> str:
    """Return ``model_type`` of config.json, such as ``llama``; empty where there is none."""
    return str(_read_object(folder / "config.json").get("model_type", ""))


def _read_object(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ConfigError(f"{path}: {error}", "fetch the model again", _MISSING) from error
    return document if isinstance(document, dict) else {}


def count_parameters(path: Path) -> int:
    """Count the numbers in a safetensors file from its header: 8 bytes of length, then JSON of names to shapes.

    Source: the safetensors format description in its README.

    Raises:
        ConfigError: The header cannot be read.
    """
    try:
        with path.open("rb") as handle:
            (length,) = struct.unpack("<Q", handle.read(8))
            if length > path.stat().st_size:
                raise ConfigError(f"{path}: cut off or not a safetensors file", "fetch the model again", _MISSING)
            header = json.loads(handle.read(length))
    except (OSError, struct.error, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ConfigError(f"{path}: not a safetensors file ({error})", "fetch the model again", _MISSING) from error
    return sum(math.prod(entry["shape"]) for name, entry in header.items() if name != "__metadata__")
