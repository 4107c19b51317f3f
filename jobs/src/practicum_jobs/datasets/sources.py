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

from practicum_core.errors import ConfigError, DataError, Reason, suggest_similar
from practicum_core.rows import Row
from practicum_jobs.context import StageContext
from practicum_jobs.datasets import flaws, tickets
from practicum_jobs.datasets.folders import TRUTH, find_split_files
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
from practicum_jobs.datasets.remote import fetch_files
from practicum_jobs.datasets.tickets import SPLITS, build_rows, read_ticket_options

FORMS = "builtin:NAME[?rows=N&language=en|zh|both&seed=N], file:///PATH, hf://datasets/OWNER/NAME, s3://BUCKET/PATH"

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
    match = _SCHEME.match(uri)
    scheme, rest = (match[1].lower(), uri[match.end() :]) if match else ("", uri)
    if scheme == "builtin":
        return _open_builtin(rest.removeprefix("//"), cache_dir, options)
    if scheme in {"hf", "s3"}:
        return _open_remote(uri, rest, cache_dir, options)
    if scheme == "pvc":
        raise ConfigError(f"{uri}: pvc:// names a volume of a cluster", "on this machine give file:///PATH")
    if scheme not in {"", "file"}:
        hint = suggest_similar(scheme, ["builtin", "file", "hf", "s3"])
        raise ConfigError(f"{uri}: unknown scheme '{scheme}'{hint}", f"give one of: {FORMS}")
    return _open_path(_get_path(uri, scheme, rest), "", options)


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


def _get_path(uri: str, scheme: str, rest: str) -> Path:
    if not scheme:
        return Path(rest).absolute()
    location = rest.removeprefix("//")
    if not location.startswith("/"):
        raise ConfigError(f"{uri}: a file URI needs an absolute path", "give file:///PATH")
    return Path(unquote(location))


def _open_builtin(name_and_query: str, cache_dir: Path, options: ReadOptions) -> Source:
    name, _, query = name_and_query.partition("?")
    if name == "tickets":
        return _open_tickets(query)
    if name == "tickets-flawed":
        return _open_flawed(query, cache_dir, options)
    hint = suggest_similar(name, ["tickets", "tickets-flawed"])
    raise ConfigError(f"unknown data set 'builtin:{name}'{hint}", "data sets: builtin:tickets, builtin:tickets-flawed")


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


def _open_remote(uri: str, rest: str, cache_dir: Path, options: ReadOptions) -> Source:
    if not rest.startswith("//") or (uri.startswith("hf:") and not rest.startswith("//datasets/")):
        raise ConfigError(f"{uri}: not of a known form", "give hf://datasets/OWNER/NAME[@REVISION] or s3://BUCKET/PATH")
    folder, _ = fetch_files(uri, cache_dir)
    return _open_path(folder, uri, options)


def _open_path(path: Path, uri: str, options: ReadOptions) -> Source:
    files = find_split_files(path)
    root = path if path.is_dir() else path.parent
    openers = {split: partial(_iter_files, found, root, options) for split, found in files.items()}
    truth = root / TRUTH
    is_named = path.is_dir() and truth.is_file()
    return Source(uri or path.resolve().as_uri(), openers, files=files, truth=truth if is_named else None)


def _iter_files(files: tuple[Path, ...], root: Path, options: ReadOptions) -> Iterator[Piece]:
    for file in files:
        label = str(file.relative_to(root)) if file.is_relative_to(root) else file.name
        yield from iter_pieces(file, options, label=label)
