"""The API server alone: real, ready in seconds, gone without trace."""

from __future__ import annotations

import pytest

from practicum_cluster.api import Api, ApiError
from practicum_cluster.control_plane import ControlPlane, start_alone
from practicum_core.labels import STUDENT

pytestmark = pytest.mark.cluster
WEEK = {"apiVersion": "practicum.dev/v1alpha1", "kind": "WeekJob", "metadata": {"name": "week-03"}}


def test_keeps_a_week_job_and_fills_in_defaults(api_server: ControlPlane):
    kept = api_server.api.create({**WEEK, "spec": {"unit": "sft"}})
    assert kept["spec"]["unit"] == "sft"
    assert api_server.api.get("/apis/practicum.dev/v1alpha1/namespaces/default/weekjobs/week-03") == kept
    api_server.api.delete("/apis/practicum.dev/v1alpha1/namespaces/default/weekjobs/week-03")


def test_refuses_an_unknown_unit(api_server: ControlPlane):
    with pytest.raises(ApiError, match="unit") as refusal:
        api_server.api.create({**WEEK, "spec": {"unit": "no-such-unit"}})
    assert refusal.value.status == 422


def test_rights_are_checked_for_each_user(api_server: ControlPlane):
    api = api_server.api
    namespace = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": "student-01", "labels": {STUDENT: "student-01"}},
    }
    api.apply(namespace)
    student = Api(api_server.write_credentials("student-01", "student-01", ("practicum:students",)))
    with pytest.raises(ApiError, match="forbidden") as refusal:
        student.get("/apis/practicum.dev/v1alpha1/namespaces/student-01/weekjobs")
    assert refusal.value.status == 403
    rule = {"apiGroups": ["practicum.dev"], "resources": ["weekjobs"], "verbs": ["get", "list"]}
    group = "rbac.authorization.k8s.io"
    role = {"apiVersion": f"{group}/v1", "kind": "Role", "metadata": {"name": "student", "namespace": "student-01"}}
    api.apply({**role, "rules": [rule]})
    subject = {"kind": "User", "name": "student-01", "apiGroup": group}
    reference = {"kind": "Role", "name": "student", "apiGroup": group}
    api.apply({**role, "kind": "RoleBinding", "subjects": [subject], "roleRef": reference})
    assert student.get("/apis/practicum.dev/v1alpha1/namespaces/student-01/weekjobs")["items"] == []


def test_an_account_has_a_token_that_the_server_reviews(api_server: ControlPlane):
    api = api_server.api
    api.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "practicum-stage"}})
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest"}
    path = "/api/v1/namespaces/default/serviceaccounts/practicum-stage/token"
    token = api.request("POST", path, {**request, "spec": {"audiences": ["practicum-ingest"]}})["status"]["token"]
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview"}
    for audience, is_known in (("practicum-ingest", True), ("somebody-else", False)):
        answer = api.request(
            "POST",
            "/apis/authentication.k8s.io/v1/tokenreviews",
            {**review, "spec": {"token": token, "audiences": [audience]}},
        )
        assert answer["status"].get("authenticated", False) is is_known


def test_the_store_survives_a_restart_of_both(tmp_path):
    plane = start_alone(tmp_path)
    try:
        plane.api.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "kept"}, "data": {"a": "b"}})
        plane.stop()
        with pytest.raises(OSError, match="refused"):
            plane.api.get("/readyz")
        plane.start_etcd()
        plane.start_api_server()
        assert plane.wait_ready().get("/api/v1/namespaces/default/configmaps/kept")["data"] == {"a": "b"}
    finally:
        plane.stop()
    assert [name for name in ("etcd", "kube-apiserver") if plane.daemons.find(name)] == []
