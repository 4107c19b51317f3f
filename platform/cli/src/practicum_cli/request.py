"""Week jobs from the words of the command line, validated before anything starts."""

from __future__ import annotations

import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import yaml
from pydantic import ValidationError

from practicum_cli.weekjob_file import SUFFIXES, read_weekjob
from practicum_core.curriculum import get_unit
from practicum_core.data_folders import list_path
from practicum_core.errors import ConfigError, DataError, Reason, suggest_similar
from practicum_core.machine import list_gpus
from practicum_core.needed_splits import check_needed_splits
from practicum_core.problems import describe_problems
from practicum_core.references import FORMS, parse_reference
from practicum_core.resolve import NEEDED_SPLITS, ResolvedStep, resolve_steps
from practicum_core.weekjob import DataSource, Metadata, ModelSource, WeekJob, WeekJobSpec

_FILE = "file://"
SCHEMES = ("builtin:", "hf://", "file://", "s3://", "pvc://")


@dataclass(frozen=True)
class RunRequest:
    """Options of ``practicum run``. ``None`` means that the option was not given."""

    variant: int | None = None
    overrides: tuple[str, ...] = ()
    profile: str | None = None
    seed: int | None = None
    model: str | None = None
    data: str | None = None
    waive: tuple[str, ...] = ()
    extra_set: dict[str, Any] = field(default_factory=dict)


def build_weekjobs(words: tuple[str, ...], request: RunRequest) -> list[WeekJob]:
    """Build one validated week job per word: a week, a unit, or a file.

    Raises:
        ConfigError: A word, an option or a file is wrong; nothing was started.
        DataError: A local data set lacks a split that a step reads.
    """
    weekjobs = [_build_weekjob(word, request) for word in words]
    steps = [resolve_steps(weekjob) for weekjob in weekjobs]
    for of_week in steps:
        _check_local_splits(of_week)
    if request.model is not None:
        _check_model_is_read([step for of_week in steps for step in of_week], weekjobs[0].spec.model.uri)
    return weekjobs


def _check_model_is_read(steps: Sequence[ResolvedStep], model: str) -> None:
    """Refuse ``--model`` where every step has a model of its own, such as the tuned one of an earlier week."""
    own = {step.name: str(given) for step in steps if (given := getattr(step.config, "model", None)) is not None}
    if model in own.values():
        return
    if not own:
        raise ConfigError("--model: no step of this week reads a model", "leave --model out")
    options = " ".join(f"--set {name}.model={model}" for name in own)
    others = " and ".join(sorted(set(own.values())))
    raise ConfigError(f"--model: the steps of this week read {others}", f"use {options}")


def _check_local_splits(steps: Sequence[ResolvedStep]) -> None:
    """Check the splits of local files before an environment is made; those of stores are checked by the first step."""
    for step in steps:
        needed = getattr(step.config, NEEDED_SPLITS, None)
        uri = getattr(step.config, "data", None)
        if needed and isinstance(uri, str) and uri.startswith(_FILE):
            check_needed_splits(needed, list_path(Path(unquote(uri.removeprefix(_FILE)))))


def choose_profile() -> tuple[str, str]:
    """Return the profile for this machine and the reason in words."""
    gpus = list_gpus()
    return ("full", f"GPU: {gpus[0]}") if gpus else ("quick", "no GPU on this machine")


def parse_overrides(words: tuple[str, ...]) -> dict[str, Any]:
    """Parse ``STEP.KEY=VALUE`` words; values are YAML, and a mapping becomes ``NAME=VALUE`` texts.

    Raises:
        ConfigError: A word has another form.

    >>> parse_overrides(("sft.num_workers=2", "sft.method=qlora"))
    {'sft.num_workers': 2, 'sft.method': 'qlora'}
    >>> parse_overrides(("serve.adapters={student-01: latest:sft/adapter}",))
    {'serve.adapters': ['student-01=latest:sft/adapter']}
    """
    parsed: dict[str, Any] = {}
    problems = []
    for word in words:
        key, equals, text = word.partition("=")
        if not equals or "." not in key:
            problems.append(f"--set {word}: expected STEP.KEY=VALUE")
            continue
        try:
            value = yaml.safe_load(text)
            # A week job's options hold no mapping, as the custom resource does not.
            parsed[key.strip()] = [f"{name}={one}" for name, one in value.items()] if isinstance(value, dict) else value
        except yaml.YAMLError:
            parsed[key.strip()] = text
    if problems:
        raise ConfigError("; ".join(problems), "for example: --set sft.learning_rate=0.0005")
    return parsed


def normalize_uri(uri: str, kind: str) -> str:
    """Return ``uri`` with a scheme: a plain path becomes ``file://`` and must exist; a reference stays as it is.

    Raises:
        ConfigError: The model's scheme is unknown, its folder is missing, or a reference is malformed.
        DataError: The data file is missing.
    """
    if uri.startswith(SCHEMES) or parse_reference(uri) is not None:
        return uri
    problem = _find_path_problem(uri)
    if not problem:
        found = str(_expand(uri).resolve())
        return f"{_FILE}{found.replace('%', '%25') if kind == 'data' else found}"
    scheme = uri.split(":", 1)[0] + ":" if ":" in uri else ""
    fix = f"give an existing path, a URI ({' '.join(SCHEMES)}), or an earlier run ({FORMS})"
    detail = f"{kind} {uri!r}: {problem}{suggest_similar(scheme, SCHEMES) if scheme else ''}"
    if kind == "data":
        raise DataError(detail, fix, Reason.DATA_MISSING)
    raise ConfigError(detail, fix, Reason.MODEL_MISSING)


def _find_path_problem(text: str) -> str:
    """Say why a path cannot be read; empty where it can."""
    if not text.strip():
        return "the name is empty"
    try:
        text.encode()
        mode = _expand(text).stat().st_mode
    except FileNotFoundError:
        return "no such file or folder"
    except OSError as error:
        return error.strerror or str(error)
    except UnicodeEncodeError:
        return "the name is not UTF-8 in this locale; rename it, or set LC_ALL=C.UTF-8"
    except ValueError as error:
        return str(error)
    return "" if stat.S_ISREG(mode) or stat.S_ISDIR(mode) else "neither a file nor a folder"


def _expand(text: str) -> Path:
    """Return the path that a text names: ``~`` alone is the home folder, ``~x.jsonl`` a file of that name.

    >>> _expand("~x.jsonl")
    PosixPath('~x.jsonl')
    """
    path = Path(text)
    if path.parts[:1] != ("~",):
        return path
    try:
        return path.expanduser()
    except RuntimeError:  # this user has no home folder
        return path


def _build_weekjob(word: str, request: RunRequest) -> WeekJob:
    if Path(word).suffix in SUFFIXES:
        weekjob = read_weekjob(Path(word))
    else:
        unit = get_unit(word, request.variant or 10)
        spec = WeekJobSpec.model_validate({"unit": unit.name, "variant": request.variant or 10})
        weekjob = WeekJob(metadata=Metadata(name=word), spec=spec)
    return _lay_over(weekjob, request)


def _lay_over(weekjob: WeekJob, request: RunRequest) -> WeekJob:
    spec = weekjob.spec
    given: dict[str, Any] = {"variant": request.variant, "seed": request.seed, "profile": request.profile}
    changes = {key: value for key, value in given.items() if value is not None}
    if request.profile is None and "profile" not in spec.model_fields_set:
        changes["profile"] = choose_profile()[0]
    model = spec.model.uri if request.model is None else request.model
    data = spec.data.uri if spec.data else get_unit(spec.unit, spec.variant).data_uri
    data = data if request.data is None else request.data
    changes["model"] = ModelSource(uri=normalize_uri(model, "model"))
    changes["data"] = DataSource(uri=normalize_uri(data, "data"))
    changes["set"] = {**spec.set, **parse_overrides(request.overrides), **request.extra_set}
    changes["waive_leakage"] = [*spec.waive_leakage, *request.waive]
    unit = get_unit(spec.unit, changes.get("variant", spec.variant))
    changes["unit"] = unit.name
    try:
        resolved = WeekJobSpec.model_validate({**spec.model_dump(), **_dump(changes)})
    except ValidationError as error:
        raise ConfigError(describe_problems(error, WeekJobSpec), "correct the named options") from error
    return weekjob.model_copy(update={"spec": resolved})


def _dump(changes: dict[str, Any]) -> dict[str, Any]:
    return {key: value.model_dump() if hasattr(value, "model_dump") else value for key, value in changes.items()}
