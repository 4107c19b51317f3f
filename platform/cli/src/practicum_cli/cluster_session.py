"""One week on a cluster, from its file to its final status: submit it, follow it, fetch its evidence."""

from __future__ import annotations

import datetime as dt
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from practicum_cli.api_server import ApiServer
from practicum_cli.cluster_runs import ClusterRun, Place, build_document, choose_namespace
from practicum_cli.console import JsonLines, ProgressBar
from practicum_cli.following import Follower
from practicum_cli.session import Outcome, describe_outcome
from practicum_core.atomic import write_bytes_atomic
from practicum_core.phases import Phase
from practicum_core.weekjob import WeekJob


@dataclass(frozen=True)
class ClusterOutcome(Outcome):
    """How a week job of a cluster ended, or where it stands."""

    place: str

    def describe_log(self, step: str) -> str:
        """Say how the log of a step is read."""
        return f"practicum logs {self.weekjob.metadata.name} {step} {self.place}"

    def describe_resumption(self) -> str:
        """Say what makes the week go on: the cluster keeps an end for good."""
        key = "suspend: false" if self.status.phase is Phase.SUSPENDED else "another metadata.name"
        return f"{key} in the file, then practicum submit FILE {self.place}"


@dataclass(frozen=True)
class Submission:
    """What a submission found and made.

    Attributes:
        before: The week job of this name that was there, if there was one.
        run: The week job that is there now.
    """

    before: ClusterRun | None
    run: ClusterRun

    def describe(self) -> str:
        """Say what became of the file."""
        title = self.run.title
        if self.before is None:
            return f"{title}: submitted"
        if self.before.status.phase.is_terminal:
            phase = self.before.status.phase
            return f"{title}: ended before ({phase}) and does not run again; another metadata.name starts a new run"
        return f"{title}: {'unchanged' if self.before.generation == self.run.generation else 'changed'}"


def submit(server: ApiServer, weekjob: WeekJob, given: str | None) -> Submission:
    """Apply a week job that was validated.

    Args:
        server: The API server.
        weekjob: As its file says.
        given: The namespace that was asked for; the file's or the kubeconfig's without it.

    Raises:
        PracticumError: The server refuses it, or does not answer.
    """
    namespace = choose_namespace(weekjob, given, server.namespace)
    before = server.find(weekjob.metadata.name, namespace)
    return Submission(before, server.apply(build_document(weekjob, namespace)))


def follow(server: ApiServer, run: ClusterRun, listener: JsonLines | ProgressBar) -> ClusterRun:
    """Follow a week job to its end.

    Raises:
        PracticumError: It was deleted, or the API server is silent for too long.
    """
    with listener:
        follower = Follower(
            lambda: server.find(run.name, run.namespace), listener, time.sleep, lambda: dt.datetime.now(dt.UTC)
        )
        return follower.follow(run)


def fetch_evidence(server: ApiServer, run: ClusterRun, experiments: Path) -> Path | None:
    """Write a week job's evidence page below the folder of all runs; ``None`` where the cluster keeps none.

    Raises:
        PracticumError: The server refuses, what it keeps is no page, or the folder cannot be written.
    """
    page = server.read_page(run)
    if page is None:
        return None
    path = run.get_layout(experiments).evidence_html
    write_bytes_atomic(path, page)
    return path.resolve()


def build_outcome(run: ClusterRun, place: Place, experiments: Path) -> ClusterOutcome:
    """Return a week job as the end of a run is told."""
    root = run.get_layout(experiments).root.resolve()
    return ClusterOutcome(root, run.weekjob, run.status, place.describe(run.namespace))


def describe_run(outcome: Outcome) -> dict[str, Any]:
    """Describe a week job for machines: as a local run, and where it is."""
    metadata = outcome.weekjob.metadata
    return describe_outcome(outcome) | {"name": metadata.name, "namespace": metadata.namespace}
