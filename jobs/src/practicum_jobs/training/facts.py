"""Facts about model and machine for the checks: configuration files, free memory, cores."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import psutil

from practicum_core.errors import ConfigError, Reason
from practicum_core.machine import list_gpus, read_free_gpu_memory, read_unused_limit
from practicum_core.rows import Message
from practicum_core.stages.training import TrainingConfig
from practicum_jobs.adapters.ray_session import is_cluster_named
from practicum_jobs.models.tokens import ChatTokenizer, read_special_tokens
from practicum_jobs.models.weights import count_parameters
from practicum_jobs.training.memory import GIB, FreeMemory, read_model_shape
from practicum_jobs.training.preflight import ModelFacts

_POSITION_KEYS = ("max_position_embeddings", "n_positions")


def read_model_facts(folder: Path) -> ModelFacts:
    """Read a model folder's sizes, special tokens and stop tokens; no weight is loaded."""
    config = _read_object(folder / "config.json")
    added = _read_object(folder / "tokenizer.json").get("added_tokens", [])
    special_ids = {entry["content"]: int(entry["id"]) for entry in added}
    return ModelFacts(
        family=str(config.get("model_type", "")),
        shape=read_model_shape(config, sum(count_parameters(file) for file in folder.glob("*.safetensors"))),
        special_ids=special_ids,
        stop_ids=_read_stop_ids(folder, config, special_ids),
        num_positions=next((config[key] for key in _POSITION_KEYS if isinstance(config.get(key), int)), None),
    )


def render_empty(tokenizer: ChatTokenizer) -> str:
    """Render a conversation with plain contents: every marker in it is the template's own."""
    turns = [Message(role="user", content="question"), Message(role="assistant", content="answer")]
    return tokenizer.render(turns, add_generation_prompt=False)


def measure_free_memory(config: TrainingConfig) -> FreeMemory:
    """Return the memory that training may take. A GPU, or a pod of a cluster, is not shared by workers."""
    is_gpu = bool(list_gpus())
    num_sharing = 1 if is_gpu or is_cluster_named() else config.num_workers
    free_gib = config.memory_limit_gib
    if free_gib is None:
        free_gib = _read_free_vram(config.num_workers) if is_gpu else _read_free_ram()
    return FreeMemory(free_gib, num_sharing, is_gpu)


def _read_free_vram(num_workers: int) -> float:
    """Return the GiB free on a GPU; infinite where the driver does not tell, as for a slice of a GPU."""
    free = read_free_gpu_memory(num_workers)
    return math.inf if free is None else free / GIB


def _read_free_ram() -> float:
    """Return the GiB that this machine, or this container, has free."""
    free, unused = float(psutil.virtual_memory().available), read_unused_limit()
    return (free if unused is None else min(free, unused)) / GIB


def count_threads(num_workers: int) -> int:
    """Return the threads of one worker: ``$OMP_NUM_THREADS``, else the cores of this process, shared evenly."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    if asked.isdigit() and int(asked) > 0:
        return int(asked)
    return max(len(os.sched_getaffinity(0)) // num_workers, 1)


def _read_stop_ids(folder: Path, config: dict[str, Any], special_ids: dict[str, int]) -> frozenset[int]:
    file = folder / "generation_config.json"
    found = (_read_object(file) if file.is_file() else {}).get("eos_token_id", config.get("eos_token_id"))
    ids = found if isinstance(found, list) else [found]
    eos = special_ids.get(read_special_tokens(folder).get("eos_token", ""))
    return frozenset(int(token) for token in [*ids, eos] if token is not None)


def _read_object(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ConfigError(f"{path}: {error}", "fetch the model again", Reason.MODEL_MISSING) from error
    return document if isinstance(document, dict) else {}
