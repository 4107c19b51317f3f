"""References to earlier runs, written where a model or data URI may stand: ``latest:sft/merged``, ``run:ID``.

Pure: reads text and options, opens no file. :mod:`practicum_core.lineage` finds what a reference names.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from practicum_core.errors import ConfigError
from practicum_core.layout import is_run_id, is_safe_name
from practicum_core.stages.base import NAMES_RUN, ContentKind, StageConfig, get_uri_kind, iter_texts

ReferenceKind = Literal["latest", "run", "pointer"]
FORMS = "latest:UNIT, run:RUN_ID or pointer:NAME, each with /EXPORT or /PATH after it or without"
_KINDS: tuple[ReferenceKind, ...] = ("latest", "run", "pointer")
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.=+-]*")
"""One part of a path: plain characters, and no dot in front, so that no spelling of ``..`` or of a hidden file fits."""
_MAX_PATH = 500


@dataclass(frozen=True)
class Reference:
    """An earlier run, and what of it is meant.

    Attributes:
        kind: How ``name`` names the run.
        name: A unit or week, a run id, or the name of a pointer.
        path: Name of an export, or a path inside the run directory; empty for what the run exports first.
    """

    kind: ReferenceKind
    name: str
    path: str = ""

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}" + (f"/{self.path}" if self.path else "")


@dataclass(frozen=True)
class Wanted:
    """A reference in an option, and what the option takes; ``None`` where the reference's path says it."""

    reference: Reference
    kind: ContentKind | None


def parse_reference(text: str) -> Reference | None:
    """Read a reference; ``None`` for a text that is none, ``run:`` with a path inside the own run among them.

    Raises:
        ConfigError: It begins like a reference and names no run, or a path that no run directory has.

    >>> parse_reference("latest:sft/merged")
    Reference(kind='latest', name='sft', path='merged')
    >>> parse_reference("run:stages/sft/artifacts/merged") is None
    True
    """
    kind = next((one for one in _KINDS if text.startswith(f"{one}:")), None)
    if kind is None:
        return None
    name, slash, path = text.removeprefix(f"{kind}:").partition("/")
    if kind == "run" and not is_run_id(name):
        return None
    if not is_safe_name(name):
        raise ConfigError(f"{text!r}: {name!r} names no {_NAMED[kind]}", f"give {FORMS}")
    if slash and not is_path(path):
        raise ConfigError(
            f"{text!r}: {path!r} is no path inside a run directory",
            "give the name of an export, or parts of letters, digits, dots, dashes and underscores",
        )
    return Reference(kind, name, path)


_NAMED = {"latest": "unit", "run": "run", "pointer": "pointer"}


def is_path(text: str) -> bool:
    """Whether a text is a path inside a run directory, written plainly.

    >>> is_path("stages/sft/artifacts"), is_path("../x"), is_path("a//b")
    (True, False, False)
    """
    return len(text) <= _MAX_PATH and all(_PART.fullmatch(part) for part in text.split("/"))


def list_references(configs: Iterable[StageConfig]) -> list[Wanted]:
    """List the references in the options of steps, each once.

    Raises:
        ConfigError: One is malformed.
    """
    return list(dict.fromkeys(wanted for config in configs for wanted in _iter_wanted(config)))


def find_reference_problems(config: StageConfig) -> list[str]:
    """Say what is wrong with the references in the options of a step."""
    problems = [problem for name, text in iter_run_names(config) if (problem := find_run_name_problem(name, text))]
    for text, _ in iter_uris(config):
        try:
            parse_reference(text)
        except ConfigError as error:
            problems.append(error.detail)
    return problems


def iter_run_names(config: StageConfig) -> Iterator[tuple[str, str]]:
    """Yield the options that name a whole run, and their texts; none that is empty."""
    for name, field in type(config).model_fields.items():
        text = getattr(config, name)
        if NAMES_RUN in field.metadata and text:
            yield name, text


def find_run_name_problem(option: str, text: str) -> str:
    """Say why a text names no run; empty where it names one.

    >>> find_run_name_problem("run", "latest:service"), find_run_name_problem("run", "/runs/1")
    ('', "run: '/runs/1' names no run")
    """
    try:
        reference = parse_reference(text)
    except ConfigError as error:
        return error.detail
    return "" if reference is not None and not reference.path else f"{option}: {text!r} names no run"


def iter_uris(config: StageConfig) -> Iterator[tuple[str, ContentKind]]:
    """Yield the texts of the options that take a URI, and of what."""
    for name, kind in _list_uri_options(type(config)):
        for text in iter_texts(getattr(config, name)):
            yield text, kind


@functools.cache
def _list_uri_options(config: type[StageConfig]) -> tuple[tuple[str, ContentKind], ...]:
    kinds = ((name, get_uri_kind(field)) for name, field in config.model_fields.items())
    return tuple((name, kind) for name, kind in kinds if kind is not None)


def _iter_wanted(config: StageConfig) -> Iterator[Wanted]:
    for text, kind in iter_uris(config):
        reference = parse_reference(text)
        if reference is not None:
            yield Wanted(reference, None if reference.path else kind)
