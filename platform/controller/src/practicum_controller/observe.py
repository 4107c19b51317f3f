"""All that is known of one week job, gathered from the copy of the cluster and from what the controller keeps."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import replace

from practicum_controller.accounts import Accounts
from practicum_controller.backends import get_backend
from practicum_controller.backends.backend import Document
from practicum_controller.backends.pod_status import is_pod_alive
from practicum_controller.documents import read_status, read_week_job
from practicum_controller.history import Attempt, KeptReport
from practicum_controller.places import Places
from practicum_controller.reports import Reports
from practicum_controller.rosters import Rosters
from practicum_controller.scene import Child, Membership, Scene, get_attempt
from practicum_controller.settings import Settings
from practicum_controller.steps import StepFacts, observe_step
from practicum_controller.store import Family, Key, Store
from practicum_core import labels
from practicum_core.curriculum import get_unit
from practicum_core.errors import ConfigError
from practicum_core.plan import ObservedStep
from practicum_core.weekjob import WeekJob

_MAX_PRE_RUNNING_S = 86_400


class Observer:
    """Looks at week jobs.

    Args:
        store: What the cluster looks like.
        reports: What stages reported.
        places: Places in queues.
        accounts: What was used.
        settings: The controller's settings.
    """

    def __init__(self, store: Store, reports: Reports, places: Places, accounts: Accounts, settings: Settings) -> None:
        self._store = store
        self._reports = reports
        self._places = places
        self._accounts = accounts
        self._settings = settings
        self._rosters = Rosters()

    def observe_week_job(self, key: Key, now: dt.datetime) -> Scene | None:
        """Return a week job as it is now; ``None`` where it is gone."""
        document = self._store.week_jobs.get(key)
        if document is None:
            return None
        uid = document["metadata"]["uid"]
        family = self._store.get_family(uid)
        children = list_children(family)
        previous = read_status(document)
        if previous is None or not previous.phase.is_terminal:
            previous = self._reports.get_end(uid) or previous
        membership = self._find_membership(key[0])
        left_pods = _find_left_pods(family, children)
        scene = Scene(document, now, membership, children, left_pods, previous)
        if scene.is_being_deleted or scene.is_over:
            return scene
        try:
            weekjob = self._limit_start(read_week_job(document))
        except ConfigError as error:
            return replace(scene, fault=error)
        reports = self._reports.get(uid)
        return replace(
            scene,
            weekjob=weekjob,
            steps=self._observe_steps(weekjob, children, family, reports),
            ends={attempt: kept.received_at for attempt, kept in reports.items() if kept.report.is_final},
            over_budget=self._get_reason_over_budget(weekjob, membership, now),
        )

    def _limit_start(self, weekjob: WeekJob) -> WeekJob:
        """Bound the time that a step may take to start: it holds its GPU meanwhile."""
        wanted_s = weekjob.spec.pre_running_deadline_seconds or self._settings.pre_running_deadline_s
        limit = {"pre_running_deadline_seconds": min(wanted_s, _MAX_PRE_RUNNING_S)}
        return weekjob.model_copy(update={"spec": weekjob.spec.model_copy(update=limit)})

    def _find_membership(self, home: str) -> Membership:
        course = self._store.get_course(home)
        if course is None:
            return Membership(
                None, f"namespace {home} belongs to no course: ask the teacher to add it to the course's students"
            )
        name = course["metadata"]["name"]
        try:
            roster = self._rosters.read(course)
        except ConfigError as error:
            why = f"course {name} cannot be read, the teacher must mend it: {error.detail}"
            return Membership(None, why, is_readable=False)
        if home not in roster.students:
            return Membership(
                None, f"namespace {home} is no longer among the students of course {name}: ask the teacher"
            )
        return Membership(roster)

    def _get_reason_over_budget(self, weekjob: WeekJob, membership: Membership, now: dt.datetime) -> str | None:
        if membership.roster is None or not weekjob.spec.resources.gpu.slices:
            return None
        return self._accounts.get_reason_over_budget(membership.roster, weekjob.metadata.namespace, now)

    def _observe_steps(
        self,
        weekjob: WeekJob,
        children: Iterable[Child],
        family: Family,
        reports: Mapping[Attempt, KeptReport],
    ) -> dict[str, ObservedStep]:
        places = self._places.get()
        observed: dict[str, ObservedStep] = {}
        for step in get_unit(weekjob.spec.unit, weekjob.spec.variant).steps:
            facts = StepFacts(
                [child for child in children if child.step == step.name],
                list(family.workloads.values()),
                list(family.warnings.values()),
                {attempt.number: kept.report for attempt, kept in reports.items() if attempt.step == step.name},
                places,
            )
            seen = observe_step(facts)
            if seen is not None:
                observed[step.name] = seen
        return observed


def list_children(family: Family) -> list[Child]:
    """Return the children of a week job, each with its objects and its own pods."""
    objects = list(family.children.values())
    children: list[Child] = []
    for main in objects:
        backend = get_backend(main["kind"])
        if main["kind"] != backend.resources[0].kind:
            continue
        beside = [one for resource in backend.resources[1:] for one in objects if _is_beside(one, main, resource.kind)]
        pods = [pod for pod in family.pods.values() if backend.is_pod_of(pod, main)]
        children.append(Child((main, *beside), pods))
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
