"""Decides what a data URI means: which splits it has and how their rows are had, one after the other.

Rows of ``builtin:tickets`` are generated, all others are read from local files; what lies elsewhere is copied to the
cache first. Refuses to know what rows are for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from practicum_core.errors import ConfigError, DataError, Reason, suggest_similar
from practicum_core.rows import Row
from practicum_jobs.datasets.readers import Defect
from practicum_jobs.datasets.tickets import GENERATOR_VERSION, SPLITS, build_rows, read_ticket_options

FORMS = "builtin:NAME[?rows=N&language=en|zh|both&seed=N], file:///PATH, hf://datasets/OWNER/NAME, s3://BUCKET/PATH"


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
    openers: Mapping[str, Callable[[], Iterator[Row | Defect]]] = field(repr=False)
    generator_version: str = ""
    files: Mapping[str, tuple[Path, ...]] = field(default_factory=dict)
    truth: Path | None = None

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits, train first."""
        return tuple(self.openers)

    def iter_split(self, split: str) -> Iterator[Row | Defect]:
        """Yield the rows of a split, and a defect for each place where none could be read.

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


def open_source(uri: str, cache_dir: Path) -> Source:
    """Open a data set by URI or path.

    Args:
        uri: One of the forms of :data:`FORMS`, or a path.
        cache_dir: Folder for files that are made or fetched.

    Raises:
        ConfigError: The URI is malformed or names nothing.
        DataError: Its files are missing.
        PlatformError: A store did not answer.
    """
    name, _, query = uri.removeprefix("builtin:").partition("?")
    if uri.startswith("builtin:") and name == "tickets":
        return _open_tickets(query)
    raise ConfigError(f"unknown data set '{uri}'{suggest_similar(uri, ['builtin:tickets'])}", f"give one of: {FORMS}")


def _open_tickets(query: str) -> Source:
    options = read_ticket_options(query)
    openers = {split: partial(build_rows, options, split) for split in SPLITS}
    return Source(f"builtin:tickets?{options.to_query()}", openers, GENERATOR_VERSION)
