"""What the controller's copy of the cluster lets through."""

from __future__ import annotations

import pytest

from practicum_controller.store import Store
from practicum_core import labels

UID = "0a1b2c3d-0000-0000-0000-000000000001"


def build_pod(namespace):
    marks = labels.build_child_labels("week-03", UID, "sft", "sft", 1)
    metadata = {"name": "sft-0", "namespace": namespace, "uid": "p1", "resourceVersion": "2", "labels": marks}
    return {"kind": "Pod", "metadata": metadata, "spec": {}, "status": {}}


def build_store():
    """Return a store with a course's namespace and a week job in it."""
    store = Store()
    metadata = {"name": "week-03", "namespace": "student-01", "uid": UID, "resourceVersion": "1"}
    home = {"name": "student-01", "uid": "ns", "labels": {labels.COURSE: "llm"}, "resourceVersion": "1"}
    store.put("Namespace", {"kind": "Namespace", "metadata": home})
    store.put("WeekJob", {"kind": "WeekJob", "metadata": metadata, "spec": {"unit": "sft"}})
    return store


def build_job(namespace="student-01", owner=UID, **marks):
    told = {labels.WEEK_JOB_UID: UID, labels.STEP: "sft", labels.ATTEMPT: "1", labels.SLICES: "0"} | marks
    metadata = {"name": "sft", "namespace": namespace, "uid": "j1", "labels": told, "resourceVersion": "2"}
    metadata["ownerReferences"] = [{"kind": "WeekJob", "uid": owner}] if owner else []
    return {"kind": "Job", "metadata": metadata, "spec": {"suspend": True}, "status": {}}


STRANGERS = {
    "of another namespace": build_job("kube-system"),
    "without an owner": build_job(owner=None),
    "of another owner": build_job(owner="another"),
    "of a week job that is none": build_job(owner="abc", **{labels.WEEK_JOB_UID: "abc"}),
    "with words for slices": build_job(**{labels.SLICES: "two"}),
    "with words for its attempt": build_job(**{labels.ATTEMPT: "first"}),
    "with more slices than there are": build_job(**{labels.SLICES: "9" * 60}),
    "without a step": build_job(**{labels.STEP: ""}),
}


@pytest.mark.parametrize("job", STRANGERS.values(), ids=STRANGERS.keys())
def test_a_stranger_that_bears_our_labels_is_neither_counted_nor_deleted(job):
    store = build_store()
    store.put("Job", job)
    assert (store.list_child_uids(), store.list_gpu_children()) == (set(), set())
    store.drop("WeekJob", store.week_jobs["student-01", "week-03"])
    assert store.list_orphans() == []


def test_our_child_is_counted_whatever_becomes_of_its_labels():
    store = build_store()
    store.put("Job", build_job(**{labels.SLICES: "2"}))
    assert store.list_gpu_children() == {"j1"}
    changed = build_job(owner=None, **{labels.SLICES: "two"})
    changed["metadata"]["resourceVersion"] = "3"
    store.put("Job", changed)
    assert (store.list_child_uids(), store.list_gpu_children()) == ({"j1"}, set())
    # Its week job went and left it: it was ours, so it is deleted.
    store.drop("WeekJob", store.week_jobs["student-01", "week-03"])
    assert [one["metadata"]["uid"] for one in store.list_orphans()] == ["j1"]


def test_a_child_that_comes_before_its_week_job_waits_for_it():
    store = Store()
    store.put("Job", build_job())
    store.put("Pod", build_pod("student-01"))
    assert store.list_child_uids() == set()
    metadata = {"name": "week-03", "namespace": "student-01", "uid": UID, "resourceVersion": "1"}
    store.put("WeekJob", {"kind": "WeekJob", "metadata": metadata, "spec": {"unit": "sft"}})
    assert (store.list_child_uids(), set(store.get_family(UID).pods)) == ({"j1"}, {"p1"})


@pytest.mark.parametrize(("namespace", "is_believed"), [("student-01", True), ("student-02", False)])
def test_a_pod_with_the_marks_of_a_stage_is_one_where_its_week_job_is(namespace, is_believed):
    store = build_store()
    store.put("Pod", build_pod(namespace))
    assert (store.find_pod(namespace, "sft-0", "p1") is not None) == is_believed


@pytest.mark.parametrize(("namespace", "num_pods"), [("student-01", 1), ("student-02", 0)])
def test_a_family_lives_where_its_week_job_does(namespace, num_pods):
    store = build_store()
    store.put("Pod", build_pod(namespace))
    assert len(store.get_family(UID).pods) == num_pods


def test_what_changes_after_its_owner_went_goes_for_good():
    store = build_store()
    job = build_job()
    workload = {"kind": "Workload", "metadata": {"name": "w", "namespace": "student-01", "uid": "w1"}}
    workload["metadata"]["ownerReferences"] = [{"uid": "j1"}]
    store.put("Job", job)
    store.put("Workload", workload)
    store.drop("Job", job)
    store.put("Workload", workload | {"status": {"conditions": [{"type": "Finished"}]}})
    assert list(store.get_family(UID).workloads) == ["w1"]
    store.drop("Workload", workload)
    # Nothing waits for an owner that never comes back.
    store.put("Job", job | {"metadata": job["metadata"] | {"resourceVersion": "9"}})
    assert store.get_family(UID).workloads == {}


@pytest.mark.parametrize("said", ["not found", "is being deleted"])
def test_a_pod_tells_that_its_claim_is_gone(said):
    store = build_store()
    store.put("Job", build_job())
    lacking = {"type": "PodScheduled", "status": "False", "message": f'persistentvolumeclaim "workspace" {said}'}
    store.put("Pod", build_pod("student-01") | {"status": {"conditions": [lacking]}})
    assert store.list_homes_without_claim("workspace") == {"student-01"}
    assert store.list_homes_without_claim("another") == set()
