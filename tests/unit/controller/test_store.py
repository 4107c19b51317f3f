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


@pytest.mark.parametrize(("namespace", "is_believed"), [("student-01", True), ("student-02", False)])
def test_a_pod_with_the_marks_of_a_stage_is_one_where_its_week_job_is(namespace, is_believed):
    store = Store()
    metadata = {"name": "week-03", "namespace": "student-01", "uid": UID, "resourceVersion": "1"}
    store.put("WeekJob", {"kind": "WeekJob", "metadata": metadata, "spec": {"unit": "sft"}})
    store.put("Pod", build_pod(namespace))
    assert (store.find_pod(namespace, "sft-0", "p1") is not None) == is_believed


@pytest.mark.parametrize(("namespace", "num_pods"), [("student-01", 1), ("student-02", 0)])
def test_a_family_lives_where_its_week_job_does(namespace, num_pods):
    store = Store()
    metadata = {"name": "week-03", "namespace": "student-01", "uid": UID, "resourceVersion": "1"}
    store.put("WeekJob", {"kind": "WeekJob", "metadata": metadata, "spec": {"unit": "sft"}})
    store.put("Pod", build_pod(namespace))
    assert len(store.get_family(UID).pods) == num_pods


def test_what_changes_after_its_owner_went_goes_for_good():
    store = Store()
    marks = labels.build_child_labels("week-03", UID, "sft", "sft", 1)
    job = {"kind": "Job", "metadata": {"name": "sft", "namespace": "student-01", "uid": "j1", "labels": marks}}
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
