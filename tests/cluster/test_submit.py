"""The command against a real API server: submit a file, follow it, read logs and evidence. The rest is played."""

from __future__ import annotations

import base64
import contextlib
import gzip
import http.server
import json
import signal
import ssl
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path

import pytest
import yaml

from practicum_cluster.api import wait_until
from practicum_core import labels
from practicum_core.curriculum import get_unit
from practicum_core.weekjob import WeekJobStatus

pytestmark = pytest.mark.cluster
ROOT = Path(__file__).parents[2]
WEEKS = "/apis/practicum.dev/v1alpha1/namespaces/{}/weekjobs"
STEPS = [step.name for step in get_unit("experiments").steps]
PAGE = b"<html>evidence \xe8\xaf\x81\xe6\x8d\xae</html>"
END = {"reason": "GatesPassed", "message": "every gate passed"}


@pytest.fixture
def student(api_server, monkeypatch):
    """A namespace, and the rights of its student in the environment of the command."""
    name = f"student-{uuid.uuid4().hex[:6]}"
    api = api_server.api
    api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    documents = list(yaml.safe_load_all((ROOT / "charts/practicum/examples/default.yaml").read_text()))
    role = next(
        one for one in documents if one["kind"] == "ClusterRole" and one["metadata"]["name"] == "practicum-student"
    )
    api.apply(role)
    group = "rbac.authorization.k8s.io"
    binding = {"apiVersion": f"{group}/v1", "kind": "RoleBinding", "metadata": {"name": "student", "namespace": name}}
    reference = {"apiGroup": group, "kind": "ClusterRole", "name": "practicum-student"}
    subject = {"apiGroup": group, "kind": "User", "name": name}
    api.apply({**binding, "roleRef": reference, "subjects": [subject]})
    monkeypatch.setenv("KUBECONFIG", str(api_server.write_credentials(name, name)))
    return name


@pytest.fixture
def week(tmp_path, monkeypatch):
    """The file of week 1, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "week-01.yaml"
    path.write_text((ROOT / "manifests/course-10/week-01.yaml").read_text())
    return path


def read(api_server, namespace, name="week-01"):
    return api_server.api.find(f"{WEEKS.format(namespace)}/{name}")


def build_status(phase, *stages, **rest):
    known = dict(stages)
    listed = [
        {"name": name, "attempt": 1 if name in known else 0} | known.get(name, {"phase": "Pending"}) for name in STEPS
    ]
    return WeekJobStatus.model_validate({"phase": phase, "stages": listed, **rest}).model_dump(
        mode="json", by_alias=True, exclude_none=True
    )


def play(api_server, namespace, status, name="week-01"):
    path = f"{WEEKS.format(namespace)}/{name}"
    wait_until(lambda: api_server.api.find(path), "the week job")
    api_server.api.patch(f"{path}/status", {"status": status})


def done(seconds=1.5):
    return {"phase": "Succeeded", "progress": 1.0, "durationSeconds": seconds}


def build_end(**rest):
    gates = [{"name": "no_leakage", "value": 0.0, "threshold": 0.0, "passed": True}]
    return build_status("Succeeded", *((step, done()) for step in STEPS), **END, gates=gates, **rest)


def keep_page(api_server, namespace, content=None, name="week-01"):
    packed = base64.b64encode(gzip.compress(PAGE) if content is None else content).decode()
    kept = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"{name}-evidence", "namespace": namespace}}
    api_server.api.apply(kept | {"binaryData": {"index.html.gz": packed}})


def test_submits_what_the_file_says_and_no_more(api_server, student, week, command):
    code, out, err = command("submit", week, "-n", student)
    assert (code, err) == (0, "")
    assert out == f"{student}/week-01: submitted\nlook at it with: practicum status week-01 -n {student}\n"
    kept = read(api_server, student)
    assert kept["spec"]["unit"] == "experiments"
    (owner,) = (one for one in kept["metadata"]["managedFields"] if one["manager"] == "practicum-cli")
    owned = {key.removeprefix("f:") for key in owner["fieldsV1"]["f:spec"]}
    assert owned == set(yaml.safe_load(week.read_text())["spec"])
    assert "unchanged" in command("submit", week, "-n", student)[1]
    week.write_text(week.read_text().replace("backoffLimit: 1", "backoffLimit: 2"))
    assert "changed" in command("submit", week, "-n", student)[1]
    assert read(api_server, student)["spec"]["backoffLimit"] == 2
    document = json.loads(command("submit", week, "-n", student, "--json")[1])
    assert (document["name"], document["namespace"], document["status"]["phase"]) == ("week-01", student, "Pending")


def test_problems_of_the_file_are_all_told_before_anything_is_sent(api_server, student, week, command):
    text = week.read_text().replace("backoffLimit: 1", "backofLimit: 1\n  set: {evaluate.limt: 3}\n  seed: -1")
    week.write_text(text)
    code, _, err = command("submit", week, "-n", student)
    assert code == 2
    assert "did you mean 'backoffLimit'?" in err
    assert "did you mean 'limit'?" in err
    assert "spec.seed" in err
    assert read(api_server, student) is None
    assert command("submit", "missing.yaml", "-n", student)[0] == 2


def test_what_the_server_alone_knows_is_told_with_the_field(api_server, student, week, command):
    week.write_text(week.read_text().replace("name: week-01", "name: " + "w" * 45, 1))
    code, _, err = command("submit", week, "-n", student)
    assert code == 2
    assert "metadata.name may have 40 characters" in err
    assert "fix: correct the named keys" in err


def test_a_week_that_has_started_is_not_changed(api_server, student, week, command):
    command("submit", week, "-n", student)
    play(
        api_server, student, build_status("Running", ("model", {"phase": "Running"}), startTime="2026-01-02T03:04:05Z")
    )
    week.write_text(week.read_text().replace("builtin:tickets", "builtin:tickets?rows=80"))
    code, _, err = command("submit", week, "-n", student)
    assert code == 2
    assert "spec.data cannot change once the week job has started; make a new one" in err


def test_the_namespace_is_the_one_given_or_the_files(api_server, student, week, command):
    week.write_text(week.read_text().replace("metadata:\n", f"metadata:\n  namespace: {student}\n", 1))
    assert command("submit", week)[0] == 0
    assert read(api_server, student)
    code, _, err = command("submit", week, "-n", "other")
    assert (code, f"the file says '{student}', --namespace says 'other'" in err) == (2, True)


def test_refusals_of_rights_and_missing_parts(api_server, student, week, command, tmp_path, monkeypatch):
    code, _, err = command("submit", week, "-n", "default")
    assert (code, "PermissionDenied" in err, "roster" in err) == (4, True, True)
    assert command("status", "-n", "default")[0] == 4
    assert command("submit", week, "-n", "../pods")[0] == 2
    code, _, err = command("status", "week-1", "-n", student)
    assert (code, f"no week job 'week-1' in {student}" in err) == (2, True)
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "practicum", "namespace": student}}
    api_server.api.apply({**quota, "spec": {"hard": {"count/weekjobs.practicum.dev": "0"}}})
    path = f"/api/v1/namespaces/{student}/resourcequotas/practicum/status"
    api_server.api.patch(
        path, {"status": {"hard": {"count/weekjobs.practicum.dev": "0"}, "used": {"count/weekjobs.practicum.dev": "0"}}}
    )
    code, _, err = command("submit", week, "-n", student)
    assert (code, "QuotaExceeded" in err, "exceeded quota" in err) == (75, True, True)
    monkeypatch.setenv("KUBECONFIG", str(api_server.kubeconfig))
    code, _, err = command("submit", week, "-n", "nowhere")
    assert (code, 'namespaces "nowhere" not found' in err) == (2, True)


def test_a_cluster_without_practicum_says_so(api_server, week, command, monkeypatch):
    monkeypatch.setenv("KUBECONFIG", str(api_server.kubeconfig))
    monkeypatch.setattr("practicum_cli.api_server.PRACTICUM", "/apis/practicum.example/v1")
    code, _, err = command("submit", week)
    assert (code, "ClusterMissing" in err, "the cluster has no Practicum" in err) == (4, True, True)
    assert command("status", "--cluster")[0] == 4


def follow_in_thread(api_server, student, week, *options):
    """Follow a week in a process of its own; returns it."""
    command = ["submit", week, "--follow", "-n", student, *options]
    # A shell's background ignores the interrupt, and so would what it starts.
    arguments = ["env", "--default-signal=INT", sys.executable, "-m", "practicum_cli.main", *command]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def read_events(text):
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def test_follows_to_the_end_like_a_local_run(api_server, student, week, tmp_path):
    with follow_in_thread(api_server, student, week) as process:
        play(api_server, student, build_status("Queued", reason="Queued", message="model: waits for quota"))
        time.sleep(1.5)
        play(
            api_server,
            student,
            build_status(
                "Running", ("model", {"phase": "Running", "progress": 0.5}), reason="StageRunning", message="model runs"
            ),
        )
        time.sleep(2.5)
        keep_page(api_server, student)
        play(api_server, student, build_end(evidence="configmap/week-01-evidence"))
        out, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    assert f"{student}/week-01: submitted" in err
    events = read_events(err)
    told = [(event["event"], event.get("step") or event.get("message") or event.get("phase")) for event in events]
    assert told[0][0] == "run_started"
    assert ("waiting", "model: waits for quota") in told
    assert ("step_started", "model") in told
    assert [name for event, name in told if event == "step_finished"] == STEPS
    assert told[-1] == ("run_finished", "Succeeded")
    assert "week-01 (experiments: Reproducible experiments and data versions): Succeeded, every gate passed" in out
    assert "  gate passed: no_leakage (measured 0, threshold 0)" in out
    pack = Path(out.splitlines()[-1].strip())
    assert pack.read_bytes() == PAGE
    assert pack.is_relative_to(tmp_path / "experiments" / "cluster" / student / "week-01")


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (build_end() | {"reason": "GateFailed", "message": "gates not passed: x"}, 1, "read in the evidence pack"),
        (
            build_status("Failed", ("model", {"phase": "Failed"}), reason="OutOfMemory", message="model: killed"),
            4,
            "practicum logs week-01 model -n ",
        ),
        (
            build_status("Failed", reason="ConfigInvalid", message="evaluate.limit: too large"),
            2,
            "another metadata.name",
        ),
    ],
)
def test_the_exit_code_is_that_of_a_local_run(api_server, student, week, command, status, code, words):
    command("submit", week, "-n", student)
    play(api_server, student, status)
    found, out, err = command("submit", week, "-n", student, "--follow")
    assert found == code
    assert words in out + err
    if status["phase"] == "Failed":
        assert "ended before (Failed) and does not run again" in err
    document = json.loads(command("submit", week, "-n", student, "--follow", "--json")[1])
    assert document["status"]["reason"] == status["reason"]


def test_a_deleted_week_ends_the_following(api_server, student, week):
    with follow_in_thread(api_server, student, week) as process:
        wait_until(lambda: read(api_server, student), "the week job")
        time.sleep(1)
        api_server.api.delete(f"{WEEKS.format(student)}/week-01")
        _, err = process.communicate(timeout=30)
    assert (process.returncode, "it was deleted" in err) == (143, True)


def test_an_interrupt_leaves_the_week_and_says_how_to_look_again(api_server, student, week):
    with follow_in_thread(api_server, student, week) as process:
        line = process.stderr.readline()
        assert "submitted" in line
        assert '"run_started"' in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        try:
            _, err = process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == 130
    assert f"{student}/week-01 goes on; look at it with: practicum status week-01 -n {student}" in err
    assert read(api_server, student)


def test_status_is_the_table_of_a_local_run(api_server, student, week, command):
    assert "no week jobs there" in command("status", "-n", student)[1]
    command("submit", week, "-n", student)
    queue = {"position": 2, "message": "waits", "etaSeconds": 600}
    play(
        api_server,
        student,
        build_status(
            "Queued",
            ("model", {"phase": "Queued", "message": "waits"}),
            reason="Queued",
            message="model: waits",
            queue=queue,
        ),
    )
    out = command("status", "-n", student)[1]
    assert out.splitlines()[0].split() == ["UNIT", "RUN", "PHASE", "GATES", "MESSAGE"]
    assert out.splitlines()[1].split() == ["experiments", "week-01", "Queued", "model:", "waits"]
    out = command("status", "week-01", "-n", student)[1]
    assert out.startswith(f"{student}/week-01: Queued, model: waits\nSTEP ")
    assert "queue: 2 ahead, about 10 min to wait" in out
    play(api_server, student, build_end())
    out = command("status", "latest:experiments", "-n", student)[1]
    assert "gate passed: no_leakage (0, 0)" in out
    assert json.loads(command("status", "week", "-n", student, "--json")[1])["phase"] == "Succeeded"
    rows = json.loads(command("status", "-n", student, "--json")[1])
    assert rows == [
        {"unit": "experiments", "run": "week-01", "phase": "Succeeded", "gates": "1/1", "message": "every gate passed"}
    ]


def test_evidence_is_fetched_and_wrong_pages_are_told(api_server, student, week, command, tmp_path):
    command("submit", week, "-n", student)
    code, _, err = command("evidence", "-n", student)
    assert (code, "no evidence pack; the week job is Pending" in err) == (3, True)
    play(api_server, student, build_end(evidence="configmap/week-01-evidence"))
    code, _, err = command("evidence", "week-01", "-n", student)
    assert (code, "read it on the volume `workspace`: experiments/experiments/" in err) == (3, True)
    keep_page(api_server, student)
    code, out, _ = command("evidence", "-n", student)
    assert (code, out.splitlines()[0]) == (0, "gate passed: no_leakage")
    pack = Path(command("evidence", "-n", student, "--path")[1].strip())
    assert pack.read_bytes() == PAGE
    assert pack.is_relative_to(tmp_path / "experiments")
    for wrong in (b"no gzip", gzip.compress(PAGE)[:-9], b""):
        keep_page(api_server, student, wrong)
        assert command("evidence", "-n", student)[0] == 3


class Kubelet(http.server.BaseHTTPRequestHandler):
    """The part of a kubelet that the API server asks for logs."""

    def do_GET(self):
        pod = self.path.split("/")[3]
        is_there = "evaluate" not in pod
        text = (f"{pod} says hello\nand 再见\n" if is_there else "the container is waiting to start").encode()
        self.send_response(200 if is_there else 400)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *arguments):
        """Say nothing."""


@contextlib.contextmanager
def kubelet(api_server, name):
    """A node whose kubelet answers on loopback."""
    certificate = api_server.issue(f"kubelet-{name}", name, names=(name,))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.certificate, certificate.key)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Kubelet) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        api_server.api.apply({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}})
        status = {
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": server.server_port}},
        }
        api_server.api.patch(f"/api/v1/nodes/{name}/status", {"status": status})
        try:
            yield name
        finally:
            server.shutdown()


def make_pod(api_server, namespace, step, node, phase, **marks):
    uid = read(api_server, namespace)["metadata"]["uid"]
    name = f"week-01-{step}-{uuid.uuid4().hex[:4]}"
    metadata = {
        "name": name,
        "namespace": namespace,
        "labels": labels.build_child_labels("week-01", uid, "experiments", step, 1) | marks,
    }
    container = {"name": "stage", "image": "x", "resources": {}}
    spec = {"containers": [container], "serviceAccountName": "default", **({"nodeName": node} if node else {})}
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": namespace}}
    api_server.api.apply(account)
    api_server.api.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
    api_server.api.patch(f"/api/v1/namespaces/{namespace}/pods/{name}/status", {"status": {"phase": phase}})
    return name


def test_logs_are_those_of_the_steps_pods(api_server, student, week, command):
    command("submit", week, "-n", student)
    code, out, err = command("logs", "week-01", "-n", student)
    assert (code, out, "model: has not run yet" in err) == (0, "", True)
    with kubelet(api_server, f"node-{student}") as node:
        model = make_pod(api_server, student, "model", node, "Succeeded")
        snapshot = make_pod(api_server, student, "snapshot", node, "Running")
        make_pod(api_server, student, "snapshot", node, "Running", **{"ray.io/node-type": "worker"})
        make_pod(api_server, student, "evaluate", node, "Running")
        make_pod(api_server, student, "report", None, "Pending")
        play(api_server, student, build_end())
        code, out, err = command("logs", "week-01", "-n", student)
        assert code == 0, err
        assert out.splitlines() == [
            f"model: {model} says hello",
            "model: and 再见",
            f"snapshot: {snapshot} says hello",
            "snapshot: and 再见",
        ]
        assert (
            "report: no pod of it has a log; the whole log lies on the volume `workspace`: experiments/experiments/"
            in err
        )
        assert "evaluate: no pod of it has a log" in err
        code, out, _ = command("logs", "latest", "model", "-n", student, "--follow")
        assert (code, out) == (0, f"{model} says hello\nand 再见\n")
        code, _, err = command("logs", "week-01", "modl", "-n", student)
        assert (code, "did you mean 'model'?" in err) == (2, True)
