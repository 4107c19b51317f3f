"""The controller's real process on a real API server: it starts, leads, believes the right reports only, and ends."""

from __future__ import annotations

import base64
import json
import signal
import time
import uuid

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from controller_process import NAMESPACE, Replica, request_token, write_certificate
from controller_stand import PAGE
from practicum_cluster.api import wait_until
from practicum_controller.leader import LEADER, LEASE
from practicum_controller.lease import DURATION_S
from practicum_core import labels
from practicum_core.reports import INGEST_AUDIENCE, MAX_EVIDENCE_BYTES, MAX_REPORT_BYTES, REPORTS_ROUTE

pytestmark = pytest.mark.cluster
LEASE_PATH = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/{LEASE}"


@pytest.fixture(scope="module")
def server(server):
    api = server.api
    api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    api.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": NAMESPACE}})
    return server


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    write_certificate(folder)
    return folder


@pytest.fixture
def start(server, tls, tmp_path):
    replicas = []

    def starting(**variables):
        replicas.append(Replica(server, tls, tmp_path / "history.sqlite", **variables))
        return replicas[-1]

    yield starting
    for replica in replicas:
        if replica.process.poll() is None:
            replica.process.kill()
            replica.process.wait()


@pytest.fixture(scope="module")
def replica(server, tls, tmp_path_factory):
    """One that leads at once."""
    folder = tmp_path_factory.mktemp("replica")
    made = Replica(server, tls, folder / "history.sqlite", PRACTICUM_LEADER_ELECTION="false")
    made.wait("leading")
    yield made
    if made.process.poll() is None:
        made.process.kill()
        made.process.wait()


class Pod:
    """A stage's pod as the API server knows it, and the tokens that the kubelet would give it."""

    def __init__(self, server, step="sft", **marks):
        self.server = server
        self.step = step
        self.namespace = f"student-{uuid.uuid4().hex[:6]}"
        api = server.api
        api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}})
        account = {"name": "practicum-stage", "namespace": self.namespace}
        api.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account})
        # Of no course: the controller makes nothing for it.
        about = {"name": "week-03", "namespace": self.namespace}
        week_job = {"apiVersion": "practicum.dev/v1alpha1", "kind": "WeekJob", "metadata": about}
        self.uid = api.apply({**week_job, "spec": {"unit": "sft"}})["metadata"]["uid"]
        metadata = {"name": f"{step}-0", "namespace": self.namespace}
        metadata["labels"] = labels.build_child_labels("week-03", self.uid, "sft", step, 1) | marks
        container = {"name": "stage", "image": "x"}
        spec = {
            "serviceAccountName": "practicum-stage",
            "containers": [container],
            "automountServiceAccountToken": False,
        }
        pod = api.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
        self.reference = {"name": f"{step}-0", "uid": pod["metadata"]["uid"]}

    def get_token(self, audience=INGEST_AUDIENCE, *, is_bound=True):
        return request_token(self.server.api, self.namespace, self.reference if is_bound else None, audience)

    def build_report(self, **rest):
        return {"uid": self.uid, "step": self.step, "attempt": 1, "outcome": "succeeded"} | rest


def expire(token, server):
    """The same token as the API server would have signed it two hours ago, for an hour."""
    head, body, _ = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    for name in ("exp", "iat", "nbf"):
        claims[name] -= 7200
    text = f"{head}.{encode(json.dumps(claims).encode())}"
    key = serialization.load_pem_private_key((server.layout.pki / "service-account.key").read_bytes(), None)
    parts = decode_dss_signature(key.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
    return f"{text}.{encode(b''.join(part.to_bytes(32, 'big') for part in parts))}"


def encode(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


@pytest.fixture(scope="module")
def pod(server, replica):
    made = Pod(server)
    token = made.get_token()
    # The controller sees the pod a moment after it was made.
    progress = made.build_report(outcome="running", progress=0.1)
    wait_until(lambda: replica.report(token, progress)[0] == 200, "a report that is taken", 40)
    return made


def test_a_report_of_the_pod_itself_is_taken(replica, pod):
    token = pod.get_token()
    assert replica.report(token, pod.build_report(evidence_html=PAGE)) == (200, {"status": "taken"})
    assert replica.report(token, pod.build_report(evidence_html=PAGE))[0] == 429
    wait_until(lambda: replica.report(token, pod.build_report(evidence_html=PAGE))[0] == 200, "its repetition", 40)
    assert 'practicum_reports_total{status="200"}' in replica.read_metrics()


def build_refusals(server, pod):
    other = Pod(server, "evaluate")
    token, report = pod.get_token(), pod.build_report()
    large = base64.b64encode(b"x" * (MAX_EVIDENCE_BYTES + 1)).decode()
    return {
        "no token": (None, report, 401, "missing"),
        "garbage for a token": ("garbage", report, 401, "missing"),
        "a token for another audience": (pod.get_token("somebody-else"), report, 401, "ingest"),
        "a token of the account and of no pod": (pod.get_token(is_bound=False), report, 401, "no pod"),
        "an expired token": (expire(token, server), report, 401, "missing"),
        "a token with another signature": (token[:-6] + "AAAAAA", report, 401, "missing"),
        "the token of another pod": (other.get_token(), report, 403, "does not run"),
        "another step": (token, pod.build_report(step="evaluate"), 403, "does not run"),
        "another attempt": (token, pod.build_report(attempt=2), 403, "does not run"),
        "another week job": (token, pod.build_report(uid=str(uuid.uuid4())), 403, "does not run"),
        "an unknown outcome": (token, pod.build_report(outcome="great"), 422, "not a report"),
        "an unknown key": (token, pod.build_report(grade="A"), 422, "not a report"),
        "no JSON": (token, b"\xff\xfe{", 422, "not a report"),
        "nothing": (token, b"", 422, "not a report"),
        "a body of five megabytes": (token, b" " * (MAX_REPORT_BYTES + 1_000_000), 413, "bytes"),
        "a page that fits no ConfigMap": (token, pod.build_report(evidence_html=large), 413, "fit"),
        "a page that is not base64": (token, pod.build_report(evidence_html="<html>"), 413, "base64"),
    }


@pytest.fixture(scope="module")
def refusals(server, pod):
    return build_refusals(server, pod)


REFUSALS = [
    "no token",
    "garbage for a token",
    "a token for another audience",
    "a token of the account and of no pod",
    "an expired token",
    "a token with another signature",
    "the token of another pod",
    "another step",
    "another attempt",
    "another week job",
    "an unknown outcome",
    "an unknown key",
    "no JSON",
    "nothing",
    "a body of five megabytes",
    "a page that fits no ConfigMap",
    "a page that is not base64",
]


@pytest.mark.parametrize("name", REFUSALS)
def test_a_report_is_refused(replica, refusals, name):
    token, document, status, said = refusals[name]
    seen = replica.report(token, document)
    if name == "the token of another pod":
        # The controller may not have seen the other pod yet.
        wait_until(lambda: "does not run" in replica.report(token, document)[1]["error"], "the pod", 40)
        seen = replica.report(token, document)
    assert (seen[0], said in seen[1]["error"]) == (status, True), seen
    assert token is None or token not in replica.log.read_text()


def test_progress_may_come_twice_a_second(replica, server):
    pod = Pod(server, "audit")
    token = pod.get_token()
    wait_until(lambda: replica.report(token, pod.build_report(outcome="running"))[0] == 200, "the pod", 40)
    reports = (pod.build_report(outcome="running", progress=number / 40) for number in range(40))
    assert any(replica.report(token, report)[0] == 429 for report in reports)
    assert replica.report(token, pod.build_report())[0] == 200


def test_a_token_is_worth_nothing_when_its_pod_is_gone(replica, server):
    pod = Pod(server, "snapshot")
    token = pod.get_token()
    wait_until(lambda: replica.report(token, pod.build_report())[0] == 200, "the pod", 40)
    path = f"/api/v1/namespaces/{pod.namespace}/pods/snapshot-0"
    server.api.request("DELETE", path, {"gracePeriodSeconds": 0})
    wait_until(lambda: replica.report(token, pod.build_report())[0] in {401, 403}, "the end of its worth", 20)


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/", 404), ("POST", "/v1/report", 404), ("GET", REPORTS_ROUTE, 405)]
)
def test_what_is_not_there_is_said_in_json(replica, method, path, status):
    seen, document = replica.request(method, path)
    assert (seen, path in document["error"]) == (status, True)


def test_series_are_shown(replica):
    wait_until(lambda: 'practicum_week_jobs{phase="Queued"}' in replica.read_metrics(), "series", 40)
    assert "practicum_is_leader 1.0" in replica.read_metrics()


def build_replica_pod(server, name):
    metadata = {"name": name, "namespace": NAMESPACE}
    container = {"name": "controller", "image": "x"}
    spec = {"containers": [container], "automountServiceAccountToken": False}
    server.api.apply({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})


def get_leaders(server):
    pods = server.api.get(f"/api/v1/namespaces/{NAMESPACE}/pods")["items"]
    return [pod["metadata"]["name"] for pod in pods if pod["metadata"].get("labels", {}).get(LEADER) == "true"]


def test_two_replicas_take_turns(server, start):
    """The second stands by; it leads when the Lease of a killed leader ran out, seconds after SIGTERM of one."""
    server.api.delete(LEASE_PATH)
    for name in ("controller-a", "controller-b"):
        build_replica_pod(server, name)
    first = start(PRACTICUM_POD_NAME="controller-a")
    first.wait("leading")
    second = start(PRACTICUM_POD_NAME="controller-b")
    second.wait("standby")
    assert get_leaders(server) == ["controller-a"]
    pod = Pod(server)
    assert second.report(pod.get_token(), pod.build_report())[0] == 503
    first.process.kill()
    first.process.wait()
    second.wait("leading", 40)
    wait_until(lambda: "controller-b" in get_leaders(server), "its label", 40)
    wait_until(lambda: second.report(pod.get_token(), pod.build_report())[0] == 200, "a report that is taken", 40)
    third = start(PRACTICUM_POD_NAME="controller-a")
    third.wait("standby")
    assert get_leaders(server) == ["controller-b"]
    begun_s = time.monotonic()
    assert second.stop() == 0
    third.wait("leading")
    assert time.monotonic() - begun_s < DURATION_S
    wait_until(lambda: get_leaders(server) == ["controller-a"], "its label", 40)


def test_it_issues_its_certificate_into_an_empty_secret_and_keeps_it(server, tmp_path):
    secret = {"name": "controller-certificate", "namespace": NAMESPACE}
    server.api.apply({"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": secret})
    issued = {"PRACTICUM_TLS_SECRET": secret["name"], "PRACTICUM_TLS_HOSTS": "localhost"}
    served = []
    for name in ("first", "second"):
        # Each pod has a folder of its own; what they serve is the Secret's.
        tls = tmp_path / name
        replica = Replica(server, tls, tmp_path / "h.sqlite", PRACTICUM_LEADER_ELECTION="false", **issued)
        try:
            wait_until(
                lambda tls=tls, replica=replica: (tls / "ca.crt").is_file() or replica.process.poll(),
                "the certificate",
                40,
            )
            replica.wait("leading")
            served.append((tls / "tls.crt").read_text())
        finally:
            replica.stop()
    assert served[0] == served[1]
    kept = server.api.get(f"/api/v1/namespaces/{NAMESPACE}/secrets/{secret['name']}")["data"]
    assert base64.b64decode(kept["tls.crt"]).decode() == served[0]


def test_the_process_ends_within_seconds(start):
    replica = start(PRACTICUM_LEADER_ELECTION="false")
    replica.wait("leading")
    begun_s = time.monotonic()
    assert replica.stop() == 0
    assert time.monotonic() - begun_s < 20
    assert "Traceback" not in replica.log.read_text()


PROGRAM = """
import sys
from practicum_controller.__main__ import main
print("this is {}", flush=True)
sys.exit(main())
"""


def test_a_hangup_starts_it_anew_with_the_code_that_is_there(start, tmp_path):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM.format("the first"))
    replica = start(program=[program], PRACTICUM_LEADER_ELECTION="false")
    replica.wait("leading")
    program.write_text(PROGRAM.format("the second"))
    replica.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "this is the second" in replica.log.read_text(), "the new code", 20)
    # The same process: a container's first process is never replaced.
    replica.wait("leading")
    assert replica.stop() == 0
    assert "Traceback" not in replica.log.read_text()


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"PRACTICUM_WORKERS": "many"}, "PRACTICUM_WORKERS"),
        ({"PRACTICUM_DATABASE_URL": "mysql://x"}, "mysql is not a database"),
        ({"PRACTICUM_TLS_DIR": "/nonexistent"}, "PRACTICUM_TLS_DIR"),
        ({"PRACTICUM_TLS_SECRET": "nobodys"}, "Secret nobodys is not in namespace practicum-system"),
    ],
)
def test_a_wrong_setting_ends_it_with_a_sentence(start, variables, said):
    replica = start(**variables)
    assert replica.process.wait(20) == 2
    text = replica.log.read_text()
    assert said in text
    assert "Traceback" not in text
