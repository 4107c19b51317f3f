"""The observer: gathers the state of a week job from the copy of the cluster and from what the controller keeps."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from practicum_controller.accounts import Accounts
from practicum_controller.backends import BACKENDS, get_backend
from practicum_controller.backends.backend import Document
from practicum_controller.backends.pod_status import is_pod_alive
from practicum_controller.documents import read_status
from practicum_controller.families import Key
from practicum_controller.family import Family, get_attempt
from practicum_controller.foundations import explain_waiting
from practicum_controller.places import Places
from practicum_controller.reports import Reports
from practicum_controller.rosters import Rosters
from practicum_controller.scene import Child, Membership, Scene
from practicum_controller.specifications import Specifications
from practicum_controller.steps import observe_steps
from practicum_controller.store import Store
from practicum_core import labels
from practicum_core.errors import ConfigError
from practicum_core.resolve import ResolvedUnit


class Observer:
    """Reads the state of week jobs.

    Args:
        store: What the cluster looks like.
        reports: What stages reported.
        places: Places in queues.
        accounts: What was used.
    """

    def __init__(self, store: Store, reports: Reports, places: Places, accounts: Accounts) -> None:
        self._store = store
        self._reports = reports
        self._places = places
        self._accounts = accounts
        self._rosters = Rosters()
        self._specifications = Specifications()

    def observe_week_job(self, key: Key, now: dt.datetime) -> Scene | None:
        """Return a week job as it is now; ``None`` where it is gone."""
        document = self._store.week_jobs.get(key)
        if document is None:
            return None
        uid, home = document["metadata"]["uid"], key[0]
        family, course = self._store.get_family(uid), self._store.get_course(home)
        membership = self._find_membership(course, home)
        # Objects with these labels in other namespaces are not the controller's.
        children = list_children(family) if home in self._store.namespaces else []
        scene = Scene(document, now, membership, children, _find_left_pods(family, children))
        previous = read_status(document)
        if previous is None or not previous.phase.is_terminal:
            previous = self._reports.get_end(uid) or previous
        scene = replace(scene, previous=previous)
        scene = replace(scene, is_mended=_is_mended(scene))
        if scene.is_being_deleted or scene.is_over:
            return scene
        try:
            wanted = self._specifications.read(document)
        except ConfigError as error:
            return replace(scene, fault=error)
        reports = self._reports.get(uid)
        return replace(
            scene,
            weekjob=wanted.weekjob,
            unit=wanted.unit,
            steps=observe_steps(wanted.unit.unit, scene, reports, self._places.get()),
            ends={attempt: kept.received_at for attempt, kept in reports.items() if kept.report.is_final},
            budget=self._accounts.read_budget(membership.roster, wanted.weekjob, now),
            awaited=self._explain_waiting(key, scene, wanted.unit),
        )

    def _explain_waiting(self, key: Key, scene: Scene, unit: ResolvedUnit) -> str:
        is_started = scene.previous is not None and scene.previous.start_time is not None
        if is_started or scene.children:
            return ""
        return explain_waiting(scene.document, unit, self._store.list_neighbours(key))

    def _find_membership(self, course: dict[str, Any] | None, home: str) -> Membership:
        if course is None:
            why = f"namespace {home} belongs to no course: ask the teacher to add it to the course's students"
            return Membership(None, why)
        name = course["metadata"]["name"]
        try:
            roster = self._rosters.read(course)
        except ConfigError as error:
            why = f"course {name} cannot be read, the teacher must correct it: {error.detail}"
            return Membership(None, why, is_readable=False)
        if home not in roster.students:
            why = f"namespace {home} is no longer among the students of course {name}: ask the teacher"
            return Membership(None, why)
        return Membership(roster)


def _is_mended(scene: Scene) -> bool:
    """Whether a week job failed before it started, and was given another specification since."""
    previous, generation = scene.previous, scene.document["metadata"].get("generation")
    if previous is None or not scene.is_over or scene.is_being_deleted or previous.start_time is not None:
        return False
    seen = previous.observed_generation
    return seen is not None and generation is not None and seen < generation


def list_children(family: Family) -> list[Child]:
    """Return the children of a week job, each with its objects, its own pods and what Kueue queues for it."""
    objects, warnings = list(family.children.values()), list(family.warnings.values())
    children: list[Child] = []
    for main in objects:
        if main["kind"] not in BACKENDS:
            continue
        backend = get_backend(main["kind"])
        beside = [one for resource in backend.resources[1:] for one in objects if _is_beside(one, main, resource.kind)]
        pods = [pod for pod in family.pods.values() if backend.is_pod_of(pod, main)]
        queued = {one["metadata"]["uid"] for one in (main, *pods)}
        workloads = [one for one in family.workloads.values() if not queued.isdisjoint(one.get("owners", ()))]
        children.append(Child((main, *beside), pods, workloads, warnings))
    return children


def _is_beside(document: Document, main: Document, kind: str) -> bool:
    """Whether an object is of the same attempt of the same step as a main object, and of the kind that goes with it."""
    steps = {one["metadata"].get("labels", {}).get(labels.STEP) for one in (document, main)}
    return document["kind"] == kind and len(steps) == 1 and get_attempt(document) == get_attempt(main)


def _find_left_pods(family: Family, children: Iterable[Child]) -> dict[str, str]:
    """Return the name of a pod by step, where pods live whose child was deleted."""
    owned = {pod["metadata"]["uid"] for child in children for pod in child.pods}
    return {
        pod["metadata"].get("labels", {}).get(labels.STEP, ""): pod["metadata"]["name"]
        for pod in family.pods.values()
        if is_pod_alive(pod) and pod["metadata"]["uid"] not in owned
    }
