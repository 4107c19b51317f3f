"""The load test whose figures hold for a deployment: of the same model, by content, on the same engine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

import yaml
from pydantic import ValidationError

from practicum_core.content_hash import hash_path
from practicum_core.deployment import Capacity
from practicum_core.errors import DataError, PracticumError
from practicum_core.layout import RunLayout, resolve_inside
from practicum_core.lineage import read_lineage
from practicum_core.resolve import ResolvedStep, resolve_steps
from practicum_core.stage_process import RUN_SCHEME
from practicum_core.stages.loadtest import LoadtestRecord
from practicum_core.stages.serve import ServeConfig
from practicum_core.weekjob import WeekJob
from practicum_jobs.describe.findings import build_capacity

_BUILTIN = "builtin:"
_GGUF = ".gguf"
Engine = tuple[str, str, str | None, str]
"""Content of a model, engine, quantization, type of numbers."""


def read_steps(run: RunLayout) -> tuple[ResolvedStep, ...]:
    """Read what a run's steps were told.

    Raises:
        DataError: Its week job cannot be read.
    """
    try:
        weekjob = WeekJob.model_validate(yaml.safe_load(run.weekjob.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValidationError) as error:
        raise DataError(f"{run.weekjob}: {error}", "name the directory of a run") from error
    return resolve_steps(weekjob)


def find_capacity(experiments: Path, run: RunLayout, urls: Sequence[str]) -> Capacity | None:
    """Find what the newest load test measured of the same model on the same engine; ``None`` where there is none.

    A load test belongs to the deployment if it was sent to one of its addresses since it began, or if its own run
    served the same model, by content, with the same engine. One of an address where something else ran counts for
    nothing, whatever name the model had there.

    Args:
        experiments: Folder of all runs.
        run: That is described.
        urls: Addresses at which its servers answer now.
    """
    engines = list_engines(run)
    for path in sorted(experiments.glob("*/*/stages/*/record.json"), key=lambda one: one.parents[2].name, reverse=True):
        record = _read_record(path)
        if record is None or record.replayed is not None:
            continue
        measured = RunLayout(path.parents[2])
        is_same = bool(engines) and list_engines(measured) == engines
        if is_same or _was_sent_to(record, run, urls):
            return build_capacity(f"{path.parents[3].name}/{path.parents[2].name}", record)
    return None


def list_engines(run: RunLayout) -> frozenset[Engine]:
    """Return what the engines of a run serve and how; empty where it has none, or nobody knows what one serves."""
    try:
        configs = [step.config for step in read_steps(run) if isinstance(step.config, ServeConfig)]
        models = [_identify_model(run, config.model) for config in configs]
    except (PracticumError, OSError):
        return frozenset()
    if not all(models):
        return frozenset()
    return frozenset(
        (model, _name_engine(config), config.quantization, config.dtype)
        for model, config in zip(models, configs, strict=True)
    )


def _identify_model(run: RunLayout, uri: str) -> str:
    """Return what tells a model by its content; empty where nobody noted it.

    What another option than a reference named outside of the run may have changed since then.
    """
    if uri.startswith(_BUILTIN):
        return uri
    lineage = read_lineage(run)
    locked = next((one for one in lineage.built_on if one.reference == uri), None) if lineage else None
    if locked is not None:
        return locked.sha256
    if uri.startswith(RUN_SCHEME):
        return hash_path(resolve_inside(run.root, uri.removeprefix(RUN_SCHEME)))
    return ""


def _name_engine(config: ServeConfig) -> str:
    if config.engine != "auto":
        return config.engine
    return "llama_cpp" if config.model.endswith(_GGUF) else "vllm"


def _was_sent_to(record: LoadtestRecord, run: RunLayout, urls: Sequence[str]) -> bool:
    """Whether a load test asked a server of this run: at its address, since the run began, whose id says when."""
    places = {_find_place(url) for url in urls}
    began = run.root.name.partition("-")[0]
    started = "".join(letter for letter in record.started_at[:19] if letter not in "-:").lower()
    return _find_place(record.url) in places and started >= began


def _find_place(url: str) -> tuple[str, int | None]:
    parts = urlsplit(url)
    host = parts.hostname or ""
    return "127.0.0.1" if host == "localhost" else host, parts.port


def _read_record(path: Path) -> LoadtestRecord | None:
    try:
        content = path.read_bytes()
        return LoadtestRecord.model_validate_json(content) if b'"knee_rate"' in content else None
    except (OSError, ValidationError):
        return None
