"""Decides what state a step is in from what the cluster shows of it. Pure: documents in, observation out.

Truth is read as deep as it lies: a Job that is "active" may hold a pod whose image cannot be pulled, and that is what
the student is told.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from practicum_controller.documents import read_time
from practicum_core import labels
from practicum_core.errors import Reason
from practicum_core.phases import Phase
from practicum_core.plan import ObservedStep
from practicum_core.reports import StepReport
from practicum_core.weekjob import QueueStatus

Document = Mapping[str, Any]
_IMAGE_FAULTS = frozenset({"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"})
_CONTAINER_FAULTS = frozenset({"CreateContainerConfigError", "CreateContainerError", "RunContainerError"})
# Such a container is said to have started in 1970.
_NEVER_RAN = frozenset({"StartError", "ContainerCannotRun"})
_QUOTA_TEXT = "exceeded quota"
_KILLED = 137
_JOB_UID, _RAY_CLUSTER = "batch.kubernetes.io/controller-uid", "ray.io/cluster"


@dataclass(frozen=True)
class QueuePlace:
    """Where a child stands in its queue. ``position`` counts from 0."""

    position: int
    eta_s: float | None = None


@dataclass(frozen=True)
class StepFacts:
    """Everything that is known of one step of one week job."""

    children: Sequence[Document] = ()
    pods: Sequence[Document] = ()
    workloads: Sequence[Document] = ()
    warnings: Sequence[Document] = ()
    reports: Mapping[int, StepReport] = field(default_factory=dict)
    places: Mapping[str, QueuePlace] = field(default_factory=dict)


def observe_step(facts: StepFacts) -> ObservedStep | None:
    """Return the state of a step; ``None`` where it was never started."""
    child = max(facts.children, key=get_attempt, default=None)
    last = max(facts.reports, default=0)
    attempt = max(get_attempt(child) if child else 0, last)
    report = facts.reports.get(attempt)
    if report is not None and report.is_final:
        return _read_final(report, child)
    if child is None or get_attempt(child) < attempt:
        # The attempt's object is gone and it never said how it ended: stopped, or deleted by a person.
        return ObservedStep(Phase.SUSPENDED, attempt) if attempt else None
    return _observe_child(child, facts, report)


def get_attempt(child: Document) -> int:
    """Return which attempt of its step a child is."""
    return int(child["metadata"].get("labels", {}).get(labels.ATTEMPT, "1"))


def get_slices(child: Document) -> int:
    """Return how many GPU slices a child asks for."""
    return int(child["metadata"].get("labels", {}).get(labels.SLICES, "0"))


def _read_final(report: StepReport, child: Document | None) -> ObservedStep:
    return ObservedStep(
        Phase.SUCCEEDED if report.outcome == "succeeded" else Phase.FAILED,
        report.attempt,
        child=describe_child(child) if child else None,
        reason=report.reason,
        message=report.message,
        fix=report.fix,
        progress=1.0 if report.outcome == "succeeded" else report.progress,
        duration_s=report.duration_s,
        metrics=tuple(report.metrics),
    )


def is_pod_of(pod: Document, child: Document) -> bool:
    """Whether a pod is a child's own, and not one of a child of the same name that was deleted before."""
    marks, own = pod["metadata"].get("labels", {}), child["metadata"].get("labels", {})
    if marks.get(labels.STEP) != own.get(labels.STEP) or marks.get(labels.ATTEMPT) != str(get_attempt(child)):
        return False
    if child["kind"] == "RayJob":
        cluster = child.get("status", {}).get("rayClusterName")
        return not cluster or marks.get(_RAY_CLUSTER, cluster) == cluster
    uid = child["metadata"]["uid"]
    return bool(marks.get(_JOB_UID, uid) == uid)


def is_pod_alive(pod: Document) -> bool:
    """Whether containers of a pod may still write into the workspace."""
    return pod.get("status", {}).get("phase") in {"Pending", "Running"}


def is_pod_running(pod: Document) -> bool:
    """Whether a container of a pod that has not ended and is not being deleted runs."""
    if pod["metadata"].get("deletionTimestamp") or pod.get("status", {}).get("phase") in {"Succeeded", "Failed"}:
        return False
    states = [container.get("state", {}) for container in pod.get("status", {}).get("containerStatuses", ())]
    return any("running" in state for state in states)


def read_start(child: Document, pods: Iterable[Document]) -> dt.datetime | None:
    """Return since when a child's containers run; where none does any more, when the first of them began.

    >>> state = {"running": {"startedAt": "2026-01-02T03:04:05Z"}}
    >>> pod = {"metadata": {"labels": {labels.ATTEMPT: "1"}}, "status": {"containerStatuses": [{"state": state}]}}
    >>> read_start({"kind": "Job", "metadata": {"uid": "c1"}}, [pod]).isoformat()
    '2026-01-02T03:04:05+00:00'
    """
    own = [pod for pod in pods if is_pod_of(pod, child)]
    running = _list_times(filter(is_pod_running, own), "running", "startedAt")
    status = child.get("status", {})
    # The pods of a Ray cluster go with it; of a job that was never submitted there is no status.
    since = read_time(status.get("startTime")) if status.get("jobStatus") and status.get("endTime") else None
    return min(running or _list_times(own, "terminated", "startedAt"), default=since)


def read_stop(child: Document, pods: Iterable[Document]) -> dt.datetime | None:
    """Return when a child's last container ended, else when the child did; ``None`` where neither is known."""
    status = child.get("status", {})
    if status.get("endTime"):
        # A Ray cluster outlives its job, and a worker may end before it.
        return read_time(status["endTime"])
    own = [pod for pod in pods if is_pod_of(pod, child)]
    if any(is_pod_running(pod) for pod in own):
        return None
    return max(_list_times(own, "terminated", "finishedAt"), default=read_time(status.get("completionTime")))


def _list_times(pods: Iterable[Document], state: str, name: str) -> list[dt.datetime]:
    statuses = [one for pod in pods for one in pod.get("status", {}).get("containerStatuses", ())]
    states = [one.get("state", {}).get(state, {}) for one in statuses]
    times = [read_time(one.get(name)) for one in states if one.get("reason") not in _NEVER_RAN]
    return [time for time in times if time is not None]


def describe_child(child: Document) -> str:
    """Return ``Kind/name``."""
    return f"{child['kind']}/{child['metadata']['name']}"


def _observe_child(child: Document, facts: StepFacts, report: StepReport | None) -> ObservedStep:
    uid = child["metadata"]["uid"]
    attempt = get_attempt(child)
    pods = [pod for pod in facts.pods if is_pod_of(pod, child)]
    workload = next((one for one in facts.workloads if uid in one.get("owners", ())), None)
    phase, reason, message = read_end(child, pods) or read_wait(child, pods, workload, facts.warnings)
    return ObservedStep(
        phase,
        attempt,
        child=describe_child(child),
        reason=reason,
        message=message if phase is not Phase.RUNNING else (report.message if report else ""),
        progress=report.progress if report else None,
        eta_s=report.eta_s if report else None,
        admitted_at=_read_admission(child, pods, workload),
        queue=_read_queue(facts.places.get(uid), message) if phase is Phase.QUEUED else None,
    )


State = tuple[Phase, Reason | None, str]


def read_end(child: Document, pods: Sequence[Document]) -> State | None:
    """Say how a child ended that left no final report; ``None`` while it has not ended."""
    status = child.get("status", {})
    if child["kind"] == "RayJob":
        if status.get("jobDeploymentStatus") not in {"Complete", "Failed", "ValidationFailed"}:
            return None
        said = status.get("message") or status.get("reason") or f"Ray job {status.get('jobStatus', 'ended')}"
        return explain_pods(pods) or (Phase.FAILED, Reason.STAGE_CRASHED, str(said))
    ended = _find_condition(child, "Failed") or _find_condition(child, "Complete")
    if ended is None:
        return None
    said = f"ended without a record ({ended.get('message') or ended.get('reason') or ended['type']})"
    return explain_pods(pods) or (Phase.FAILED, Reason.STAGE_CRASHED, said)


def explain_pods(pods: Iterable[Document]) -> State | None:
    """Name why pods of an ended child failed, where a pod shows it."""
    for pod in pods:
        status = pod.get("status", {})
        if status.get("reason") == "Evicted" or _find_condition(pod, "DisruptionTarget"):
            return Phase.FAILED, Reason.EVICTED, str(status.get("message") or "the node took the pod away")
        for container in status.get("containerStatuses", ()):
            ended = container.get("state", {}).get("terminated") or container.get("lastState", {}).get("terminated")
            if ended and ended.get("reason") == "OOMKilled":
                return (
                    Phase.FAILED,
                    Reason.OUT_OF_MEMORY,
                    "killed for memory: ask for more, or use a smaller batch_size",
                )
            if ended and ended.get("exitCode") == _KILLED:
                return Phase.FAILED, Reason.STAGE_CRASHED, "the stage was killed (exit code 137)"
    return None


def read_wait(
    child: Document, pods: Sequence[Document], workload: Document | None, warnings: Sequence[Document]
) -> State:
    """Say why a child that has not ended does not run, or that it does."""
    if child["spec"].get("suspend"):
        return _read_queue_wait(workload)
    faults = [state for pod in pods if (state := explain_waiting_pod(pod))]
    if faults:
        return faults[0]
    is_running = any(is_pod_running(pod) for pod in pods)
    if child["kind"] == "RayJob":
        # The cluster runs before the stage does: the operator submits it when the head answers.
        is_running = is_running and child.get("status", {}).get("jobStatus") == "RUNNING"
    if is_running:
        return Phase.RUNNING, None, ""
    refusal = next((one for one in warnings if one["involvedObject"].get("uid") == child["metadata"]["uid"]), None)
    # A Job has one pod; of a RayJob the head may be there while its workers are refused.
    if refusal is not None and (not pods or child["kind"] == "RayJob"):
        text = str(refusal.get("message", ""))
        reason = Reason.QUOTA_EXCEEDED if _QUOTA_TEXT in text else Reason.POD_REFUSED
        return Phase.INITIALIZING, reason, text
    return Phase.INITIALIZING, None, "pods are being made" if not pods else "containers are being started"


def explain_waiting_pod(pod: Document) -> State | None:
    """Say what keeps a pod from running, where something is wrong."""
    status = pod.get("status", {})
    for container in (*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())):
        waiting = container.get("state", {}).get("waiting", {})
        said = f"{waiting.get('reason', '')}: {waiting.get('message', '')}".rstrip(": ")
        if waiting.get("reason") in _IMAGE_FAULTS:
            return Phase.INITIALIZING, Reason.IMAGE_PULL_FAILED, said
        if waiting.get("reason") in _CONTAINER_FAULTS:
            return Phase.INITIALIZING, Reason.POD_REFUSED, said
    scheduled = next((one for one in status.get("conditions", ()) if one["type"] == "PodScheduled"), None)
    if scheduled and scheduled["status"] == "False" and scheduled.get("reason") == "Unschedulable":
        return Phase.INITIALIZING, Reason.UNSCHEDULABLE, str(scheduled.get("message", ""))
    return None


def _read_queue_wait(workload: Document | None) -> State:
    if workload is None:
        return Phase.QUEUED, Reason.QUEUED, "waits for the queue to take note of it"
    evicted = _find_condition(workload, "Evicted")
    reserved = next((one for one in workload["status"]["conditions"] if one["type"] == "QuotaReserved"), None)
    said = str(reserved.get("message", "")) if reserved and reserved["status"] != "True" else "waits for quota"
    if evicted is not None and evicted.get("reason") == "Preempted":
        return Phase.QUEUED, Reason.PREEMPTED, str(evicted.get("message") or said)
    return Phase.QUEUED, Reason.QUEUED, said


def _read_queue(place: QueuePlace | None, message: str) -> QueueStatus:
    if place is None:
        return QueueStatus(message=message)
    return QueueStatus(position=round_position(place.position), message=message, eta_seconds=place.eta_s)


def round_position(position: int) -> int:
    """Round a place in a long queue, so that one admission does not change every status behind it.

    >>> [round_position(place) for place in (3, 27, 345, 4567)]
    [3, 20, 300, 4000]
    """
    step = 1
    while position >= 20 * step:
        step *= 10
    return position - position % step


def _read_admission(child: Document, pods: Sequence[Document], workload: Document | None) -> dt.datetime | None:
    """Return when the child was let out of its queue, or its newest pod was made; in no queue, when it was made.

    A pod that was made anew, since its node went, has the same time to start as the first. A child may be seen to run
    before its Workload is seen to be admitted: then no time is known.
    """
    admitted = _find_condition(workload, "Admitted") if workload else None
    if workload is not None and admitted is None:
        return None
    since = admitted.get("lastTransitionTime") if admitted else child["metadata"].get("creationTimestamp")
    made = [pod["metadata"].get("creationTimestamp") for pod in pods]
    times = [dt.datetime.fromisoformat(text) for text in (since, *made) if text]
    return max(times, default=None)


def _find_condition(document: Document | None, kind: str) -> Document | None:
    conditions = (document or {}).get("status", {}).get("conditions") or ()
    return next((one for one in conditions if one["type"] == kind and one["status"] == "True"), None)
