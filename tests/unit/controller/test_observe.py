"""What the cluster shows of a step, as a table: documents in, phase, reason and sentence out."""

from __future__ import annotations

import datetime as dt

import pytest

from practicum_controller.excerpt import trim
from practicum_controller.family import Family
from practicum_controller.observe import list_children
from practicum_controller.places import QueuePlace
from practicum_controller.steps import StepFacts, observe_step, round_position
from practicum_core import labels
from practicum_core.errors import Reason
from practicum_core.phases import Phase
from practicum_core.reports import StepReport

MADE = "2026-01-02T03:04:05Z"


def build_facts(children=(), pods=(), workloads=(), warnings=(), **rest):
    """Return the facts of a step whose objects these are."""
    members = [dict(enumerate(one)) for one in (children, pods, workloads, warnings)]
    family = Family(**dict(zip(("children", "pods", "workloads", "warnings"), members, strict=True)))
    return StepFacts(list_children(family), **rest)


def build_child(kind="Job", attempt=1, *, suspend=False, **status):
    meta = {"name": "w-sft-1", "uid": "c1", "labels": {labels.STEP: "sft", labels.ATTEMPT: str(attempt)}}
    return {
        "kind": kind,
        "metadata": meta | {"creationTimestamp": MADE},
        "spec": {"suspend": suspend},
        "status": status,
    }


def build_pod(attempt=1, *, state=None, conditions=(), **status):
    containers = [{"name": "stage", "state": state}] if state else []
    return {
        "kind": "Pod",
        "metadata": {"name": "p", "uid": "p1", "labels": {labels.STEP: "sft", labels.ATTEMPT: str(attempt)}},
        "status": {"containerStatuses": containers, "conditions": list(conditions), **status},
    }


def build_workload(*conditions):
    return {"kind": "Workload", "metadata": {"uid": "w1"}, "owners": ["c1"], "status": {"conditions": list(conditions)}}


def condition(kind, status="True", **rest):
    return {"type": kind, "status": status, "lastTransitionTime": MADE, **rest}


def waiting(reason):
    return build_pod(state={"waiting": {"reason": reason, "message": "why"}})


RUNNING = build_pod(state={"running": {}})
NO_QUOTA = build_workload(condition("QuotaReserved", "False", message="1 more needed"))
PREEMPTED = build_workload(condition("Evicted", reason="Preempted", message="for a higher priority"))
REFUSED = {"kind": "Event", "involvedObject": {"uid": "c1"}, "message": "pods is forbidden: exceeded quota: practicum"}
DENIED = {"kind": "Event", "involvedObject": {"uid": "c1"}, "message": "violates PodSecurity"}
FAILED = {"conditions": [condition("Failed", message="BackoffLimitExceeded")]}
UNMOUNTED = {"kind": "Event", "involvedObject": {"uid": "p1"}, "reason": "FailedMount", "message": "no such volume"}
TABLE = {
    "queued": ((build_child(suspend=True), [], NO_QUOTA, []), Phase.QUEUED, Reason.QUEUED, "1 more needed"),
    "not seen by the queue": ((build_child(suspend=True), [], None, []), Phase.QUEUED, Reason.QUEUED, "take note"),
    "preempted": ((build_child(suspend=True), [], PREEMPTED, []), Phase.QUEUED, Reason.PREEMPTED, "higher priority"),
    "no pod yet": ((build_child(), [], None, []), Phase.INITIALIZING, None, "pods are being made"),
    "quota": ((build_child(), [], None, [REFUSED]), Phase.INITIALIZING, Reason.QUOTA_EXCEEDED, "exceeded quota"),
    "quota, of workers": (
        (build_child("RayJob", jobDeploymentStatus="Initializing"), [RUNNING], None, [REFUSED]),
        Phase.INITIALIZING,
        Reason.QUOTA_EXCEEDED,
        "exceeded quota",
    ),
    "no volume": (
        (build_child(), [waiting("ContainerCreating")], None, [UNMOUNTED]),
        Phase.INITIALIZING,
        Reason.POD_REFUSED,
        "FailedMount: no such volume",
    ),
    "a volume that came": ((build_child(), [RUNNING], None, [UNMOUNTED]), Phase.RUNNING, None, ""),
    "no operator": ((build_child("RayJob"), [], None, []), Phase.INITIALIZING, None, "waits for the operator KubeRay"),
    "no operator any more": (
        (build_child("RayJob", jobDeploymentStatus="Suspended"), [], None, []),
        Phase.INITIALIZING,
        None,
        "waits for the operator KubeRay",
    ),
    "policy": ((build_child(), [], None, [DENIED]), Phase.INITIALIZING, Reason.POD_REFUSED, "PodSecurity"),
    "image": (
        (build_child(), [waiting("ImagePullBackOff")], None, []),
        Phase.INITIALIZING,
        Reason.IMAGE_PULL_FAILED,
        "ImagePullBackOff: why",
    ),
    "config": (
        (build_child(), [waiting("CreateContainerConfigError")], None, []),
        Phase.INITIALIZING,
        Reason.POD_REFUSED,
        "why",
    ),
    "no node": (
        (
            build_child(),
            [build_pod(conditions=[condition("PodScheduled", "False", reason="Unschedulable", message="0/1 nodes")])],
            None,
            [],
        ),
        Phase.INITIALIZING,
        Reason.UNSCHEDULABLE,
        "0/1 nodes",
    ),
    "runs": ((build_child(), [RUNNING], None, []), Phase.RUNNING, None, ""),
    "another attempt's pod": ((build_child(attempt=2), [RUNNING], None, []), Phase.INITIALIZING, None, "pods"),
    "ray starts": (
        (build_child("RayJob", jobDeploymentStatus="Initializing"), [RUNNING], None, []),
        Phase.INITIALIZING,
        None,
        "containers",
    ),
    "ray runs": (
        (build_child("RayJob", jobDeploymentStatus="Running", jobStatus="RUNNING"), [RUNNING], None, []),
        Phase.RUNNING,
        None,
        "",
    ),
    "ray is not submitted": (
        (build_child("RayJob", jobDeploymentStatus="Running"), [RUNNING], None, []),
        Phase.INITIALIZING,
        None,
        "containers",
    ),
    "ray refused": (
        (build_child("RayJob", jobDeploymentStatus="ValidationFailed", message="bad name"), [], None, []),
        Phase.FAILED,
        Reason.STAGE_CRASHED,
        "bad name",
    ),
    "memory": (
        (build_child(**FAILED), [build_pod(state={"terminated": {"reason": "OOMKilled", "exitCode": 137}})], None, []),
        Phase.FAILED,
        Reason.OUT_OF_MEMORY,
        "memory",
    ),
    "evicted": (
        (build_child(**FAILED), [build_pod(reason="Evicted", message="low on disk")], None, []),
        Phase.FAILED,
        Reason.EVICTED,
        "low on disk",
    ),
    "no record": (
        (build_child(conditions=[condition("Complete")]), [], None, []),
        Phase.FAILED,
        Reason.STAGE_CRASHED,
        "without a record",
    ),
}


@pytest.mark.parametrize(("facts", "phase", "reason", "part"), TABLE.values(), ids=TABLE.keys())
def test_observe_step(facts, phase, reason, part):
    child, pods, workload, warnings = facts
    seen = observe_step(build_facts([child], pods, [workload] if workload else [], warnings))
    assert (seen.phase, seen.reason) == (phase, reason)
    assert part in seen.message


def build_report(outcome="succeeded", attempt=1, **rest):
    return StepReport(uid="u", step="sft", attempt=attempt, outcome=outcome, **rest)


def test_a_final_report_counts_more_than_the_child():
    seen = observe_step(build_facts([build_child()], [RUNNING], reports={1: build_report(duration_s=3.0)}))
    assert (seen.phase, seen.progress, seen.duration_s) == (Phase.SUCCEEDED, 1.0, 3.0)


def test_a_finished_step_stays_finished_when_its_child_is_gone():
    assert observe_step(build_facts(reports={1: build_report()})).phase is Phase.SUCCEEDED


def test_a_child_that_vanished_without_an_end_was_stopped():
    seen = observe_step(build_facts(reports={2: build_report("running", 2, progress=0.4)}))
    assert (seen.phase, seen.attempt) == (Phase.SUSPENDED, 2)


def test_progress_of_the_running_attempt_is_shown():
    seen = observe_step(build_facts([build_child()], [RUNNING], reports={1: build_report("running", progress=0.4)}))
    assert (seen.phase, seen.progress) == (Phase.RUNNING, 0.4)


def test_a_later_child_hides_an_earlier_failure():
    facts = build_facts([build_child(attempt=1, **FAILED), build_child(attempt=2)], reports={1: build_report("failed")})
    assert (observe_step(facts).phase, observe_step(facts).attempt) == (Phase.INITIALIZING, 2)


def test_nothing_started_is_nothing_seen():
    assert observe_step(build_facts()) is None


def test_place_in_the_queue():
    facts = build_facts([build_child(suspend=True)], workloads=[NO_QUOTA], places={"c1": QueuePlace(31, 120.0)})
    queue = observe_step(facts).queue
    assert (queue.position, queue.eta_seconds, queue.message) == (30, 120.0, "1 more needed")


def test_rounding_never_moves_a_place_forward_past_another():
    rounded = [round_position(place) for place in range(5000)]
    assert rounded == sorted(rounded)
    assert rounded[:20] == list(range(20))


LATER = "2026-01-02T04:04:05Z"


def build_late_pod():
    pod = build_pod()
    return pod | {"metadata": pod["metadata"] | {"creationTimestamp": LATER}}


@pytest.mark.parametrize(
    ("pods", "workload", "since"),
    [
        pytest.param([], build_workload(condition("Admitted")), MADE, id="since it was let out"),
        pytest.param(
            [build_late_pod()], build_workload(condition("Admitted")), LATER, id="since its pod was made anew"
        ),
        pytest.param([], NO_QUOTA, None, id="not seen to be admitted yet"),
        pytest.param([], None, MADE, id="in no queue"),
    ],
)
def test_the_time_to_start_is_counted_from(pods, workload, since):
    seen = observe_step(build_facts([build_child()], pods, [workload] if workload else []))
    assert seen.admitted_at == (dt.datetime.fromisoformat(since) if since else None)


EARLY, LATE = "2026-01-02T04:00:00Z", "2026-01-02T05:00:00Z"
ENDED = build_pod(state={"terminated": {"finishedAt": LATE}})
BEGUN_AND_ENDED = build_pod(state={"terminated": {"startedAt": EARLY, "finishedAt": LATE}})
EPOCH = "1970-01-01T00:00:00Z"
NEVER_RAN = build_pod(state={"terminated": {"reason": "StartError", "startedAt": EPOCH, "finishedAt": LATE}})
STARTED = build_pod(state={"running": {"startedAt": EARLY}})


@pytest.mark.parametrize(
    ("child", "pods", "start", "stop"),
    [
        (build_child(), [], None, None),
        (build_child(), [STARTED], EARLY, None),
        (build_child(), [ENDED], None, LATE),
        (build_child(), [BEGUN_AND_ENDED], EARLY, LATE),
        (build_child(), [NEVER_RAN], None, None),
        (build_child(), [ENDED, STARTED], EARLY, None),
        (build_child(completionTime=EARLY), [], None, EARLY),
        (build_child("RayJob", endTime=EARLY), [STARTED, ENDED], EARLY, EARLY),
        (build_child("RayJob", startTime=EARLY, endTime=LATE, jobStatus="FAILED"), [], EARLY, LATE),
        (build_child("RayJob", startTime=EARLY, jobDeploymentStatus="ValidationFailed"), [], None, None),
        (build_child(attempt=2), [STARTED, ENDED], None, None),
    ],
)
def test_times_are_read_from_the_cluster(child, pods, start, stop):
    kept = trim(child)
    (seen,) = list_children(Family(children={"c1": kept}, pods=dict(enumerate(pods))))
    found = seen.started_at, seen.stopped_at
    assert found == tuple(dt.datetime.fromisoformat(text) if text else None for text in (start, stop))
