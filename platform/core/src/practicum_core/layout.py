"""Paths: names inside a run directory, run ids, and what a path may name.

Pure: builds paths and checks them, opens no file. The run directory of one week job is
``experiments/<unit>/<run-id>/``.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from practicum_core.errors import ConfigError

VERIFY_FOLDER = "verify"
"""Folder of a run directory with the runs that executed it again."""
VERIFICATION = "verification.json"
"""File of such a run: how far it agrees with its record."""
_RUN_ID = re.compile(r"[0-9]{8}t[0-9]{6}-[0-9a-f]{6}")
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?")


def build_run_id(now: dt.datetime, entropy: bytes) -> str:
    """Build a run id that sorts by time: UTC second, then six hexadecimal digits of ``entropy``.

    Args:
        now: Time of creation, with a time zone.
        entropy: At least three bytes that tell runs of one second apart.

    >>> build_run_id(dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC), bytes([1, 2, 255]))
    '20260102t030405-0102ff'
    """
    return f"{now.astimezone(dt.UTC):%Y%m%dt%H%M%S}-{entropy[:3].hex()}"


def is_run_id(name: str) -> bool:
    """Whether ``name`` has the form of a run id.

    >>> is_run_id("20260102t030405-0102ff"), is_run_id("../x")
    (True, False)
    """
    return _RUN_ID.fullmatch(name) is not None


def is_safe_name(name: str) -> bool:
    """Whether ``name`` can be a folder or object name: lower case, digits, dots, dashes; at most 63 characters.

    >>> is_safe_name("week-03"), is_safe_name("a/b")
    (True, False)
    """
    return _NAME.fullmatch(name) is not None


def resolve_inside(folder: Path, relative: str) -> Path:
    """Join ``relative`` to ``folder``, refusing absolute paths and anything that leaves the folder.

    Symbolic links are followed before the check.

    Raises:
        ConfigError: The path leaves the folder.
    """
    pure = PurePosixPath(relative)
    is_plain = not pure.is_absolute() and "\x00" not in relative
    joined = (folder / pure).resolve() if is_plain else folder
    if not is_plain or not joined.is_relative_to(folder.resolve()):
        raise ConfigError(f"path {relative!r} leaves the run directory", "name a path inside the run directory")
    return joined


@dataclass(frozen=True)
class StageLayout:
    """Paths of one step inside a run directory."""

    root: Path

    @property
    def config(self) -> Path:
        """Resolved stage configuration (YAML)."""
        return self.root / "config.yaml"

    @property
    def record(self) -> Path:
        """Typed summary; its presence means that the step succeeded."""
        return self.root / "record.json"

    @property
    def error(self) -> Path:
        """Why the step ended without a record: ``{reason, detail, fix}``."""
        return self.root / "error.json"

    @property
    def child(self) -> Path:
        """Process that runs the step now, or ran it last: ``{pid, created_s, attempt, started_at}``."""
        return self.root / "child.json"

    @property
    def lock(self) -> Path:
        """Locked by the step's process for as long as it lives."""
        return self.root / ".lock"

    @property
    def port(self) -> Path:
        """Loopback port of the step's server, on a laptop: ``{port}``."""
        return self.root / "port.json"

    @property
    def progress(self) -> Path:
        """Latest progress: ``{fraction, message, eta_s}``."""
        return self.root / "progress.json"

    @property
    def metrics(self) -> Path:
        """Series over steps, one JSON line each: ``{"step": int, "time_s": float, <name>: float}``."""
        return self.root / "metrics.jsonl"

    @property
    def samples(self) -> Path:
        """Inputs with outputs, one JSON line each."""
        return self.root / "samples.jsonl"

    @property
    def log(self) -> Path:
        """Standard output and error of the step's process, all attempts in order."""
        return self.root / "log.txt"

    @property
    def plots(self) -> Path:
        """Plots as SVG files."""
        return self.root / "plots"

    @property
    def artifacts(self) -> Path:
        """Files for later steps and for people: adapters, models, clean data."""
        return self.root / "artifacts"


@dataclass(frozen=True)
class RunLayout:
    """Paths inside one run directory."""

    root: Path

    @property
    def weekjob(self) -> Path:
        """The week job as resolved (YAML)."""
        return self.root / "weekjob.yaml"

    @property
    def status(self) -> Path:
        """Latest status, the same shape as the custom resource's."""
        return self.root / "status.json"

    @property
    def environment(self) -> Path:
        """Code version, locks, hardware."""
        return self.root / "environment.json"

    @property
    def code_diff(self) -> Path:
        """Changes to the code that no commit holds; absent where there are none."""
        return self.root / "code.diff"

    @property
    def control(self) -> Path:
        """Which run this one is compared with and the factor in which they differ; absent without a control."""
        return self.root / "control.json"

    @property
    def lock(self) -> Path:
        """Locked by the executor that works on the run."""
        return self.root / ".lock"

    @property
    def data_lock(self) -> Path:
        """Content hashes of every split that the run reads."""
        return self.root / "data.lock.json"

    @property
    def model_lock(self) -> Path:
        """Content hashes of the base model's files."""
        return self.root / "model.lock.json"

    @property
    def lineage_lock(self) -> Path:
        """Earlier runs that the run is built on, by content; absent where it is built on none."""
        return self.root / "lineage.lock.json"

    @property
    def events(self) -> Path:
        """What happened when, one JSON line each."""
        return self.root / "events.jsonl"

    @property
    def stages(self) -> Path:
        """Folder of all steps."""
        return self.root / "stages"

    @property
    def evidence_html(self) -> Path:
        """The evidence pack that a person opens."""
        return self.root / "evidence" / "index.html"

    @property
    def evidence_json(self) -> Path:
        """The evidence pack for machines."""
        return self.root / "evidence" / "evidence.json"

    def stage(self, step: str) -> StageLayout:
        """Paths of the step named ``step``."""
        return StageLayout(self.stages / step)
