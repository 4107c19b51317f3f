"""What every kind of object that runs a step has to say of itself, and how the state of a child is told.

A new kind is one module with one class of this shape, and one row of the table in this package.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from practicum_controller.backends.request import ChildRequest
from practicum_controller.kinds import Resource
from practicum_core.errors import Reason

Document = Mapping[str, Any]


class Standing(StrEnum):
    """How far a child has come."""

    WAITING = "waiting"
    """In its queue: it holds nothing."""
    STARTING = "starting"
    """Let out of its queue; its program does not run yet."""
    RUNNING = "running"
    """Its program runs."""
    READY = "ready"
    """It is a server and answers."""
    ENDED = "ended"
    """It ended, and left no final report."""


@dataclass(frozen=True)
class ChildState:
    """How far a child has come, and what is in its way. ``restarts`` are those that the cluster made by itself."""

    standing: Standing
    reason: Reason | None = None
    message: str = ""
    restarts: int = 0


@dataclass(frozen=True)
class Sight:
    """What the cluster shows of one child: its main object, its pods, its Workload, and warnings about it."""

    main: Document
    pods: Sequence[Document] = ()
    workload: Document | None = None
    warnings: Sequence[Document] = ()


@dataclass(frozen=True)
class Needs:
    """What a child holds of the student's quota: ``num_pods`` pods of equal size. ``cpu`` and ``memory`` are of one."""

    num_pods: int
    cpu: str
    memory: str
    slices: int


class Backend(Protocol):
    """How one kind of child runs a step.

    ``resources`` are the kinds of its objects, made and deleted in this order; the first is the main object, which
    stands for the child: its uid is the child's. What a server's pod reports of its end is not the server's, while
    the child is there: the next pod goes on. ``is_scaled``: the number of its pods changes while it runs.
    """

    resources: tuple[Resource, ...]
    is_server: bool
    is_scaled: bool

    def build(self, request: ChildRequest) -> list[dict[str, Any]]:
        """Return the child's objects in the order of ``resources``."""

    def get_needs(self, request: ChildRequest) -> Needs:
        """Return what the child would hold."""

    def is_pod_of(self, pod: Document, main: Document) -> bool:
        """Whether a pod is a child's own, and not one of a child of the same name that was deleted before."""

    def read_state(self, sight: Sight) -> ChildState:
        """Return how far the child has come."""

    def read_start(self, sight: Sight) -> dt.datetime | None:
        """Return since when the child's containers run; where none does any more, when the first of them began."""

    def read_stop(self, sight: Sight) -> dt.datetime | None:
        """Return when the child's last container ended, else when the child did; ``None`` where neither is known."""
