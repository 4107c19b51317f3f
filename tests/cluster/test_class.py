"""A class on a real cluster: chart, course, weeks in pods, evidence. `make e2e` runs it; needs root and the images."""

from __future__ import annotations

import base64
import gzip
from pathlib import Path

import pytest

from cluster_lacks import require_bare_cluster
from practicum_cluster import operators
from practicum_cluster.api import wait_until
from practicum_cluster.bare import BareCluster
from practicum_cluster.daemons import TIED_TO_CALLER
from practicum_cluster.shipping import export_images

pytestmark = [pytest.mark.e2e, pytest.mark.cluster, pytest.mark.timeout(2400)]
ROOT = Path(__file__).parents[2]
PLATFORM = "practicum-system"
STUDENTS = ("student-01", "student-02")
TINY = {"model": {"uri": "builtin:smollm2-135m"}, "data": {"uri": "builtin:tickets?rows=200"}, "profile": "quick"}


class Class:
    """A cluster with Practicum installed and a course of two students who share one GPU."""

    def __init__(self, cluster):
        self.cluster, self.api = cluster, cluster.api
        self.client = operators.Client(cluster.kubeconfig)

    def install(self):
        chart = ("practicum", ROOT / "charts/practicum", "--namespace", PLATFORM, "--create-namespace")
        return self.client.helm("upgrade", "--install", *chart, "--wait", "--timeout", "120s")

    def enrol(self):
        self.client.kubectl("apply", "--server-side", "-f", str(ROOT / "manifests/course-10/course.yaml"))
        wait_until(lambda: self.read_course()["phase"] == "Ready", "the course", 60)

    def read_course(self):
        return self.api.get("/apis/practicum.dev/v1alpha1/courses/llm-10")["status"]

    def apply(self, student, name, **spec):
        document = {"apiVersion": "practicum.dev/v1alpha1", "kind": "WeekJob"}
        self.api.apply({**document, "metadata": {"name": name, "namespace": student}, "spec": {**TINY, **spec}})

    def read_status(self, student, name):
        path = f"/apis/practicum.dev/v1alpha1/namespaces/{student}/weekjobs/{name}"
        return self.api.get(path).get("status", {})

    def wait_end(self, student, name, timeout_s):
        def look():
            status = self.read_status(student, name)
            return status if status.get("phase") in ("Succeeded", "Failed") else None

        return wait_until(look, f"the end of {student}/{name}", timeout_s, 1)

    def try_as(self, user, *arguments):
        """Run kubectl as a student and return what it said, refusals too."""
        try:
            return self.client.kubectl("--as", user, *arguments)
        except RuntimeError as error:
            return str(error)


@pytest.fixture(scope="module")
def school():
    require_bare_cluster()
    cluster = BareCluster(prefix=TIED_TO_CALLER)
    cluster.up()
    try:
        cluster.ship(*export_images(["base", "train", "controller"]))
        cluster.install_operators()
        school = Class(cluster)
        school.install()
        school.enrol()
        yield school
    finally:
        cluster.down()


def test_a_week_ends_with_evidence(school):
    school.apply("student-01", "week-01", unit="experiments")
    status = school.wait_end("student-01", "week-01", 600)
    assert status["phase"] == "Succeeded", status
    assert (status["gatesPassed"], status["evidence"]) == ("3/3", "configmap/week-01-evidence")
    assert any(metric["name"].startswith("evaluate.") for metric in status["metrics"])
    kept = school.api.get("/api/v1/namespaces/student-01/configmaps/week-01-evidence")
    page = gzip.decompress(base64.b64decode(kept["binaryData"]["index.html.gz"])).decode()
    assert "lang" in page
    assert "python -m practicum_jobs.agent" in page


def test_a_student_cannot_reach_another(school):
    reading = school.try_as("student-01", "get", "weekjobs", "--namespace", "student-02")
    assert "forbidden" in reading
    patch = ("patch", "weekjob", "week-01", "--namespace", "student-01", "--type=merge", "-p")
    assert "forbidden" in school.try_as(
        "student-01", *patch, '{"status":{"phase":"Succeeded"}}', "--subresource", "status"
    )
    assert "week-01" in school.try_as("student-01", "get", "weekjobs", "--namespace", "student-01")
    assert "forbidden" in school.try_as("student-01", "get", "secrets", "--namespace", PLATFORM)


def test_two_students_share_one_gpu(school):
    for student in STUDENTS:
        school.apply(student, "week-03", unit="sft", set={"sft.max_steps": 2}, resources={"gpu": {"slices": 1}})

    def find_waiting():
        for student in STUDENTS:
            status = school.read_status(student, "week-03")
            if "insufficient unused quota for nvidia.com/gpu" in status.get("message", ""):
                return status
        return None

    waiting = wait_until(find_waiting, "one who waits for the GPU", 300, 0.5)
    assert waiting["phase"] == "Queued"
    wait_until(lambda: (find_waiting() or {}).get("queue", {}).get("position") == 0, "the place in the queue", 60)
    ends = [school.wait_end(student, "week-03", 1500) for student in STUDENTS]
    assert [end["phase"] for end in ends] == ["Succeeded", "Succeeded"], ends
    passed = [{gate["name"]: gate["passed"] for gate in end["gates"]} for end in ends]
    assert all(gates["no_leakage"] and gates["export_agrees"] for gates in passed)
    children = {stage["name"]: stage["child"] for stage in ends[0]["stages"]}
    assert children["sft"].startswith("RayJob/")


def test_the_chart_is_upgraded_and_removed(school):
    assert "STATUS: deployed" in school.install()
    school.client.helm("uninstall", "practicum", "--namespace", PLATFORM, "--wait")
    left = school.client.kubectl("get", "deployments", "--namespace", PLATFORM, "--output", "name")
    assert left.strip() == ""
    # What students made outlives the release.
    assert school.read_status("student-01", "week-01")["phase"] == "Succeeded"
