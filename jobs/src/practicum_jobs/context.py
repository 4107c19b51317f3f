"""What a stage may do to the outside: report progress, append metrics and samples, leave artifacts, stop.

A stage gets one :class:`StageContext`; it never builds paths of the run directory itself.
"""

from __future__ import annotations

import datetime as dt
import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from practicum_core.atomic import append_json_line, write_json_atomic, write_text_atomic
from practicum_core.content_hash import hash_path, iter_files
from practicum_core.earlier_runs import find_run_folder
from practicum_core.errors import ConfigError, Stopped
from practicum_core.layout import RunLayout, StageLayout, resolve_inside
from practicum_core.lineage import find_locked
from practicum_core.machine import get_cache_dir
from practicum_core.stage_process import RUN_SCHEME
from practicum_core.stages.base import Artifact, ContentKind
from practicum_core.stages.samples import Sample

_TELLING_SHARE = 0.05
"""Of a stage's work, the share whose pace tells how long the rest takes: the first rows pay for what is loaded."""


def utc_now() -> str:
    """Return the present time as ISO 8601 in UTC, to the millisecond."""
    return dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")


class StageContext:
    """One step's window on the run directory.

    Args:
        run_dir: The run directory, existing.
        stage: Name of the stage.
        step: Name of the step; the stage's name where a unit has it once.
        cache_dir: Folder for models and data that outlive the run.
        experiments: Folder of the runs that this one may be built on; the one that the run lies in without it.
    """

    def __init__(
        self, run_dir: Path, stage: str, step: str, cache_dir: Path | None = None, experiments: Path | None = None
    ) -> None:
        self.run = RunLayout(run_dir)
        self.stage = stage
        self.step = step
        self.layout: StageLayout = self.run.stage(step)
        self.cache_dir = cache_dir or get_cache_dir()
        self.experiments = experiments or run_dir.absolute().parent.parent
        self.started_at = utc_now()
        self._started_s = time.monotonic()
        # No threading.Event: a second signal inside of its set() waits for ever for the lock that the first one holds.
        self._is_stop_requested = False

    def request_stop(self) -> None:
        """Ask the stage to stop at its next checkpoint. Called by the signal handler."""
        self._is_stop_requested = True

    @property
    def is_stop_requested(self) -> bool:
        """Whether the stage should write a checkpoint and raise :class:`~practicum_core.errors.Stopped`."""
        return self._is_stop_requested

    def raise_if_stopped(self) -> None:
        """Raise ``Stopped`` when a stop was requested; for stages that need no checkpoint."""
        if self.is_stop_requested:
            raise Stopped

    @property
    def elapsed_s(self) -> float:
        """Seconds since the stage started."""
        return time.monotonic() - self._started_s

    def progress(self, fraction: float, message: str = "") -> None:
        """Publish the share done (0 to 1); the remaining time is estimated from the pace, once enough is done."""
        share = min(max(fraction, 0.0), 1.0)
        eta_s = self.elapsed_s * (1 - share) / share if share >= _TELLING_SHARE else None
        write_json_atomic(self.layout.progress, {"fraction": share, "message": message, "eta_s": eta_s})

    def log_metrics(self, step: int, **values: float) -> None:
        """Append one line to the step's metric series, at once and without a barrier."""
        append_json_line(self.layout.metrics, {"step": step, "time_s": round(self.elapsed_s, 3), **values})

    def add_sample(self, sample: Sample) -> None:
        """Append one input with its output to ``samples.jsonl``, at once."""
        append_json_line(self.layout.samples, sample.model_dump(mode="json", exclude_unset=True))

    def write_samples(self, samples: Iterable[Sample]) -> None:
        """Write ``samples.jsonl`` whole: samples of an earlier attempt do not stay."""
        documents = (sample.model_dump(mode="json", exclude_unset=True) for sample in samples)
        lines = (json.dumps(one, ensure_ascii=False, separators=(",", ":")) for one in documents)
        write_text_atomic(self.layout.samples, "".join(f"{line}\n" for line in lines))

    def resolve_uri(self, uri: str, kind: ContentKind = "model") -> str:
        """Turn a reference to an earlier run, or ``run:PATH`` inside this one, into an absolute path.

        Every other URI stays as it is.

        Args:
            uri: Of an option.
            kind: What the option takes.

        Raises:
            ConfigError: The path leaves the run directory, or nothing lies there.
            DataError: What the run was built on is gone or changed since it started.
        """
        earlier = find_locked(self.run, uri, kind, self.experiments)
        if earlier is not None:
            return str(earlier)
        if not uri.startswith(RUN_SCHEME):
            return uri
        path = resolve_inside(self.run.root, uri.removeprefix(RUN_SCHEME))
        if not path.exists():
            raise ConfigError(f"{uri}: nothing lies at {path}", "run the step that makes it first")
        return str(path)

    def find_run(self, reference: str) -> RunLayout:
        """Return the run that an option names by a reference, finished or not; the own run where it names none.

        Raises:
            ConfigError: There is no such run.
        """
        if not reference:
            return self.run
        own_run = f"{self.run.root.absolute().parent.name}/{self.run.root.name}"
        return RunLayout(find_run_folder(reference, self.experiments, own_run))

    def describe_artifact(self, path: Path, note: str = "") -> Artifact:
        """Hash a file or folder below the run directory and describe it for the record."""
        return Artifact(
            path=str(path.relative_to(self.run.root)),
            sha256=hash_path(path),
            size_bytes=sum(file.stat().st_size for file in iter_files(path)),
            note=note,
        )

    def build_record_fields(self) -> dict[str, Any]:
        """Return the fields that every record starts with, the clock stopped now."""
        return {
            "stage": self.stage,
            "step": self.step,
            "started_at": self.started_at,
            "finished_at": utc_now(),
            "duration_s": round(self.elapsed_s, 3),
        }
