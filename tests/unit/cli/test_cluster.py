"""What the command decides about a cluster, without one: names, documents, refusals, events, kubeconfigs."""

from __future__ import annotations

import base64
import datetime as dt
import gzip
import http.server
import json
import ssl
import sys
import threading

import pytest
import trustme
import yaml

from practicum_cli.api_server import _unpack, connect
from practicum_cli.cluster_runs import (
    Place,
    build_document,
    choose_namespace,
    find_cluster_run,
    read_cluster_run,
)
from practicum_cli.cluster_session import Submission
from practicum_cli.following import PATIENCE_S, Follower, iter_events
from practicum_cli.refusals import Refusal, explain_refusal
from practicum_core.errors import DataError, PlatformError, PracticumError, Reason
from practicum_core.phases import Phase
from practicum_core.reports import PodStep
from practicum_core.weekjob import StageStatus, WeekJob, WeekJobStatus

NOW = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
UID = "0102ffab-0000-0000-0000-000000000000"


def build_kept(name="week-01", unit="experiments", minute=0, generation=1, uid=UID, **status):
    """A week job as an API server returns it."""
    created = NOW.replace(minute=minute).isoformat().replace("+00:00", "Z")
    metadata = {"name": name, "namespace": "student-01", "uid": uid, "creationTimestamp": created}
    metadata |= {"generation": generation, "resourceVersion": "7", "managedFields": [], "labels": {"a": "b"}}
    return {"metadata": metadata, "spec": {"unit": unit}, **({"status": status} if status else {})}


def build_run(**parts):
    return read_cluster_run(build_kept(**parts))


RUNS = [build_run(name="week-01", minute=3), build_run(name="week-03", unit="sft", minute=1), build_run(name="again")]


@pytest.mark.parametrize(
    ("reference", "name"),
    [("week-01", "week-01"), ("latest", "week-01"), ("latest:sft", "week-03"), ("ag", "again"), ("week-03", "week-03")],
)
def test_a_week_job_is_named(reference, name):
    assert find_cluster_run(reference, RUNS, "student-01").name == name


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("week", "names 2 week jobs: week-03, week-01"),
        ("week-02", "no week job 'week-02' in student-01; did you mean"),
        ("latest:data", "'latest:data': no such week job"),
    ],
)
def test_a_name_that_fits_none_or_several(reference, words):
    with pytest.raises(PracticumError, match="week job") as fault:
        find_cluster_run(reference, RUNS, "student-01")
    assert words in fault.value.detail
    assert fault.value.exit_code == 2


def test_an_exact_name_goes_before_the_beginning_of_another():
    runs = [build_run(name="week"), build_run(name="week-2")]
    assert find_cluster_run("week", runs, "student-01").name == "week"


def test_the_run_id_is_that_of_the_workspace():
    run = build_run()
    step = PodStep(
        weekjob=run.weekjob, uid=UID, created_at=NOW.replace(minute=0), step="a", stage="b", attempt=1, config={}
    )
    assert run.run_id == step.run_id
    assert str(run.workspace) == f"experiments/experiments/{run.run_id}"


def test_a_status_of_another_version_is_told():
    with pytest.raises(PlatformError, match="phase") as fault:
        build_run(phase="Dreaming")
    assert (fault.value.exit_code, "same version" in fault.value.fix) == (4, True)


@pytest.mark.parametrize(
    ("phase", "seen", "is_over"),
    [
        ("Running", 2, False),
        ("Succeeded", 1, True),
        ("Failed", 1, True),
        ("Suspended", 2, True),
        ("Suspended", 1, False),
    ],
)
def test_a_suspension_of_an_earlier_spec_is_no_end(phase, seen, is_over):
    assert build_run(generation=2, phase=phase, observedGeneration=seen).is_over is is_over


def test_what_is_applied_is_what_the_file_says():
    text = "{metadata: {name: week-03}, spec: {unit: sft, set: {sft.lora_r: 8}, resources: {gpu: {slices: 1}}}}"
    spec = {"unit": "sft", "set": {"sft.lora_r": 8}, "resources": {"gpu": {"slices": 1}}}
    assert build_document(WeekJob.model_validate(yaml.safe_load(text)), "student-01") == {
        "apiVersion": "practicum.dev/v1alpha1",
        "kind": "WeekJob",
        "metadata": {"name": "week-03", "namespace": "student-01"},
        "spec": spec,
    }


@pytest.mark.parametrize(
    ("own", "given", "namespace"),
    [(None, None, "usual"), ("own", None, "own"), (None, "a", "a"), ("own", "own", "own")],
)
def test_the_namespace(own, given, namespace):
    metadata = {"name": "week-03"} | ({"namespace": own} if own else {})
    weekjob = WeekJob.model_validate({"metadata": metadata, "spec": {"unit": "sft"}})
    assert choose_namespace(weekjob, given, "usual") == namespace


@pytest.mark.parametrize(
    ("before", "run", "words"),
    [
        (None, build_run(), "student-01/week-01: submitted"),
        (build_run(), build_run(), "student-01/week-01: unchanged"),
        (build_run(), build_run(generation=2), "student-01/week-01: changed"),
        (build_run(phase="Failed"), build_run(), "ended before (Failed) and does not run again"),
    ],
)
def test_what_became_of_the_file(before, run, words):
    assert words in Submission(before, run).describe()


@pytest.mark.parametrize(
    ("refusal", "reason", "code"),
    [
        (Refusal(422, "is invalid", ["spec.unit: Unsupported value"]), Reason.CONFIG_INVALID, 2),
        (Refusal(400, "not JSON"), Reason.CONFIG_INVALID, 2),
        (Refusal(401, "Unauthorized"), Reason.PERMISSION_DENIED, 4),
        (Refusal(403, "cannot patch resource"), Reason.PERMISSION_DENIED, 4),
        (Refusal(403, "exceeded quota: practicum"), Reason.QUOTA_EXCEEDED, 75),
        (Refusal(403, "status unknown for quota: practicum"), Reason.UPSTREAM_UNAVAILABLE, 75),
        (Refusal(404, 'namespaces "a" not found', kind="namespaces"), Reason.CONFIG_INVALID, 2),
        (Refusal(404), Reason.CLUSTER_MISSING, 4),
        (Refusal(409, "conflict"), Reason.UPSTREAM_UNAVAILABLE, 75),
        (Refusal(429), Reason.UPSTREAM_UNAVAILABLE, 75),
        (Refusal(500, "etcdserver: request timed out"), Reason.UPSTREAM_UNAVAILABLE, 75),
        (Refusal(503), Reason.UPSTREAM_UNAVAILABLE, 75),
    ],
)
def test_a_refusal_has_a_reason_a_place_and_a_fix(refusal, reason, code):
    error = explain_refusal("student-01/week-03", refusal)
    assert (error.reason, error.exit_code) == (reason, code)
    assert error.detail.startswith("student-01/week-03: ")
    assert error.fix


def build_status(phase, message="", reason=None, **stages):
    listed = [StageStatus(name=name, phase=state, attempt=attempt) for name, (state, attempt) in stages.items()]
    return WeekJobStatus(phase=phase, message=message, reason=reason, stages=listed)


@pytest.mark.parametrize(
    ("before", "now", "told"),
    [
        (build_status(Phase.PENDING), build_status(Phase.PENDING), []),
        (
            build_status(Phase.PENDING),
            build_status(Phase.QUEUED, "no course", Reason.COURSE_MISSING),
            [("waiting", "no course")],
        ),
        (build_status(Phase.QUEUED, "2 ahead"), build_status(Phase.QUEUED, "1 ahead"), [("waiting", "1 ahead")]),
        (build_status(Phase.QUEUED, "1 ahead"), build_status(Phase.QUEUED, "1 ahead"), []),
        (
            build_status(Phase.RUNNING, a=(Phase.QUEUED, 1)),
            build_status(Phase.RUNNING, a=(Phase.RUNNING, 1)),
            [("step_started", "a")],
        ),
        (
            build_status(Phase.RUNNING, a=(Phase.RUNNING, 1), b=(Phase.PENDING, 0)),
            build_status(Phase.RUNNING, a=(Phase.SUCCEEDED, 1), b=(Phase.RUNNING, 1)),
            [("step_finished", "a"), ("step_started", "b")],
        ),
        (
            build_status(Phase.RUNNING, a=(Phase.RUNNING, 1)),
            build_status(Phase.RUNNING, a=(Phase.RUNNING, 2)),
            [("step_started", "a")],
        ),
        (
            build_status(Phase.PENDING),
            build_status(Phase.FAILED, "x", Reason.OUT_OF_MEMORY, a=(Phase.FAILED, 1)),
            [("step_started", "a"), ("step_finished", "a")],
        ),
    ],
)
def test_events_between_two_looks(before, now, told):
    found = [(event, details.get("step") or details["message"]) for event, details in iter_events(before, now)]
    assert found == told


class Looks:
    """A week job as it is at each look, a clock that only sleeping moves, and what was told."""

    def __init__(self, *seen):
        self.seen, self.now, self.events, self.statuses, self.pauses = list(seen), NOW, [], [], []

    def look(self):
        found = self.seen.pop(0) if len(self.seen) > 1 else self.seen[0]
        if isinstance(found, Exception):
            raise found
        return found

    def sleep(self, seconds):
        self.pauses.append(seconds)
        self.now += dt.timedelta(seconds=seconds)

    def on_event(self, event):
        self.events.append(event["event"])

    def on_status(self, status):
        self.statuses.append(status.phase)

    def follow(self, run):
        return Follower(self.look, self, self.sleep, lambda: self.now).follow(run)


SILENCE = PlatformError(Reason.UPSTREAM_UNAVAILABLE, "no answer")


def test_following_ends_with_the_week_and_pauses_longer_while_nothing_changes():
    looks = Looks(*[build_run(phase="Queued")] * 12, build_run(phase="Running"), build_run(phase="Succeeded"))
    assert looks.follow(build_run()).status.phase == "Succeeded"
    assert looks.statuses == ["Pending", "Queued", "Running", "Succeeded"]
    assert looks.events == ["run_started", "run_finished"]
    assert max(looks.pauses) == 5.0
    assert looks.pauses[-1] == 1.0


def test_a_short_silence_is_waited_out_and_told_once():
    looks = Looks(SILENCE, SILENCE, SILENCE, build_run(phase="Failed"))
    assert looks.follow(build_run()).status.phase == "Failed"
    assert looks.events == ["run_started", "cluster_silent", "run_finished"]


def test_a_long_silence_ends_the_following():
    looks = Looks(SILENCE)
    with pytest.raises(PlatformError, match="no answer"):
        looks.follow(build_run())
    assert sum(looks.pauses) == pytest.approx(PATIENCE_S, abs=12)


@pytest.mark.parametrize("gone", [None, build_run(uid=UID.replace("01", "03"))])
def test_a_week_that_was_deleted_or_made_anew_is_not_followed(gone):
    with pytest.raises(PracticumError, match="was deleted") as fault:
        Looks(gone).follow(build_run())
    assert fault.value.exit_code == 143


def test_a_right_that_was_lost_ends_the_following():
    with pytest.raises(PlatformError, match="not yours"):
        Looks(PlatformError(Reason.PERMISSION_DENIED, "not yours")).follow(build_run())


@pytest.fixture
def server():
    """An API server that knows whoever brings a token, and refuses with its name in the message."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            text = json.dumps({"kind": "Status", "code": 401, "message": str(self.headers["Authorization"])}).encode()
            self.send_response(401)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *arguments):
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def write_kubeconfig(path, url, user, context="here", authority=None, proxy=None):
    cluster = {"server": url} | ({"certificate-authority": authority} if authority else {})
    document = {
        "current-context": context,
        "clusters": [{"name": f"c-{context}", "cluster": cluster | ({"proxy-url": proxy} if proxy else {})}],
        "users": [{"name": f"u-{context}", "user": user}],
        "contexts": [
            {
                "name": context,
                "context": {"cluster": f"c-{context}", "user": f"u-{context}", "namespace": "student-01"},
            }
        ],
    }
    path.write_text(yaml.safe_dump(document))
    return path


@pytest.fixture
def ask(monkeypatch, tmp_path):
    """Return a function that asks the server of some kubeconfigs and returns the error."""
    monkeypatch.setenv("HOME", str(tmp_path))

    def call(*files, context=None):
        monkeypatch.setenv("KUBECONFIG", ":".join(map(str, files)))
        try:
            with connect(Place(context=context)) as found:
                assert found.namespace == "student-01"
                found.list_runs()
        except PracticumError as error:
            return error
        pytest.fail("no error")

    return call


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
def test_a_plugin_of_the_kubeconfig_says_who_asks(ask, server, tmp_path, version):
    program = (
        "import json, os; asked = json.loads(os.environ['KUBERNETES_EXEC_INFO'])['apiVersion'];"
        "answer = {'apiVersion': asked, 'kind': 'ExecCredential'};"
        "print(json.dumps({**answer, 'status': {'token': 'mine-' + asked.rpartition('/')[2]}}))"
    )
    plugin = {
        "apiVersion": f"client.authentication.k8s.io/{version}",
        "command": sys.executable,
        "args": ["-c", program],
    }
    error = ask(write_kubeconfig(tmp_path / "a", server, {"exec": plugin}))
    assert (error.reason, error.detail.endswith(f"Bearer mine-{version}")) == (Reason.PERMISSION_DENIED, True)


def test_the_context_is_found_in_any_of_several_files(ask, server, tmp_path):
    one = write_kubeconfig(tmp_path / "a", "http://127.0.0.1:1", {}, "one")
    two = write_kubeconfig(tmp_path / "b", server, {"token": "two"}, "two")
    assert "Bearer two" in ask(one, tmp_path / "absent", two, context="two").detail
    error = ask(one, two)
    assert (error.exit_code, "127.0.0.1:1" in error.detail) == (75, True)
    error = ask(one, two, context="twoo")
    assert (error.exit_code, "did you mean 'two'?" in error.detail) == (4, True)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "no cluster: no file"),
        ("", "kubeconfig"),
        ("[", "kubeconfig"),
        ("{clusters: [], contexts: []}", "names no current context"),
        ("{current-context: a, clusters: [], contexts: []}", "no context 'a'"),
        ("{current-context: a, clusters: [], contexts: [{name: a, context: {cluster: b}}]}", "b"),
        ("{current-context: a, clusters: 3}", "kubeconfig"),
    ],
)
def test_a_kubeconfig_that_names_no_cluster(ask, tmp_path, text, words):
    path = tmp_path / "kubeconfig"
    if text is not None:
        path.write_text(text)
    error = ask(path)
    assert (error.reason, words in error.detail) == (Reason.CLUSTER_MISSING, True)
    assert str(path) in error.detail
    assert "KUBECONFIG" in error.fix


@pytest.mark.parametrize(
    ("user", "words"),
    [
        ({"client-certificate-data": "bm9uZQ==", "client-key-data": "bm9uZQ=="}, "[SSL]"),
        ({"client-certificate": "absent", "client-key": "absent"}, "absent"),
        ({"tokenFile": "absent"}, "absent"),
        ({"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "no-such-program"}}, "no-such-program"),
        ({"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "false"}}, "returned 1"),
        ({"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "true"}}, "decode process output"),
        ({"exec": {"command": "true"}}, "apiVersion"),
        ({"auth-provider": {"name": "gcp"}}, "gke-gcloud-auth-plugin"),
    ],
)
def test_credentials_that_cannot_be_used(ask, server, tmp_path, user, words, capfd):
    error = ask(write_kubeconfig(tmp_path / "a", server.replace("http:", "https:"), user))
    assert (error.reason, error.exit_code) == (Reason.CLUSTER_MISSING, 4)
    assert "credentials cannot be used" in error.detail
    assert words in error.detail
    assert capfd.readouterr().err == ""


def test_a_server_whose_certificate_is_not_trusted(ask, tmp_path):
    own, other = trustme.CA(), trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    own.issue_cert("127.0.0.1").configure_cert(context)
    other.cert_pem.write_to_path(tmp_path / "ca.crt")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as server:
        server.handle_error = lambda *_: None
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        path = write_kubeconfig(tmp_path / "a", f"https://127.0.0.1:{server.server_port}", {}, authority="ca.crt")
        error = ask(path)
        server.shutdown()
    assert (error.reason, "CERTIFICATE_VERIFY_FAILED" in error.detail) == (Reason.CLUSTER_MISSING, True)
    assert "certificates" in error.fix


def test_the_proxy_of_the_kubeconfig_is_asked(ask, server, tmp_path):
    path = write_kubeconfig(tmp_path / "a", "http://cluster.example:80", {"token": "mine"}, proxy=server)
    assert "Bearer mine" in ask(path).detail


def test_an_expired_token_is_renewed_by_its_plugin(ask, server, tmp_path):
    """The plugin's first token has expired when the call is made, so the call brings its second."""
    program = (
        "import json, pathlib, sys; calls = pathlib.Path(sys.argv[1]); "
        "calls.write_text((calls.read_text() if calls.exists() else '') + 'x'); "
        "status = {'token': calls.read_text(), 'expirationTimestamp': '2020-01-02T03:04:05Z'}; "
        "print(json.dumps({'apiVersion': 'client.authentication.k8s.io/v1', 'kind': 'ExecCredential', "
        "'status': status}))"
    )
    arguments = ["-c", program, str(tmp_path / "calls")]
    plugin = {"apiVersion": "client.authentication.k8s.io/v1", "command": sys.executable, "args": arguments}
    assert ask(write_kubeconfig(tmp_path / "a", server, {"exec": plugin})).detail.endswith("Bearer xx")


def test_a_page_that_unpacks_to_far_too_much_is_refused():
    packed = base64.b64encode(gzip.compress(bytes(70 << 20))).decode()
    with pytest.raises(DataError, match="larger than"):
        _unpack(packed, "student-01/x")
