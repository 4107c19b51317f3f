"""Data sets by URI: their splits, and the rows of each split one after the other.

Rows of ``builtin:tickets`` are generated, all others are read from local files; what lies elsewhere is copied to the
cache first.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from urllib.parse import unquote

from practicum_core.data_folders import TRUTH, DataListing, find_split_files, is_task_file, list_names, list_path
from practicum_core.errors import ConfigError, DataError, Reason, suggest_similar
from practicum_core.rows import Row
from practicum_jobs.context import StageContext
from practicum_jobs.datasets import flaws, tickets
from practicum_jobs.datasets.readers import (
    DEFAULT,
    Defect,
    Piece,
    Place,
    ReadOptions,
    iter_pieces,
    read_piece,
    read_place,
)
from practicum_jobs.datasets.remote import fetch_files, list_files
from practicum_jobs.datasets.tasks import find_data_file, iter_task, read_task
from practicum_jobs.datasets.tickets import SPLITS, build_rows, read_ticket_options

FORMS = "builtin:NAME[?rows=N&language=en|zh|both&seed=N], file:///PATH, hf://datasets/OWNER/NAME, s3://BUCKET/PATH"

_STORES = ("hf", "s3")
_BUILTIN = ("tickets", "tickets-flawed")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")


@dataclass(frozen=True)
class Source:
    """An opened data set.

    Attributes:
        uri: Canonical: two spellings of one data set give the same.
        generator_version: Of the built-in generator, or empty.
        files: Files of each split; empty where rows are generated.
        truth: File that names the planted flaws, where there is one.
    """

    uri: str
    openers: Mapping[str, Callable[[], Iterator[Piece]]] = field(repr=False)
    generator_version: str = ""
    files: Mapping[str, tuple[Path, ...]] = field(default_factory=dict)
    truth: Path | None = None

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits, train first."""
        return tuple(self.openers)

    def iter_split(self, split: str) -> Iterator[Row | Defect]:
        """Yield the rows of a split, and a defect for each place where none could be read; see :meth:`iter_pieces`."""
        return map(read_piece, self.iter_pieces(split))

    def iter_places(self, split: str) -> Iterator[Place]:
        """Yield the same with the columns of each record that its row does not hold."""
        return map(read_place, self.iter_pieces(split))

    def iter_pieces(self, split: str) -> Iterator[Piece]:
        """Yield the places of a split, of which those of files are not read yet.

        Raises:
            DataError: No such split, or its files are missing, unreadable or empty.
        """
        if split not in self.openers:
            raise DataError(
                f"{self.uri}: no split '{split}'{suggest_similar(split, self.openers)}",
                f"splits: {', '.join(self.openers)}",
                Reason.DATA_MISSING,
            )
        return self.openers[split]()


def open_source(uri: str, cache_dir: Path, options: ReadOptions = DEFAULT) -> Source:
    """Open a data set by URI or path.

    Args:
        uri: One of the forms of :data:`FORMS`, or a path.
        cache_dir: Folder for files that are made or fetched.
        options: How files are read.

    Raises:
        ConfigError: The URI is malformed or names nothing.
        DataError: Its files are missing.
        PlatformError: A store did not answer.
    """
    scheme, rest = _split_scheme(uri)
    if scheme == "builtin":
        return _open_builtin(rest.removeprefix("//"), cache_dir, options)
    if scheme in _STORES:
        folder, _ = fetch_files(uri, cache_dir)
        return _open_path(folder, uri, options)
    return _open_path(_get_path(uri, scheme, rest), "", options)


def read_strictly(source: Source, split: str) -> Iterator[Row]:
    """Yield the rows of a split; the first place that holds none is an error.

    Raises:
        DataError: No such split, or a place of it that is no row.
    """
    for place in source.iter_split(split):
        if isinstance(place, Defect):
            raise DataError(f"split {split}: {place}", "correct the line, or use the clean copy of `practicum audit`")
        yield place


def open_input(uri: str, ctx: StageContext, options: ReadOptions = DEFAULT) -> Source:
    """Open the data set that a stage's option names; what an earlier run or step made keeps the name it has there.

    Raises:
        ConfigError: The URI is malformed or names nothing.
        DataError: Its files are missing, or changed since the run started.
        PlatformError: A store did not answer.
    """
    resolved = ctx.resolve_uri(uri, "data")
    source = open_source(resolved, ctx.cache_dir, options)
    return source if resolved == uri else replace(source, uri=uri)


def list_input(uri: str, ctx: StageContext) -> DataListing:
    """List the splits of the data set that a stage's option names. Nothing is fetched or generated.

    Raises:
        ConfigError: The URI is malformed or names nothing.
        DataError: Its files are missing, or their splits cannot be told; or what it refers to changed.
        PlatformError: A store did not answer.
    """
    resolved = ctx.resolve_uri(uri, "data")
    scheme, rest = _split_scheme(resolved)
    if scheme == "builtin":
        _check_builtin(rest.removeprefix("//").partition("?")[0])
        return DataListing(uri, dict.fromkeys(SPLITS, ()))
    if scheme in _STORES:
        return list_names(uri, list_files(resolved))
    return list_path(_get_path(resolved, scheme, rest), uri if resolved != uri else "")


def _split_scheme(uri: str) -> tuple[str, str]:
    """Return the scheme of a URI, which is empty for a path, and the rest.

    Raises:
        ConfigError: The scheme is none that is read on this machine, or the rest is not of its form.
    """
    match = _SCHEME.match(uri)
    scheme, rest = (match[1].lower(), uri[match.end() :]) if match else ("", uri)
    if scheme == "pvc":
        raise ConfigError(f"{uri}: pvc:// names a volume of a cluster", "on this machine give file:///PATH")
    if scheme not in {"", "builtin", "file", *_STORES}:
        hint = suggest_similar(scheme, ["builtin", "file", *_STORES])
        raise ConfigError(f"{uri}: unknown scheme '{scheme}'{hint}", f"give one of: {FORMS}")
    if scheme in _STORES and not rest.startswith("//datasets/" if scheme == "hf" else "//"):
        raise ConfigError(f"{uri}: not of a known form", "give hf://datasets/OWNER/NAME[@REVISION] or s3://BUCKET/PATH")
    return scheme, rest


def _get_path(uri: str, scheme: str, rest: str) -> Path:
    if not scheme:
        return Path(rest).absolute()
    location = rest.removeprefix("//")
    if not location.startswith("/"):
        raise ConfigError(f"{uri}: a file URI needs an absolute path", "give file:///PATH")
    return Path(unquote(location))


def _open_builtin(name_and_query: str, cache_dir: Path, options: ReadOptions) -> Source:
    name, _, query = name_and_query.partition("?")
    _check_builtin(name)
    return _open_tickets(query) if name == "tickets" else _open_flawed(query, cache_dir, options)


def _check_builtin(name: str) -> None:
    if name not in _BUILTIN:
        known = ", ".join(f"builtin:{each}" for each in _BUILTIN)
        raise ConfigError(f"unknown data set 'builtin:{name}'{suggest_similar(name, _BUILTIN)}", f"data sets: {known}")


def _open_tickets(query: str) -> Source:
    options = read_ticket_options(query)
    openers = {split: partial(build_rows, options, split) for split in SPLITS}
    return Source(f"builtin:tickets?{options.to_query()}", openers, tickets.GENERATOR_VERSION)


def _open_flawed(query: str, cache_dir: Path, options: ReadOptions) -> Source:
    made = read_ticket_options(query, flaws.DEFAULT_OPTIONS)
    folder = flaws.ensure_flawed(made, cache_dir)
    uri = f"builtin:tickets-flawed?{made.to_query()}"
    how = ReadOptions(max_row_bytes=options.max_row_bytes)
    return replace(_open_path(folder, uri, how), generator_version=flaws.GENERATOR_VERSION)


def _open_path(path: Path, uri: str, options: ReadOptions) -> Source:
    files = find_split_files(path)
    if path.is_file() and is_task_file(path):
        task = read_task(path)
        data = find_data_file(path, task)
        (split,) = files
        opener = partial(iter_task, path, task, options)
        return Source(uri or path.resolve().as_uri(), {split: opener}, files={split: (path, data)})
    root = path if path.is_dir() else path.parent
    openers = {split: partial(_iter_files, found, root, options) for split, found in files.items()}
    truth = root / TRUTH
    is_named = path.is_dir() and truth.is_file()
    return Source(uri or path.resolve().as_uri(), openers, files=files, truth=truth if is_named else None)


def _iter_files(files: tuple[Path, ...], root: Path, options: ReadOptions) -> Iterator[Piece]:
    for file in files:
        label = str(file.relative_to(root)) if file.is_relative_to(root) else file.name
        yield from iter_pieces(file, options, label=label)
