"""Logs of a week job's steps on a cluster: which pods have them, in which order, and where to look if none is left."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from practicum_cli.api_server import ApiServer
from practicum_cli.cluster_runs import ClusterRun
from practicum_core.layout import RunLayout
from practicum_core.phases import Phase

_FOLLOW_S = 2.0
_WAITING = (Phase.PENDING, Phase.QUEUED, Phase.INITIALIZING)


def iter_lines(
    server: ApiServer, run: ClusterRun, steps: Collection[str], *, follow: bool, sleep: Callable[[float], object]
) -> Iterator[tuple[str, str]]:
    """Yield step and line of everything that the pods of a week job printed, oldest pod first.

    Args:
        server: The API server.
        run: The week job.
        steps: The steps that are wanted.
        follow: Whether to go on until the week job is over.
        sleep: Waits for seconds.

    Raises:
        PracticumError: The server refuses, or does not answer.
    """
    read: set[str] = set()
    while True:
        # Asked before the pods are: what ends in between is read in the next round.
        now = server.find(run.name, run.namespace) if follow else run
        for pod in server.list_pods(run):
            if pod.step in steps and pod.is_started and pod.uid not in read:
                read.add(pod.uid)
                for line in server.iter_log(run, pod, follow=follow):
                    yield pod.step, line
        if not follow or now is None or now.uid != run.uid or now.is_over:
            return
        sleep(_FOLLOW_S)


def describe_missing(run: ClusterRun, step: str) -> str:
    """Say why nothing was read of a step, and where its log lies if it has run."""
    seen = next((stage for stage in run.status.stages if stage.name == step), None)
    if seen is None or seen.phase in _WAITING:
        return f"{step}: has not run yet{f': {seen.message}' if seen and seen.message else ''}"
    log = RunLayout(Path(run.workspace)).stage(step).log
    return f"{step}: no pod of it has a log; the whole log lies on the volume `workspace`: {log}"
