"""What a person sees of a run on stderr: a progress bar on a terminal, JSON lines otherwise."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from practicum_cli.streams import tell_json
from practicum_core.phases import Phase
from practicum_core.weekjob import StageStatus, WeekJobStatus

_LINE_INTERVAL_S = 5.0


def build_listener() -> JsonLines | ProgressBar:
    """Return the listener that fits where stderr goes."""
    return ProgressBar() if sys.stderr.isatty() else JsonLines()


class JsonLines:
    """One JSON line per event, and one every few seconds of progress."""

    def __init__(self) -> None:
        self._shown_s = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def on_event(self, event: Mapping[str, Any]) -> None:
        """Print the event."""
        tell_json(event, err=True)

    def on_status(self, status: WeekJobStatus) -> None:
        """Print the running step's progress, at most every few seconds."""
        stage = next((stage for stage in status.stages if stage.phase is Phase.RUNNING), None)
        now_s = time.monotonic()
        if stage is None or stage.progress is None or now_s - self._shown_s < _LINE_INTERVAL_S:
            return
        self._shown_s = now_s
        line = {"event": "progress", "step": stage.name, "progress": round(stage.progress, 4)}
        if stage.message:
            line["message"] = stage.message
        if stage.eta_seconds is not None:
            line["eta_s"] = round(stage.eta_seconds, 1)
        tell_json(line, err=True)


class ProgressBar:
    """A bar per step, drawn by rich."""

    def __init__(self) -> None:
        from rich.console import Console  # noqa: PLC0415 - a third of a second that --help does not need
        from rich.progress import (  # noqa: PLC0415 - as above
            BarColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        self._progress = Progress(
            TextColumn("{task.description:<14}"),
            BarColumn(bar_width=30),
            TextColumn("{task.percentage:>3.0f}%"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            console=Console(stderr=True),
        )
        self._tasks: dict[str, Any] = {}

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def on_event(self, event: Mapping[str, Any]) -> None:
        """Show what the bars do not: environments being made, orphans ended, why a cluster lets it wait."""
        name = event["event"]
        if name == "environment_starting":
            self._print(f"making the environment '{event['environment']}' (first use)")
        elif name == "orphan_found":
            self._print(f"ending the process that an earlier run of '{event['step']}' left behind")
        elif name in {"waiting", "cluster_silent"}:
            self._print(event["message"])

    def _print(self, text: str) -> None:
        """Print a line above the bars; brackets in it are no markup."""
        self._progress.console.print(text, markup=False, highlight=False)

    def on_status(self, status: WeekJobStatus) -> None:
        """Move the bars."""
        for stage in status.stages:
            if stage.phase is Phase.PENDING:
                continue
            if stage.name not in self._tasks:
                self._tasks[stage.name] = self._progress.add_task(stage.name, total=1.0, note="")
            task = self._tasks[stage.name]
            self._progress.update(task, completed=stage.progress or 0.0, note=_get_note(stage))
            if stage.phase is not Phase.RUNNING:
                self._progress.stop_task(task)


def _get_note(stage: StageStatus) -> str:
    """Return what stands beside a bar. Why a step failed is said below the bars, once."""
    if stage.phase is Phase.SUCCEEDED:
        return ""
    return stage.phase if stage.phase is Phase.FAILED else stage.message or stage.phase
