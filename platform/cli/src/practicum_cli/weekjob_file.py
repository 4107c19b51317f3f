"""Week jobs read from YAML files; each problem is reported with path, line and key."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from practicum_core.curriculum import get_unit
from practicum_core.errors import ConfigError, suggest_similar
from practicum_core.problems import describe_problem
from practicum_core.stages import get_stage
from practicum_core.weekjob import WeekJob

SUFFIXES = (".yaml", ".yml")


def read_weekjob(path: Path) -> WeekJob:
    """Read a week job.

    Raises:
        ConfigError: The file cannot be read, or is not a valid week job; all problems in one message, each with
            ``path:line``.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: no such file", "`practicum init DIR` lays down files to start from") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read ({error})", "give a readable YAML file in UTF-8") from error
    try:
        document, root = yaml.safe_load(text), yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not YAML: {' '.join(str(error).split())}", "correct the named line") from error
    if not isinstance(document, dict) or root is None:
        raise ConfigError(f"{path}: expected a WeekJob, got {type(document).__name__}", "see `practicum init DIR`")
    return _validate(path, document, root)


def _validate(path: Path, document: dict[str, Any], root: yaml.Node) -> WeekJob:
    problems: list[tuple[int, str]] = []
    weekjob: WeekJob | None = None
    try:
        weekjob = WeekJob.model_validate(document)
    except ValidationError as error:
        for problem in error.errors():
            where = _strip_union_tags(root, problem["loc"])
            problems.append((_find_line(root, where), describe_problem(problem, where, WeekJob)))
    problems += _find_option_problems(document, root)
    if problems or weekjob is None:
        lines = [f"{path}:{line}: {text}" for line, text in sorted(set(problems))]
        raise ConfigError("\n  ".join(lines), "correct the named keys; `practicum weeks WEEK` lists the options")
    return weekjob


def _strip_union_tags(root: yaml.Node, location: Sequence[str | int]) -> tuple[str | int, ...]:
    """Drop the parts of pydantic's location that name a member of a union and not a key of the file."""
    kept: list[str | int] = []
    node: yaml.Node | None = root
    for index, part in enumerate(location):
        child = _get_child(node, part)
        if child is None and index > 0 and not isinstance(node, yaml.MappingNode):
            break
        kept.append(part)
        node = child[1] if child else None
    return tuple(kept)


def _find_line(root: yaml.Node, location: Sequence[str | int]) -> int:
    node, line = root, root.start_mark.line + 1
    for part in location:
        child = _get_child(node, part)
        if child is None:
            break
        line, node = child
    return line


def _get_child(node: yaml.Node | None, part: str | int) -> tuple[int, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == str(part):
                return key.start_mark.line + 1, value
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part].start_mark.line + 1, node.value[part]
    return None


def _find_option_problems(document: dict[str, Any], root: yaml.Node) -> list[tuple[int, str]]:
    """Find unknown units, steps and options of steps, so that they are named with their lines too."""
    spec = document.get("spec")
    if not isinstance(spec, dict) or not isinstance(spec.get("unit"), str):
        return []
    variant = spec.get("variant", 10)
    try:
        unit = get_unit(spec["unit"], variant if isinstance(variant, int) else 10)
        fields = {step.name: list(get_stage(step.stage).config.model_fields) for step in unit.steps}
    except ConfigError as error:
        return [(_find_line(root, ("spec", "unit")), f"spec.unit: {error.detail}")]
    options = spec.get("set")
    problems = []
    for key in options if isinstance(options, dict) else ():
        step, _, option = str(key).partition(".")
        line = _find_line(root, ("spec", "set", str(key)))
        if step not in fields:
            problems.append((line, f"spec.set: unknown step in '{key}'{suggest_similar(step, fields)}"))
        elif option not in fields[step]:
            problems.append((line, f"spec.set: unknown option '{key}'{suggest_similar(option, fields[step])}"))
    return problems
