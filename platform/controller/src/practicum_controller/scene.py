"""The observed state of a week job as immutable values: its document, course, children and steps."""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from practicum_controller.backends import get_backend
from practicum_controller.backends.backend import ChildState, Document, Sight
from practicum_controller.backends.pod_status import find_condition, is_pod_running
from practicum_controller.backends.server_pods import get_service_name, read_server_url
from practicum_controller.documents import read_time
from practicum_controller.family import get_attempt, get_slices
from practicum_controller.kinds import SERVICES
from practicum_controller.ledger import BudgetState
from practicum_controller.rosters import Roster
from practicum_core import labels
from practicum_core.errors import ConfigError
from practicum_core.observed import ObservedStep
from practicum_core.resolve import ResolvedUnit
from practicum_core.weekjob import WeekJob, WeekJobStatus


@dataclass(frozen=True)
class Child:
    """One attempt of a step as the cluster shows it.

    ``objects`` are its objects, the main one first; ``workloads`` are what Kueue queues for it. ``warnings`` may be
    about other children, too.
    """

    objects: Sequence[Document]
    pods: Sequence[Document] = ()
    workloads: Sequence[Document] = ()
    warnings: Sequence[Document] = ()

    @property
    def main(self) -> Document:
        """The object that stands for the child."""
        return self.objects[0]

    @property
    def uid(self) -> str:
        """Uid of the main object."""
        return str(self.main["metadata"]["uid"])

    @property
    def name(self) -> str:
        """Name of the main object."""
        return str(self.main["metadata"]["name"])

    @property
    def description(self) -> str:
        """``Kind/name``."""
        return f"{self.main['kind']}/{self.name}"

    @property
    def step(self) -> str:
        """Name of the step."""
        return str(self.main["metadata"].get("labels", {}).get(labels.STEP, ""))

    @property
    def attempt(self) -> int:
        """Which attempt of its step it is, from 1."""
        return get_attempt(self.main)

    @property
    def slices(self) -> int:
        """GPU slices that all its pods hold together: of one that is scaled, those that run."""
        return get_slices(self.main) * (sum(map(is_pod_running, self.pods)) if self.is_scaled else 1)

    @property
    def is_server(self) -> bool:
        """Whether it is a server, whose pods come and go while it stays."""
        return get_backend(self.main["kind"]).is_server

    @property
    def is_scaled(self) -> bool:
        """Whether the number of its pods changes while it runs."""
        return get_backend(self.main["kind"]).is_scaled

    @property
    def endpoint(self) -> str | None:
        """Address of a server; ``None`` for a task."""
        name = get_service_name(self.name)
        named = (one for one in self.objects[1:] if one["kind"] == SERVICES.kind and one["metadata"]["name"] == name)
        return next(map(read_server_url, named), None)

    @property
    def is_being_deleted(self) -> bool:
        """Whether it is being deleted."""
        return bool(self.main["metadata"].get("deletionTimestamp"))

    @property
    def created_at(self) -> dt.datetime | None:
        """When it was made, by the API server's clock."""
        return read_time(self.main["metadata"].get("creationTimestamp"))

    @functools.cached_property
    def workload(self) -> Document | None:
        """Its Workload: of several replicas, one that waits."""
        return min(self.workloads, key=lambda one: find_condition(one, "Admitted") is not None, default=None)

    @functools.cached_property
    def admitted_at(self) -> dt.datetime | None:
        """When it was let out of its queue, or its newest pod was made; in no queue, when it was made.

        A pod that was made anew, since its node went, has the same time to start as the first. A child may be seen to
        run before its Workload is seen to be admitted: then no time is known.
        """
        admitted = find_condition(self.workload, "Admitted")
        if self.workload is not None and admitted is None:
            return None
        since = admitted.get("lastTransitionTime") if admitted else self.main["metadata"].get("creationTimestamp")
        made = [pod["metadata"].get("creationTimestamp") for pod in self.pods]
        times = [dt.datetime.fromisoformat(text) for text in (since, *made) if text]
        return max(times, default=None)

    @functools.cached_property
    def state(self) -> ChildState:
        """How far it has come, and what is in its way."""
        return get_backend(self.main["kind"]).read_state(self._sight)

    @functools.cached_property
    def has_running_pods(self) -> bool:
        """Whether a container of one of its pods runs."""
        return any(is_pod_running(pod) for pod in self.pods)

    @functools.cached_property
    def started_at(self) -> dt.datetime | None:
        """Since when its containers run; where none does any more, when the first of them began."""
        return get_backend(self.main["kind"]).read_start(self._sight)

    @functools.cached_property
    def stopped_at(self) -> dt.datetime | None:
        """When its last container ended, else when it did; ``None`` where neither is known."""
        return get_backend(self.main["kind"]).read_stop(self._sight)

    @functools.cached_property
    def _sight(self) -> Sight:
        return Sight(self.main, self.pods, self.workload, self.warnings)


@dataclass(frozen=True)
class Membership:
    """The course that a week job is part of; without one, why there is none.

    While a course cannot be read, nothing is started and running steps are kept: a typing error must not stop a class.
    """

    roster: Roster | None
    why_not: str = ""
    is_readable: bool = True


@dataclass(frozen=True)
class Scene:
    """The observed state of a week job.

    ``weekjob`` and ``unit`` are ``None`` where the end is decided already, and where the specification cannot be run
    (``fault`` says why). ``left_pods`` names, by step, a pod that still runs although its child was deleted. ``ends``
    are the times at which attempts reported their ends. ``budget`` is how the student's GPU hours stand.
    ``is_mended``: it ended before any step ran, and its specification was changed since. ``awaited`` says which earlier
    week jobs it waits for before its first step; empty for none.
    """

    document: dict[str, Any]
    now: dt.datetime
    membership: Membership
    children: Sequence[Child] = ()
    left_pods: Mapping[str, str] = field(default_factory=dict)
    previous: WeekJobStatus | None = None
    weekjob: WeekJob | None = None
    unit: ResolvedUnit | None = None
    fault: ConfigError | None = None
    is_mended: bool = False
    awaited: str = ""
    steps: Mapping[str, ObservedStep] = field(default_factory=dict)
    ends: Mapping[tuple[str, int], dt.datetime] = field(default_factory=dict)
    budget: BudgetState = field(default_factory=BudgetState)

    @property
    def uid(self) -> str:
        """Uid of the week job."""
        return str(self.document["metadata"]["uid"])

    @property
    def namespace(self) -> str:
        """The student's namespace."""
        return str(self.document["metadata"]["namespace"])

    @property
    def roster(self) -> Roster | None:
        """The course, where there is one that can be read."""
        return self.membership.roster

    @property
    def is_being_deleted(self) -> bool:
        """Whether the week job is being deleted."""
        return bool(self.document["metadata"].get("deletionTimestamp"))

    @property
    def is_over(self) -> bool:
        """Whether the status says that the week job ended: nothing of it is planned any more."""
        return self.previous is not None and self.previous.phase.is_terminal

    @functools.cached_property
    def current_uids(self) -> frozenset[str]:
        """Uids of the children that are the attempts at which their steps are."""
        attempts = {(name, step.attempt) for name, step in self.steps.items()}
        return frozenset(child.uid for child in self.children if (child.step, child.attempt) in attempts)

    @property
    def created_at(self) -> dt.datetime:
        """When the week job was made."""
        return read_time(self.document["metadata"]["creationTimestamp"]) or self.now

    @property
    def ended_at(self) -> dt.datetime | None:
        """When the week job ended, as its status says."""
        return self.previous.ended_at if self.previous is not None and self.is_over else None
