"""Checks what a pod was told to run: a step of its unit, with options that stay in the workspace.

The files that a pod holds beside the workspace, its token first of all, are no data: an option that names one of them
is refused, so that no report can show it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from pydantic import ValidationError

from practicum_core.curriculum import get_unit
from practicum_core.errors import ConfigError
from practicum_core.layout import RunLayout, is_safe_name, resolve_inside
from practicum_core.problems import describe_problems
from practicum_core.references import parse_reference
from practicum_core.reports import STEP_VARIABLE, PodStep
from practicum_core.stage_process import RUN_SCHEME
from practicum_core.stages import StageConfig, StageSpec, get_stage

WORKSPACE_CLAIM = "pvc://workspace/"
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")


@dataclass(frozen=True)
class Assignment:
    """A step that may run.

    Attributes:
        step: What the pod was told.
        spec: The stage that runs it.
        config: Its options, validated.
        run: The run directory, made or not.
        experiments: Folder of all runs of the workspace.
    """

    step: PodStep
    spec: StageSpec
    config: StageConfig
    run: RunLayout
    experiments: Path

    @property
    def environment(self) -> str:
        """Name of the environment that runs it, whose image the pod must have."""
        return self.spec.find_environment(self.config)


def read_pod_step(variables: Mapping[str, str]) -> PodStep:
    """Read what this pod runs from its environment.

    Raises:
        ConfigError: The variable is missing or says nothing that can be run.
    """
    text = variables.get(STEP_VARIABLE)
    if text is None:
        raise ConfigError(f"the variable {STEP_VARIABLE} is not set", "let the controller make the pod")
    try:
        step = PodStep.model_validate_json(text)
        is_named = is_safe_name(step.run_id)
    except ValueError as error:
        raise ConfigError(f"{STEP_VARIABLE}: {_describe(error)}", "let the controller make the pod") from error
    if not is_named or not is_safe_name(step.step) or not is_safe_name(step.weekjob.spec.unit):
        raise ConfigError(f"{STEP_VARIABLE}: a name in it cannot be a folder's", "let the controller make the pod")
    return step


def check_assignment(step: PodStep, experiments: Path) -> Assignment:
    """Check a step and find the run directory that it works in.

    Args:
        step: What the pod was told.
        experiments: Folder of all runs, inside the workspace.

    Raises:
        ConfigError: The unit has no such step, an option is wrong, or one names a file outside the workspace.
    """
    spec = step.weekjob.spec
    steps = get_unit(spec.unit, spec.variant).steps
    if not any(known.name == step.step and known.stage == step.stage for known in steps):
        known_names = ", ".join(known.name for known in steps)
        raise ConfigError(
            f"unit {spec.unit} has no step '{step.step}' that runs '{step.stage}'", f"one of {known_names}"
        )
    if spec.control is not None:
        raise ConfigError("control: a run on a cluster is not compared with a control", "compare with `practicum diff`")
    run = RunLayout(experiments / spec.unit / step.run_id)
    workspace = experiments.parent
    values = {key: _translate(value, workspace) for key, value in step.config.items()}
    for key, value in values.items():
        for text in _iter_texts(value):
            _check_location(f"{step.step}.{key}", text, run.root, workspace)
    stage = get_stage(step.stage)
    try:
        config = stage.config.model_validate(values)
    except ValidationError as error:
        raise ConfigError(
            describe_problems(error, stage.config, prefix=f"{step.step}."), "correct the named option"
        ) from error
    return Assignment(step, stage, config, run, experiments)


def _translate(value: Any, workspace: Path) -> Any:  # noqa: ANN401 - any JSON value
    """Turn the workspace's claim, as a week job names it, into the folder where the pod has it.

    >>> _translate("pvc://workspace/data/rows.jsonl", Path("/workspace"))
    'file:///workspace/data/rows.jsonl'
    """
    if isinstance(value, str) and value.startswith(WORKSPACE_CLAIM):
        return f"file://{workspace}/{value.removeprefix(WORKSPACE_CLAIM)}"
    return value


def _iter_texts(value: Any) -> Iterator[str]:  # noqa: ANN401 - any JSON value
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _iter_texts(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _iter_texts(part)


def _check_location(option: str, text: str, run_dir: Path, workspace: Path) -> None:
    """Refuse a text that names a file outside the workspace, or an address that hides another one.

    Raises:
        ConfigError: It does.
    """
    match = _SCHEME.match(text)
    scheme = match[1].lower() if match else ""
    path = text[match.end() :].removeprefix("//") if match else text
    if parse_reference(text) is None and scheme == "run":
        resolve_inside(run_dir, text.removeprefix(RUN_SCHEME))
    if scheme == "pvc":
        raise ConfigError(f"{option}: {text!r} names a claim that this pod has not", f"give {WORKSPACE_CLAIM}PATH")
    if scheme in {"hf", "s3"} and "::" in text:
        raise ConfigError(f"{option}: {text!r} chains addresses", "name one address")
    spellings = (path, unquote(path), path.partition("?")[0]) if scheme in {"", "file", "run"} else ()
    for spelling in (text, *spellings):
        _check_path(option, spelling, run_dir, workspace)


def _check_path(option: str, path: str, run_dir: Path, workspace: Path) -> None:
    """Refuse a path outside the workspace where something lies; a text that names nothing is no path."""
    root = workspace.resolve()
    try:
        found = (run_dir / Path(path).expanduser()).resolve()
        is_outside = found.exists() and not (found.is_relative_to(root) and all(_iter_links_stay(found, root)))
    except (OSError, ValueError, RuntimeError):  # too long, a zero byte, no such user: it names no file
        return
    if is_outside:
        raise ConfigError(
            f"{option}: {path!r} lies outside the workspace, or a link in it leads there",
            f"put it there and give {WORKSPACE_CLAIM}PATH",
        )


def _iter_links_stay(folder: Path, root: Path) -> Iterator[bool]:
    """Say of each link in a folder, as deep as data sets and models go, whether it stays below ``root``."""
    for pattern in ("*", "*/*"):
        for link in (entry for entry in folder.glob(pattern) if entry.is_symlink()):
            try:
                yield link.resolve().is_relative_to(root)
            except (OSError, RuntimeError):  # it leads round in a circle
                yield False


def _describe(error: ValueError) -> str:
    if isinstance(error, ValidationError):
        return describe_problems(error)
    return str(error)
