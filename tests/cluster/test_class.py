"""A class on a real cluster: chart, course, weeks in pods, evidence. `make e2e` runs it; needs root and the images."""

from __future__ import annotations

import base64
import gzip
import json
import time

import pytest

from cluster_lacks import require_bare_cluster
from practicum_cluster.api import ApiError, wait_until
from practicum_cluster.bare import BareCluster
from practicum_cluster.daemons import TIED_TO_CALLER
from practicum_cluster.shipping import export_images
from practicum_core import labels
from school import PLATFORM, STUDENTS, Class

pytestmark = [pytest.mark.e2e, pytest.mark.cluster, pytest.mark.timeout(2400)]


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


INTRUDER = """
import json, socket, ssl, urllib.error, urllib.request

def reach(host, port):
    try:
        socket.create_connection((host, port), 4).close()
    except OSError:
        return False
    return True

def report(body):
    folder = "/var/run/practicum/"
    context = ssl.create_default_context(cafile=folder + "ca.crt")
    headers = {{"Authorization": "Bearer " + open(folder + "token").read()}}
    request = urllib.request.Request({url!r}, json.dumps(body).encode(), headers)
    try:
        return urllib.request.urlopen(request, context=context, timeout=20).status
    except urllib.error.HTTPError as error:
        return [error.code, error.read().decode()]

print(json.dumps({{
    "home": reach({home!r}, 8080),
    "other": reach({other!r}, 8080),
    "report": report({body!r}),
}}))
"""


def test_pods_of_a_student_reach_nothing_of_another(school):
    serve = "import http.server as s; s.ThreadingHTTPServer(('', 8080), s.SimpleHTTPRequestHandler).serve_forever()"
    for student in STUDENTS:
        school.run_pod(student, "web", serve)
    homes = [school.wait_pod(student, "web", "Running")["status"]["podIP"] for student in STUDENTS]
    school.apply("student-02", "week-01", unit="experiments", suspend=True)
    theirs = school.read("student-02", "week-01")["metadata"]["uid"]
    mine = school.read("student-01", "week-01")["metadata"]["uid"]
    script = INTRUDER.format(
        url=f"https://practicum-controller.{PLATFORM}.svc:8443/v1/reports",
        home=homes[0],
        other=homes[1],
        body={"uid": theirs, "step": "snapshot", "attempt": 1, "outcome": "succeeded"},
    )
    # The marks of a stage's pod: its token is good, for its own step.
    marks = labels.build_child_labels("week-01", mine, "experiments", "snapshot", 1)
    school.run_pod("student-01", "intruder", script, labels=marks)
    seen = school.read_answer("student-01", "intruder")
    # The node itself is not asked for: by definition a policy never closes the way to the node of the pod.
    assert (seen["home"], seen["other"]) == (True, False)
    assert seen["report"][0] == 403
    assert not school.read_status("student-02", "week-01").get("metrics")
    for student in STUDENTS:
        school.client.kubectl("delete", "pod", "web", "--namespace", student, "--grace-period=0", "--force")
    school.client.kubectl("delete", "weekjob", "week-01", "--namespace", "student-02")


def test_volumes_and_pods_are_out_of_a_students_hands(school):
    for attempt in (
        ("run", "own", "--image", "localhost/practicum-base:dev"),
        ("create", "rolebinding", "own", "--clusterrole", "admin", "--user", "student-01"),
        ("create", "token", "practicum-stage"),
        ("get", "secrets"),
    ):
        assert "forbidden" in school.try_as("student-01", *attempt, "--namespace", "student-01").lower(), attempt
    for kind in ("pods", "configmaps", "persistentvolumeclaims", "weekjobs", "events"):
        assert "forbidden" in school.try_as("student-01", "get", kind, "--namespace", "student-02").lower(), kind
    path = {"hostPath": {"path": "/"}, "name": "node"}
    pod = {"containers": [{"name": "main", "image": "localhost/practicum-base:dev"}], "volumes": [path]}
    document = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "node", "namespace": "student-01"}, "spec": pod}
    with pytest.raises(ApiError, match="violates PodSecurity"):
        school.api.apply(document)
    volumes = school.api.get("/api/v1/persistentvolumes")["items"]
    theirs = next(one for one in volumes if one["spec"]["claimRef"]["namespace"] == "student-02")["metadata"]["name"]
    spec = {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}, "volumeName": theirs}
    metadata = {"name": "theirs", "namespace": "student-01"}
    school.api.apply({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": spec})
    time.sleep(5)
    claim = school.api.get("/api/v1/namespaces/student-01/persistentvolumeclaims/theirs")
    assert claim["status"]["phase"] == "Pending"
    school.client.kubectl("delete", "pvc", "theirs", "--namespace", "student-01")


def test_a_week_outlives_its_store_and_its_controller(school):
    earlier = school.read_status("student-01", "week-01")
    school.apply("student-02", "week-01", unit="experiments")
    wait_until(lambda: school.read_status("student-02", "week-01").get("phase") == "Running", "a stage to run", 60)
    school.stop_store(20)
    gone = school.kill_controller()
    status = school.wait_end("student-02", "week-01", 600)
    assert (status["phase"], status["gatesPassed"]) == ("Succeeded", "3/3"), status
    expected = sorted(stage["child"].partition("/")[2] for stage in status["stages"])
    assert school.list_children("student-02", "week-01") == expected
    assert all(name.endswith("-1") for name in expected)
    assert school.read_status("student-01", "week-01") == earlier
    pods = school.client.kubectl("get", "pods", "--namespace", PLATFORM, "--output", "name")
    assert gone not in pods


def test_a_higher_priority_takes_the_gpu_and_the_other_resumes(school):
    # Both students' pods have to fit on one node of two cores beside the operators.
    sizes = {"cpu": "500m", "gpu": {"slices": 1}}
    school.apply("student-01", "long", unit="sft", set={"sft.max_steps": 10}, resources=sizes)
    wait_until(lambda: school.read_stage("student-01", "long", "sft").get("phase") == "Running", "training", 400)
    wait_until(lambda: (school.read_stage("student-01", "long", "sft").get("progress") or 0) > 0.2, "steps", 300)
    school.apply("student-02", "urgent", unit="experiments", priorityClassName="capstone", resources=sizes)

    def find_preempted():
        stage = school.read_stage("student-01", "long", "sft")
        return stage if stage.get("reason") == "Preempted" else None

    stage = wait_until(find_preempted, "the lower priority to make room", 300, 0.5)
    assert (stage["phase"], "preempt" in stage["message"].lower()) == ("Queued", True), stage
    assert school.wait_end("student-02", "urgent", 600)["phase"] == "Succeeded"
    end = school.wait_end("student-01", "long", 1200)
    assert end["phase"] == "Succeeded", end
    uid = school.read("student-01", "long")["metadata"]["uid"]
    run = f"experiments/sft/*{uid[:6]}*"
    lines = [json.loads(line) for line in school.read_workspace("student-01", f"{run}/events.jsonl").splitlines()]
    starts = [one for one in lines if one.get("event") == "step_started" and one.get("step") == "sft"]
    assert len(starts) == 2
    curve = school.read_workspace("student-01", f"{run}/stages/sft/metrics.jsonl")
    steps = [one["step"] for one in map(json.loads, curve.splitlines()) if "loss" in one]
    # It went on at the checkpoint that it wrote when it was told to stop: no step was computed twice.
    assert steps == list(range(1, 11))


def test_the_chart_is_upgraded_and_removed(school):
    assert "STATUS: deployed" in school.install()
    school.client.helm("uninstall", "practicum", "--namespace", PLATFORM, "--wait")
    left = school.client.kubectl("get", "deployments", "--namespace", PLATFORM, "--output", "name")
    assert left.strip() == ""
    # What students made outlives the release.
    assert school.read_status("student-01", "week-01")["phase"] == "Succeeded"
