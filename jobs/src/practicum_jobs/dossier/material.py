"""The material of a repro: its program, its configuration, its rows, and changes to the platform's own code.

A folder of material holds some of: ``program.py`` and files that it reads, ``config.yaml``, ``rows.jsonl``, and
``edits.yaml``, changes to the packages of the platform as ``[{file, find, replace}]``. What lies in the folder of a fix
goes over it: options one by one, files whole, edits after those that are there.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from practicum_core.errors import DataError
from practicum_core.layout import resolve_inside
from practicum_core.stage_process import find_stage_packages

CONFIG, ROWS, EDITS = "config.yaml", "rows.jsonl", "edits.yaml"
_OWN = frozenset({CONFIG, ROWS, EDITS})


@dataclass(frozen=True)
class Edit:
    """One change to a file of the platform's packages: a text that occurs once, and what stands there instead."""

    file: str
    find: str
    replace: str


@dataclass(frozen=True)
class Material:
    """What one execution gets.

    Attributes:
        config: Options.
        rows: Lines of JSON, by id of the row.
        edits: Changes to the platform's packages.
        files: Every other file, by name.
        tree: Folder to import the platform's packages from, in place of the installed ones with ``edits``.
        overlay: Folder of packages that come before those of the environment.
    """

    config: Mapping[str, Any] = field(default_factory=dict)
    rows: Mapping[str, str] = field(default_factory=dict)
    edits: Sequence[Edit] = ()
    files: Mapping[str, Path] = field(default_factory=dict)
    tree: Path | None = None
    overlay: Path | None = None

    def with_rows(self, ids: Sequence[str]) -> Material:
        """Keep the rows with these ids alone."""
        wanted = set(ids)
        return replace(self, rows={name: line for name, line in self.rows.items() if name in wanted})

    def with_options(self, good: Mapping[str, Any], keys: Sequence[str]) -> Material:
        """Take the options of ``good``, and of the material's own only those that ``keys`` names."""
        own = {key: self.config[key] for key in keys if key in self.config}
        gone = [key for key in keys if key not in self.config]
        return replace(self, config={key: one for key, one in (dict(good) | own).items() if key not in gone})

    def write(self, folder: Path) -> None:
        """Write configuration, rows and files into a folder, as the program finds them."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, path in self.files.items():
            shutil.copyfile(path, folder / name)
        (folder / CONFIG).write_text(yaml.safe_dump(dict(self.config), allow_unicode=True), encoding="utf-8")
        (folder / ROWS).write_text("".join(f"{line}\n" for line in self.rows.values()), encoding="utf-8")


def read_material(folder: Path, fix: Path | None = None) -> Material:
    """Read the material of a folder, with that of a fix over it.

    Raises:
        DataError: A file is malformed.
    """
    material = Material(
        _read_config(folder / CONFIG), _read_rows(folder / ROWS), _read_edits(folder / EDITS), _list_files(folder)
    )
    if fix is None:
        return material
    return replace(
        material,
        config=dict(material.config) | _read_config(fix / CONFIG),
        rows=_read_rows(fix / ROWS) if (fix / ROWS).exists() else material.rows,
        edits=[*material.edits, *_read_edits(fix / EDITS)],
        files=dict(material.files) | _list_files(fix),
    )


def build_tree(edits: Sequence[Edit], folder: Path) -> Path:
    """Copy the platform's packages into a folder, change them there, and return the folder.

    Raises:
        DataError: An edit names no file of them, or its text does not occur in it exactly once.
    """
    for name, source in find_stage_packages().items():
        shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
    for edit in edits:
        path = resolve_inside(folder, edit.file)
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        if text.count(edit.find) != 1:
            raise DataError(
                f"{edit.file}: the text to replace occurs {text.count(edit.find)} times, not once: {edit.find[:80]!r}",
                "name a file of the platform's packages, and a text that stands in it once",
            )
        path.write_text(text.replace(edit.find, edit.replace), encoding="utf-8")
    return folder


def _read_config(path: Path) -> dict[str, Any]:
    content = _read_yaml(path, {})
    if not isinstance(content, dict):
        raise DataError(f"{path}: expected a mapping of options", "write KEY: VALUE lines")
    return content


def _read_edits(path: Path) -> list[Edit]:
    content = _read_yaml(path, [])
    try:
        return [Edit(**{key: str(value) for key, value in one.items()}) for one in content]
    except (TypeError, AttributeError) as error:
        raise DataError(f"{path}: expected a list of file, find and replace", "see docs/debugging.md") from error


def _read_yaml(path: Path, default: object) -> Any:  # noqa: ANN401 - any YAML value
    if not path.exists():
        return default
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise DataError(f"{path}: {error}", "correct the file") from error
    return default if content is None else content


def _read_rows(path: Path) -> dict[str, str]:
    """Read lines of JSON by their ``id``, or by their number without one; an id that comes twice is refused."""
    rows: dict[str, str] = {}
    if not path.exists():
        return rows
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), start=1):
        if not line.strip():
            continue
        try:
            document = json.loads(line)
        except ValueError as error:
            raise DataError(f"{path}:{number}: not a line of JSON ({error})", "correct the line") from error
        name = str(document.get("id", number)) if isinstance(document, dict) else str(number)
        if name in rows:
            raise DataError(f"{path}:{number}: a second row '{name}'", "give every row an id of its own")
        rows[name] = line
    return rows


def _list_files(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        return {}
    return {path.name: path for path in sorted(folder.iterdir()) if path.is_file() and path.name not in _OWN}
