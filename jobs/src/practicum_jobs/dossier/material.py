"""The material of a repro: its program, its configuration, its rows, and changes to code.

A folder of material holds some of: ``program.py`` and files that it reads, ``config.yaml``, ``rows.jsonl``, and
``edits.yaml``, changes to those files or to the packages of the platform as ``[{name, file, find, replace}]``, and
``packages.txt``, versions of packages beside those of the environment. What lies in the folder of a fix goes over it:
options and versions one by one, files whole, edits after those that are there.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from practicum_core.errors import DataError
from practicum_core.layout import resolve_inside
from practicum_core.stage_process import find_stage_packages
from practicum_jobs.dossier.packages import PACKAGES, WHEELS, read_pins

CONFIG, ROWS, EDITS = "config.yaml", "rows.jsonl", "edits.yaml"
_OWN = frozenset({CONFIG, ROWS, EDITS, PACKAGES})


@dataclass(frozen=True)
class Edit:
    """One change to code: a text that occurs once in a file, and what stands there instead.

    The file is one of the material's own, or PACKAGE/PATH of the platform's packages, which are changed in a copy.
    """

    name: str
    file: str
    find: str
    replace: str

    def apply(self, path: Path) -> None:
        """Change a file.

        Raises:
            DataError: There is none, or the text does not occur in it exactly once.
        """
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        if text.count(self.find) != 1:
            raise DataError(
                f"edit {self.name}: the text to replace occurs {text.count(self.find)} times in {self.file}, not once",
                "name a file of the repro or of the platform's packages, and a text that stands in it once",
            )
        path.write_text(text.replace(self.find, self.replace), encoding="utf-8")


@dataclass(frozen=True)
class Material:
    """What one execution gets.

    Attributes:
        config: Options.
        rows: Lines of JSON, by id of the row.
        edits: Changes to code.
        files: Every other file, by name.
        sources: Folders to import from first; edits to the platform's packages are not made then.
        pins: Versions of packages that come before those of the environment.
        wheels: Folder that they are installed from; the package index without it.
    """

    config: Mapping[str, Any] = field(default_factory=dict)
    rows: Mapping[str, str] = field(default_factory=dict)
    edits: Sequence[Edit] = ()
    files: Mapping[str, Path] = field(default_factory=dict)
    sources: Sequence[Path] = ()
    pins: Mapping[str, str] = field(default_factory=dict)
    wheels: Path | None = None

    def with_rows(self, ids: Sequence[str]) -> Material:
        """Keep the rows with these ids alone."""
        wanted = set(ids)
        return replace(self, rows={name: line for name, line in self.rows.items() if name in wanted})

    def with_options(self, good: Mapping[str, Any], keys: Sequence[str]) -> Material:
        """Take the options of ``good``, and of the material's own only those that ``keys`` names."""
        own = {key: self.config[key] for key in keys if key in self.config}
        gone = [key for key in keys if key not in self.config]
        return replace(self, config={key: one for key, one in (dict(good) | own).items() if key not in gone})

    def with_edits(self, names: Sequence[str]) -> Material:
        """Keep the edits with these names alone."""
        return replace(self, edits=[edit for edit in self.edits if edit.name in set(names)])

    @property
    def package_edits(self) -> list[Edit]:
        """The edits to the platform's packages."""
        return [edit for edit in self.edits if edit.file not in self.files]

    def write(self, folder: Path) -> None:
        """Write configuration, rows and files into a folder, as the program finds them."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, path in self.files.items():
            shutil.copyfile(path, folder / name)
        for edit in self.edits:
            if edit.file in self.files:
                edit.apply(folder / edit.file)
        self._write_inputs(folder)

    def write_material(self, folder: Path) -> None:
        """Write it as :func:`read_material` reads it: files unchanged, and the edits beside them."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, path in self.files.items():
            if path.parent != folder:
                shutil.copyfile(path, folder / name)
        self._write_inputs(folder)
        if self.pins:
            lines = "".join(f"{name}=={version}\n" for name, version in self.pins.items())
            (folder / PACKAGES).write_text(lines, encoding="utf-8")
        if self.edits:
            text = yaml.safe_dump([asdict(edit) for edit in self.edits], sort_keys=False, allow_unicode=True)
            (folder / EDITS).write_text(text, encoding="utf-8")

    def _write_inputs(self, folder: Path) -> None:
        (folder / CONFIG).write_text(yaml.safe_dump(dict(self.config), allow_unicode=True), encoding="utf-8")
        (folder / ROWS).write_text("".join(f"{line}\n" for line in self.rows.values()), encoding="utf-8")


def read_material(folder: Path, fix: Path | None = None) -> Material:
    """Read the material of a folder, with that of a fix over it.

    Raises:
        DataError: A file is malformed.
    """
    material = Material(
        _read_config(folder / CONFIG),
        _read_rows(folder / ROWS),
        _read_edits(folder / EDITS),
        _list_files(folder),
        pins=read_pins(folder / PACKAGES),
        wheels=folder / WHEELS if (folder / WHEELS).is_dir() else None,
    )
    if fix is None:
        return material
    return replace(
        material,
        config=dict(material.config) | _read_config(fix / CONFIG),
        rows=_read_rows(fix / ROWS) if (fix / ROWS).exists() else material.rows,
        edits=[*material.edits, *_read_edits(fix / EDITS)],
        files=dict(material.files) | _list_files(fix),
        pins=dict(material.pins) | read_pins(fix / PACKAGES),
    )


def build_tree(edits: Sequence[Edit], folder: Path) -> Path:
    """Make a folder with the platform's packages, change them there, and return it. Unchanged packages are links.

    Raises:
        DataError: An edit names no file of them, or its text does not occur in it exactly once.
    """
    folder.mkdir(parents=True, exist_ok=True)
    changed = {PurePosixPath(edit.file).parts[0] for edit in edits}
    for name, source in find_stage_packages().items():
        if name in changed:
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            (folder / name).symlink_to(source, target_is_directory=True)
    for edit in edits:
        # Nothing is written through a link: packages that an edit names were copied.
        edit.apply(resolve_inside(folder, edit.file))
    return folder


def _read_config(path: Path) -> dict[str, Any]:
    content = _read_yaml(path, {})
    if not isinstance(content, dict):
        raise DataError(f"{path}: expected a mapping of options", "write KEY: VALUE lines")
    return content


def _read_edits(path: Path) -> list[Edit]:
    content = _read_yaml(path, [])
    try:
        edits = [Edit(**{key: str(value) for key, value in one.items()}) for one in content]
    except (TypeError, AttributeError) as error:
        raise DataError(f"{path}: expected a list of name, file, find and replace", "see docs/debugging.md") from error
    if len({edit.name for edit in edits}) < len(edits):
        raise DataError(f"{path}: two edits have one name", "give every edit a name of its own")
    return edits


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
