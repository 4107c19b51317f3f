"""A class on a real cluster: chart, course, weeks in pods, evidence. `make e2e` runs it alone; needs root."""

from __future__ import annotations

import difflib
import json
import time
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus

import pytest
import yaml

from evidence_text import read_text
from made_up.register import register
from made_up_images import build_made_up_image, get_reference
from practicum_cluster.api import ApiError, wait_until
from practicum_cluster.node import CTR, PAUSE_IMAGE
from practicum_controller.backends.pods import CA_CONFIG_MAP
from practicum_core import labels
from practicum_core.crd import WEEK_JOB, build_crd
from practicum_core.errors import EXIT_GATE, EXIT_OK
from school import PLATFORM, ROOT, STUDENTS, TINY

pytestmark = [pytest.mark.e2e, pytest.mark.cluster, pytest.mark.node, pytest.mark.timeout(2400)]
SMALL = {
    "sft.max_steps": 2,
    "sft.batch_size": 1,
    "sft.validation_rows": 4,
    "inference.num_prompts": 2,
    "inference.max_new_tokens": 8,
    "evaluate.limit": 4,
    "evaluate.max_new_tokens": 8,
    # Earlier weeks of this student and this machine kept answers to the same prompts, each others.
    "evaluate.reuse_answers": False,
}
FEW_ANSWERS = {"limit": 4, "control_limit": 4, "max_new_tokens": 8}
WEEK_4 = {f"evaluate.{name}": value for name, value in FEW_ANSWERS.items()} | {"compare.num_resamples": 1000}
WEEK_5 = {
    **{name: value for name, value in SMALL.items() if name.startswith("sft.")},
    "sft.num_epochs": 1,
    "iterate.train_rows": 8,
    "iterate.fresh_rows": 4,
    **{f"evaluate-{split}.{name}": value for split in ("fresh", "seen") for name, value in FEW_ANSWERS.items()},
}
WEEK_1 = {"unit": "experiments", "set": {"evaluate.max_new_tokens": 8}}
WEEK_3 = {"unit": "sft", "set": SMALL, "resources": {"gpu": {"slices": 1}}}


def test_a_week_ends_with_evidence(school, tmp_path):
    (tmp_path / "week-01.yaml").write_text(json.dumps(school.build("week-01", **WEEK_1)))
    done = school.practicum(tmp_path, "submit", "week-01.yaml", "--follow", "-n", "student-01")
    assert done.returncode == EXIT_OK, done.stdout + done.stderr
    assert "Succeeded, every gate passed" in done.stdout
    status = school.read_status("student-01", "week-01")
    assert status["phase"] == "Succeeded", status
    assert (status["gatesPassed"], status["evidence"]) == ("3/3", "configmap/week-01-evidence")
    assert any(metric["name"].startswith("evaluate.") for metric in status["metrics"])
    page = school.read_page("student-01", "week-01")
    (fetched,) = tmp_path.glob("experiments/cluster/student-01/week-01/*/evidence/index.html")
    assert fetched.read_text(encoding="utf-8") == page
    assert "lang" in page
    assert "python -m practicum_jobs.agent" in page


def test_the_audit_of_the_second_week_passes_its_gates(school):
    school.apply("student-02", "week-02", unit="data", data={"uri": "builtin:tickets-flawed"})
    status = school.wait_end("student-02", "week-02", 400)
    assert (status["phase"], status["gatesPassed"]) == ("Succeeded", "4/4"), status
    assert "audit" in school.read_page("student-02", "week-02")


def test_a_student_cannot_reach_another(school):
    reading = school.try_as("student-01", "get", "weekjobs", "--namespace", "student-02")
    assert "forbidden" in reading
    patch = ("patch", "weekjob", "week-01", "--namespace", "student-01", "--type=merge", "-p")
    assert "forbidden" in school.try_as(
        "student-01", *patch, '{"status":{"phase":"Succeeded"}}', "--subresource", "status"
    )
    assert "week-01" in school.try_as("student-01", "get", "weekjobs", "--namespace", "student-01")
    assert "forbidden" in school.try_as("student-01", "get", "secrets", "--namespace", PLATFORM)


def list_writes(school, namespace):
    """Return the ways to write in a namespace: method, path, document."""
    core, ours = f"/api/v1/namespaces/{namespace}", f"/apis/practicum.dev/v1alpha1/namespaces/{namespace}"
    container = {"name": "main", "image": "localhost/practicum-base:dev"}
    claim = {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}}
    documents = {
        f"{ours}/weekjobs": school.build("written", **WEEK_1),
        f"{core}/pods": {"kind": "Pod", "spec": {"containers": [container]}},
        f"{core}/secrets": {"kind": "Secret"},
        f"{core}/configmaps": {"kind": "ConfigMap"},
        f"{core}/persistentvolumeclaims": {"kind": "PersistentVolumeClaim", "spec": claim},
    }
    for path, document in documents.items():
        yield "POST", path, {"apiVersion": "v1", "metadata": {"name": "written"}, **document}
        # Rights are looked at before it is looked whether there is such an object.
        yield "PATCH", f"{path}/written", {"metadata": {"labels": {"written": "yes"}}}
        yield "DELETE", f"{path}/written", None
        yield "DELETE", path, None


def test_a_student_writes_nothing_of_another(school):
    student = school.become("student-01")
    week_jobs = "/apis/practicum.dev/v1alpha1/namespaces/{}/weekjobs"
    writes = list(list_writes(school, "student-02"))
    # What is reported of a week is nobody's to write, not even of one's own.
    claimed = {"status": {"phase": "Succeeded", "gatesPassed": "3/3"}}
    writes += [("PATCH", f"{week_jobs.format(name)}/week-01/status", claimed) for name in STUDENTS]
    patch = "application/merge-patch+json"
    answers = {
        (method, path): student.send(method, path, body, patch if method == "PATCH" else "application/json")
        for method, path, body in writes
    }
    assert {what: status for what, (status, _) in answers.items() if status != HTTPStatus.FORBIDDEN} == {}
    assert all("cannot" in text for _, text in answers.values())
    # The same student and the same document, at home.
    status, said = student.send("POST", f"{week_jobs.format('student-01')}?dryRun=All", writes[0][2])
    assert status == HTTPStatus.CREATED, said


def test_two_students_share_one_gpu(school):
    for student in STUDENTS:
        school.apply(student, "week-03", **WEEK_3)

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


def apply_file(school, folder, week, options):
    """Apply the file of a week as the course has it, with less to compute, as a student; return how it ended."""
    document = yaml.safe_load((ROOT / f"manifests/course-10/{week}.yaml").read_text(encoding="utf-8"))
    document["spec"] |= TINY | {"set": options}
    (folder / f"{week}.yaml").write_text(json.dumps(document))
    applied = school.try_as("student-01", "apply", "-n", "student-01", "-f", folder / f"{week}.yaml")
    assert f"weekjob.practicum.dev/{week} created" in applied
    end = school.wait_end("student-01", week, 900)
    assert end["phase"] == "Succeeded", end
    return {gate["name"]: gate["passed"] for gate in end["gates"]}


def read_built_on(school, week):
    lineage = json.loads(school.read_run_text("student-01", week, "lineage.lock.json"))["built_on"]
    return {one["reference"]: one["run_id"] for one in lineage}


def test_weeks_4_and_5_are_built_on_the_weeks_before_by_kubectl_alone(school, tmp_path):
    gates = apply_file(school, tmp_path, "week-04", WEEK_4)
    # Four rows cannot show that a model is better.
    assert (gates["no_leakage"], gates["enough_items"], gates["improved"]) == (True, False, False)
    tuned = school.get_run_id("student-01", "week-03")
    assert read_built_on(school, "week-04") == {"latest:sft/merged": tuned}
    assert f"sft/{tuned}" in school.read_page("student-01", "week-04")
    gates = apply_file(school, tmp_path, "week-05", WEEK_5)
    assert gates["lineage"] is gates["no_leakage_enlarged"] is True
    evaluation = school.get_run_id("student-01", "week-04")
    assert read_built_on(school, "week-05") == {
        "latest:evaluate/stages/analyze/failures.jsonl": evaluation,
        "latest:evaluate/stages/evaluate/samples.jsonl": evaluation,
        "latest:sft/merged": tuned,
    }
    assert f"evaluate/{evaluation}" in school.read_page("student-01", "week-05")


@pytest.fixture(scope="module")
def laptop(school, tmp_path_factory):
    """A run of week 3 as on a laptop, beside the next test: two pods of half a processor leave it one."""
    folder = tmp_path_factory.mktemp("laptop")
    (folder / "week-03.yaml").write_text(json.dumps(school.build("week-03", **WEEK_3)))
    with ThreadPoolExecutor(1) as pool:
        # Sums of floats depend on the number of threads, and a pod of one CPU has one.
        yield folder, pool.submit(school.practicum, folder, "run", "week-03.yaml", OMP_NUM_THREADS="1")


@pytest.mark.usefixtures("laptop")
def test_two_workers_train_in_two_pods(school):
    """The same week is built on the earlier week 3 of the student, which another student cannot name."""
    sizes = {"cpu": "500m", "memory": "7Gi", "workers": 2}
    earlier = school.get_run_id("student-01", "week-03")
    school.set_pointer("student-01", "best", f"sft/{earlier}")
    named = {"evaluate.candidate": "pointer:best/merged", "inference.merged": f"run:{earlier}"}
    built_on = {"unit": "sft", "model": {"uri": "latest:sft"}, "resources": sizes}
    school.apply("student-01", "pair", set=SMALL | named | {"sft.max_steps": 4}, **built_on)
    school.apply("student-02", "theirs", **WEEK_1 | {"model": {"uri": f"run:{earlier}"}})

    def find_worker():
        pods = school.api.get("/api/v1/namespaces/student-01/pods?labelSelector=ray.io/node-type=worker")["items"]
        return [one for one in pods if one["status"]["phase"] == "Running"]

    wait_until(find_worker, "a worker's pod", 400, 0.5)
    end = school.wait_end("student-01", "pair", 900)
    assert end["phase"] == "Succeeded", end
    steps = school.read_steps("student-01", "pair", "sft")
    assert [one["step"] for one in steps] == [1, 2, 3, 4]
    lineage = json.loads(school.read_run_text("student-01", "pair", "lineage.lock.json"))["built_on"]
    assert {one["reference"] for one in lineage} == {"latest:sft", *named.values()}
    assert {(one["run_id"], one["path"]) for one in lineage} == {(earlier, "stages/sft/artifacts/merged")}
    assert f"sft/{earlier}" in school.read_page("student-01", "pair")
    refused = school.wait_end("student-02", "theirs", 300)
    assert (refused["phase"], refused["reason"]) == ("Failed", "ConfigInvalid"), refused
    assert f"run:{earlier}: no such run in /workspace/experiments" in refused["message"]


def test_the_evidence_is_what_a_laptop_makes(school, laptop):
    folder, running = laptop
    done = running.result(600)
    # Two steps of training pass no gate of improvement.
    assert done.returncode == EXIT_GATE, done.stderr
    local = next(folder.glob("experiments/sft/*/evidence/index.html")).read_text(encoding="utf-8")
    ours, theirs = read_text(local), read_text(school.read_page("student-01", "week-03"))
    assert list(difflib.unified_diff(ours, theirs, "laptop", "cluster", n=0, lineterm="")) == []
    assert len(ours) > 500


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


# Keeps trying: Python takes a moment until it serves.
NEIGHBOUR = """
import socket, time

while True:
    try:
        socket.create_connection(({address!r}, 8080), 4).close()
        break
    except OSError:
        time.sleep(0.5)
"""


def test_pods_of_a_student_reach_nothing_of_another(school):
    serve = "import http.server as s; s.ThreadingHTTPServer(('', 8080), s.SimpleHTTPRequestHandler).serve_forever()"
    for student in STUDENTS:
        school.run_pod(student, "web", serve)
    homes = [school.wait_pod(student, "web", "Running")["status"]["podIP"] for student in STUDENTS]
    # A pod at home reaches the neighbour's address: the server answers and the probe works before it is refused.
    school.run_pod("student-02", "neighbour", NEIGHBOUR.format(address=homes[1]))
    school.wait_pod("student-02", "neighbour", "Succeeded")
    school.apply("student-02", "week-01", **WEEK_1, suspend=True)
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


LITTLE = {"cpu": "100m", "memory": "256Mi"}
NO_DATA = {"unit": "data", "data": {"uri": "file:///workspace/none.jsonl"}, "resources": {"memory": "1Gi"}}
# What goes wrong with a pod: spec of the week job, reason, part of the sentence.
TROUBLE = {
    "no-image": ({"image": "localhost/none:1", "resources": LITTLE}, "ImagePullFailed", "localhost/none:1"),
    "no-node": ({"resources": LITTLE | {"memory": "1Ti"}}, "Unschedulable", "Insufficient memory"),
    "no-data": (NO_DATA, "DataMissing", "none.jsonl"),
}
NEVER_RUN = ("no-image", "no-node")


def is_troubled(pod):
    status = pod["status"]
    waiting = [one["state"].get("waiting", {}) for one in status.get("containerStatuses", ())]
    has_no_image = any("Image" in one.get("reason", "") for one in waiting)
    has_no_node = any(one.get("reason") == "Unschedulable" for one in status.get("conditions", ()))
    return has_no_image or has_no_node or status["phase"] == "Failed"


def test_what_is_wrong_with_a_pod_is_told_within_seconds(school):
    student = "student-03"
    plenty = {"cpu": "8", "memory": "8Ti"}
    students = [{"name": student, "subjects": [student]}]
    school.open_course("llm-trouble", students=students, queue=plenty, quota=plenty, allowImages=True)
    for name, (spec, _, _) in TROUBLE.items():
        deadline = {"preRunningDeadlineSeconds": 30} if name in NEVER_RUN else {}
        school.apply(student, name, **{"unit": "experiments", **spec, **deadline})
    seen, told = {}, {}

    def look():
        for name, (_, reason, said) in TROUBLE.items():
            pods = school.api.get(f"/api/v1/namespaces/{student}/pods?labelSelector=practicum.dev/week-job={name}")
            if any(is_troubled(pod) for pod in pods["items"]):
                seen.setdefault(name, time.monotonic())
            status = school.read_status(student, name)
            if status.get("reason") == reason and said in status["message"]:
                told.setdefault(name, time.monotonic())
        return told.keys() == TROUBLE.keys()

    wait_until(look, "a reason for every pod", 180, 0.5)
    assert max(told[name] - seen.get(name, told[name]) for name in TROUBLE) < 30
    for name, (_, reason, said) in TROUBLE.items():
        end = school.wait_end(student, name, 120)
        ended = "PreRunningDeadlineExceeded" if name in NEVER_RUN else reason
        assert (end["phase"], end["reason"], said in end["message"]) == ("Failed", ended, True), end
        assert any(said in one["message"] for one in end["conditions"]), end


NO_CLAIMS = {
    "apiVersion": "v1",
    "kind": "ResourceQuota",
    "metadata": {"name": "no-claims"},
    "spec": {"hard": {"persistentvolumeclaims": "0"}},
}


def take_claim(school, home):
    # A claim stays for as long as a pod names it, also one that failed long ago.
    jobs = f"/apis/practicum.dev/v1alpha1/namespaces/{home.rpartition('/')[2]}/weekjobs"
    for one in school.api.get(jobs)["items"]:
        school.api.delete(f"{jobs}/{one['metadata']['name']}")
    wait_until(lambda: not school.api.get(f"{home}/pods")["items"], "the end of the pods before", 120)
    # The controller makes a lost claim anew within a minute, which this quota refuses.
    school.api.apply(NO_CLAIMS, home.rpartition("/")[2])
    quota = f"{home}/resourcequotas/no-claims"
    wait_until(lambda: school.api.get(quota)["status"]["used"], "the count of the claims", 60)
    claim = f"{home}/persistentvolumeclaims/workspace"
    school.api.delete(claim)
    wait_until(lambda: not school.api.find(claim), "the end of the claim", 120)


def take_authority(school, home):
    school.api.delete(f"{home}/configmaps/{CA_CONFIG_MAP}")


def take_pause_image(school, _):
    if not school.is_own:
        pytest.skip("this cluster is somebody else's: its node's images are not ours to remove")
    school.cluster.sandbox.enter([*CTR, "images", "remove", "--sync", PAUSE_IMAGE])


# The claim last: the pods before need it to come to their node.
@pytest.mark.parametrize(
    ("take", "said"),
    [
        (take_pause_image, "FailedCreatePodSandBox"),
        (take_authority, "FailedMount"),
        (take_claim, 'persistentvolumeclaim "workspace" not found'),
    ],
)
def test_what_a_pod_lacks_on_its_node_is_told_within_seconds(school, take, said):
    student, name = "student-03", take.__name__.replace("_", "-")
    home = f"/api/v1/namespaces/{student}"
    school.open_course("llm-trouble", students=[{"name": student, "subjects": [student]}])
    take(school, home)
    try:
        school.apply(student, name, unit="experiments")
        pods = f"{home}/pods?labelSelector=practicum.dev/week-job={name}"
        wait_until(lambda: school.api.get(pods)["items"], "a pod", 60)
        wait_until(lambda: said in school.read_status(student, name)["message"], said, 30)
    finally:
        if take is take_pause_image:
            school.cluster.load_pause()
        if take is take_claim:
            school.api.delete(f"{home}/resourcequotas/no-claims")
        school.api.delete(f"/apis/practicum.dev/v1alpha1/namespaces/{student}/weekjobs/{name}")
    wait_until(lambda: not school.api.get(pods)["items"], "the end of its pods", 60)


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
    school.apply("student-02", "week-01", **WEEK_1)
    wait_until(lambda: school.read_status("student-02", "week-01").get("phase") == "Running", "a stage to run", 60)
    if school.is_own:
        school.stop_store(20)
        school.restart_api_server()
    gone = school.kill_controller()
    status = school.wait_end("student-02", "week-01", 600)
    assert (status["phase"], status["gatesPassed"]) == ("Succeeded", "3/3"), status
    expected = sorted(stage["child"].partition("/")[2] for stage in status["stages"])
    assert school.list_children("student-02", "week-01") == expected
    assert all(name.endswith("-1") for name in expected)
    assert school.read_status("student-01", "week-01") == earlier
    pods = school.client.kubectl("get", "pods", "--namespace", PLATFORM, "--output", "name")
    assert gone not in pods


def test_a_higher_priority_takes_the_gpu_and_the_other_resumes(school, tmp_path):
    # Both students' pods have to fit on one node of two cores beside the operators.
    sizes = {"cpu": "500m", "gpu": {"slices": 1}}
    steps = list(range(1, 41))
    school.apply("student-01", "long", unit="sft", set=SMALL | {"sft.max_steps": len(steps)}, resources=sizes)
    wait_until(lambda: school.read_stage("student-01", "long", "sft").get("phase") == "Running", "training", 400)
    wait_until(lambda: (school.read_stage("student-01", "long", "sft").get("progress") or 0) > 0.1, "steps", 300)
    said = school.practicum(tmp_path, "logs", "long", "sft", "-n", "student-01")
    assert "'loss'" in said.stdout, said.stderr
    school.apply("student-02", "urgent", **WEEK_1, priorityClassName="urgent", resources=sizes)

    def find_preempted():
        stage = school.read_stage("student-01", "long", "sft")
        return stage if stage.get("reason") == "Preempted" else None

    stage = wait_until(find_preempted, "the lower priority to make room", 300, 0.5)
    assert (stage["phase"], "preempt" in stage["message"].lower()) == ("Queued", True), stage
    assert school.wait_end("student-02", "urgent", 600)["phase"] == "Succeeded"
    end = school.wait_end("student-01", "long", 1200)
    assert end["phase"] == "Succeeded", end
    events = school.read_run_file("student-01", "long", "events.jsonl")
    starts = [one for one in events if one["event"] == "step_started" and one["step"] == "sft"]
    assert len(starts) == 2
    # It went on at the checkpoint that it wrote when it was told to stop: no step was computed twice.
    assert [one["step"] for one in school.read_steps("student-01", "long", "sft")] == steps


GREETINGS = {
    "unit": "greetings",
    "model": {"uri": "builtin:smollm2-135m"},
    "set": {"caller.num_greetings": 100, "caller.pause_s": 0.2},
    "resources": {"cpu": "200m", "memory": "512Mi"},
}


@pytest.fixture(scope="module")
def made_up(school):
    """An upgrade to images with a server and its caller in them, which no file of the product knows."""
    if not school.is_own:
        pytest.skip("this cluster is somebody else's: images with other stages are not brought into its nodes")
    names = {name: get_reference(name) for name in ("base", "controller")}
    school.cluster.ship(*(build_made_up_image(name) for name in names))
    school.install(*(word for name, image in names.items() for word in ("--set", f"images.names.{name}={image}")))
    with pytest.MonkeyPatch.context() as monkeypatch:
        register(monkeypatch)
        school.api.apply(build_crd(WEEK_JOB))
    # The server goes on with the definition before for a moment.
    path = "/apis/practicum.dev/v1alpha1/namespaces/student-01/weekjobs?dryRun=All"
    wait_until(lambda: school.api.request("POST", path, school.build("greetings", **GREETINGS)), "the unit greetings")


def list_servers(school, student):
    path = f"/apis/apps/v1/namespaces/{student}/deployments"
    return [one["metadata"]["labels"]["practicum.dev/week-job"] for one in school.api.get(path)["items"]]


def count_greetings(school, name):
    return school.read_stage("student-01", name, "caller").get("progress") or 0


@pytest.mark.usefixtures("made_up")
def test_a_server_is_killed_while_its_user_runs_and_nothing_of_it_is_left(school):
    school.apply("student-01", "greetings", **GREETINGS)
    wait_until(lambda: count_greetings(school, "greetings") > 0.05, "the first greetings", 180)
    shown = school.read_stage("student-01", "greetings", "greeter")
    assert (shown["phase"], ".student-01.svc:8000" in shown["endpoint"]) == ("Serving", True)
    marks = "labelSelector=practicum.dev/step=greeter"
    [pod] = school.api.get(f"/api/v1/namespaces/student-01/pods?{marks}")["items"]
    name = pod["metadata"]["name"]
    school.client.kubectl("delete", "pod", name, "--namespace", "student-01", "--force", "--grace-period=0")
    end = school.wait_end("student-01", "greetings", 300)
    assert (end["phase"], end["gatesPassed"]) == ("Succeeded", "1/1"), end
    record = json.loads(school.read_run_text("student-01", "greetings", "stages/caller/record.json"))
    assert (record["num_greetings"], len(record["servers"])) == (100, 2), record
    assert list_servers(school, "student-01") == []
    assert school.api.get(f"/api/v1/namespaces/student-01/services?{marks}")["items"] == []
    wait_until(lambda: not school.api.get(f"/api/v1/namespaces/student-01/pods?{marks}")["items"], "its pods' end", 60)
    assert "greeter" in school.read_page("student-01", "greetings")


@pytest.mark.usefixtures("made_up")
def test_a_kept_server_is_all_that_is_left(school):
    spec = GREETINGS | {"set": {"caller.num_greetings": 2}, "serving": {"keep": True}}
    school.apply("student-02", "kept", **spec)
    status = wait_until(
        lambda: (one := school.read_status("student-02", "kept")).get("phase") == "Serving" and one, "Serving", 240
    )
    assert status["gatesPassed"] == "1/1"
    assert list_servers(school, "student-02") == ["kept"]
    running = "fieldSelector=status.phase=Running&labelSelector=practicum.dev/week-job=kept"

    def list_running_steps():
        pods = school.api.get(f"/api/v1/namespaces/student-02/pods?{running}")["items"]
        return [pod["metadata"]["labels"]["practicum.dev/step"] for pod in pods]

    # The pod of a task lives for a moment after its report.
    wait_until(lambda: list_running_steps() == ["greeter"], "the server alone", 60)
    assert school.read_status("student-02", "kept")["phase"] == "Serving"
    school.client.kubectl("delete", "weekjob", "kept", "--namespace", "student-02")
    wait_until(lambda: list_servers(school, "student-02") == [], "the server's end", 60)


def test_the_chart_is_upgraded_and_removed(school):
    assert "STATUS: deployed" in school.install()
    school.client.helm("uninstall", "practicum", "--namespace", PLATFORM, "--wait")
    left = school.client.kubectl("get", "deployments", "--namespace", PLATFORM, "--output", "name")
    assert left.strip() == ""
    # What students made outlives the release.
    assert school.read_status("student-01", "week-01")["phase"] == "Succeeded"
