"""The bare cluster: a node that runs pods, names, a queue, policies that are enforced; gone without a trace.

Needs root and Debian; the rest it builds. The images of Practicum are not part of it: test_class.py runs weeks.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from cluster_lacks import require_bare_cluster
from practicum_cluster import operators
from practicum_cluster.api import wait_until
from practicum_cluster.bare import BareCluster
from practicum_cluster.daemons import TIED_TO_CALLER
from practicum_cluster.images import ensure_archive
from practicum_cluster.layout import get_cache
from practicum_cluster.node import CTR, NODE_NAME

pytestmark = [pytest.mark.cluster, pytest.mark.node, pytest.mark.timeout(1800)]
BUSYBOX = Path("/bin/busybox")
IMAGE = "localhost/busybox:test"
KUEUE = "kueue.x-k8s.io/v1beta2"


def read_traces():
    """What a cluster could leave behind on the machine."""

    def ask(*command):
        return subprocess.run(command, check=False, capture_output=True, text=True).stdout

    links = sorted(line.split(":")[1].strip() for line in ask("ip", "-o", "link").splitlines())
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    groups = sorted(str(path) for path in Path("/sys/fs/cgroup").glob("*/practicum"))
    names = {"kubelet", "containerd", "containerd-shim", "etcd", "kube-apiserver", "kube-proxy", "coredns"}
    processes = []
    for path in Path("/proc").glob("[0-9]*/comm"):
        try:
            name = path.read_text().strip()
        except OSError:
            continue
        # etcd and the API server of other tests of this session run outside.
        if name in names - {"etcd", "kube-apiserver"}:
            processes.append(name)
    return {
        "links": links,
        # Images may be built beside this.
        "mounts": sorted(path for path in mounts if not Path(path).is_relative_to(get_cache().with_name("images"))),
        "groups": groups,
        "routes": ask("ip", "route"),
        "rules": ask("nft", "list", "ruleset"),
        "processes": sorted(processes),
    }


@pytest.fixture(scope="module")
def cluster():
    require_bare_cluster()
    cluster = BareCluster(prefix=TIED_TO_CALLER)
    # What shows the traces is among the packages.
    cluster.prepare()
    cluster.claim()
    before = read_traces()
    cluster.up()
    try:
        cluster.load(ensure_archive("busybox", "test", BUSYBOX, "/bin/busybox"))
        cluster.install_operators()
        yield cluster
    finally:
        cluster.down()
    assert read_traces() == before


def build_pod(name, namespace, *command):
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": {"app": name}},
        "spec": build_spec(*command),
    }


def build_spec(*command):
    inside = {"readOnlyRootFilesystem": True, "allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    return {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "securityContext": {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [
            {
                "name": "main",
                "image": IMAGE,
                "imagePullPolicy": "Never",
                "command": ["/bin/busybox", *command],
                "securityContext": inside,
                "resources": {"requests": {"cpu": "10m", "memory": "8Mi"}},
            }
        ],
    }


def make_namespace(api, name):
    api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    wait_until(lambda: api.find(f"/api/v1/namespaces/{name}/serviceaccounts/default"), "the service account")


def wait_running(api, namespace, name):
    path = f"/api/v1/namespaces/{namespace}/pods/{name}"
    pod = wait_until(lambda: (one := api.get(path))["status"]["phase"] == "Running" and one, f"{name} to run", 90)
    return pod["status"]["podIP"]


def run_inside(cluster, namespace, script):
    client = operators.Client(cluster.kubeconfig)
    return client.kubectl("-n", namespace, "exec", "web", "--", "/bin/busybox", "sh", "-c", script)


def test_pods_reach_names_and_policies_are_enforced(cluster):
    api = cluster.api
    for namespace in ("left", "right"):
        make_namespace(api, namespace)
        api.apply(build_pod("web", namespace, "httpd", "-f", "-p", "8080", "-h", "/"))
        service = {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]}
        api.apply(
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": "web", "namespace": namespace},
                "spec": service,
            }
        )
    right = wait_running(api, "right", "web")
    wait_running(api, "left", "web")
    looked_up = run_inside(cluster, "left", "/bin/busybox nslookup web.right.svc.cluster.local")
    assert api.get("/api/v1/namespaces/right/services/web")["spec"]["clusterIP"] in looked_up

    def ask():
        return run_inside(cluster, "left", f"echo GET / | /bin/busybox nc -w 2 {right} 8080 || true")

    wait_until(lambda: "HTTP/1" in ask(), "an answer before there is a policy", 20)
    policy = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    metadata = {"name": "deny", "namespace": "right"}
    api.apply({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": metadata, "spec": policy})
    wait_until(lambda: "HTTP/1" not in ask(), "the policy to be enforced", 20)
    assert "HTTP/1" not in ask()


def test_a_volume_is_bound_and_the_node_says_that_it_has_a_gpu(cluster):
    api = cluster.api
    make_namespace(api, "left")
    spec = {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}}
    metadata = {"name": "workspace", "namespace": "left"}
    api.apply({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": spec})
    path = "/api/v1/namespaces/left/persistentvolumeclaims/workspace"
    wait_until(lambda: api.get(path)["status"]["phase"] == "Bound", "the volume", 20)
    assert api.get(f"/api/v1/nodes/{NODE_NAME}")["status"]["allocatable"]["nvidia.com/gpu"] == "1"


def test_kueue_lets_one_job_out_and_says_what_the_other_waits_for(cluster):
    api = cluster.api
    make_namespace(api, "queued")
    metadata = {"name": "one-gpu"}
    api.apply({"apiVersion": KUEUE, "kind": "ResourceFlavor", "metadata": metadata, "spec": {}})
    quotas = [{"name": "cpu", "nominalQuota": "2"}, {"name": "memory", "nominalQuota": "1Gi"}]
    quotas.append({"name": "nvidia.com/gpu", "nominalQuota": "1"})
    group = {
        "coveredResources": [one["name"] for one in quotas],
        "flavors": [{"name": "one-gpu", "resources": quotas}],
    }
    spec = {"namespaceSelector": {}, "resourceGroups": [group]}
    api.apply({"apiVersion": KUEUE, "kind": "ClusterQueue", "metadata": metadata, "spec": spec})
    metadata = {"name": "queue-of-queued", "namespace": "queued"}
    api.apply({"apiVersion": KUEUE, "kind": "LocalQueue", "metadata": metadata, "spec": {"clusterQueue": "one-gpu"}})
    for number in (1, 2):
        pod = build_spec("sleep", "6")
        pod["containers"][0]["resources"] = {
            "requests": {"cpu": "10m", "memory": "8Mi", "nvidia.com/gpu": "1"},
            "limits": {"nvidia.com/gpu": "1"},
        }
        job = {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {
                "name": f"job-{number}",
                "namespace": "queued",
                "labels": {"kueue.x-k8s.io/queue-name": "queue-of-queued"},
            },
            "spec": {"suspend": True, "template": {"spec": pod}},
        }
        api.apply(job)
    workloads = f"/apis/{KUEUE}/namespaces/queued/workloads"

    def read_messages():
        found = api.get(workloads)["items"]
        return [
            c["message"] for w in found for c in w.get("status", {}).get("conditions", ()) if c["status"] == "False"
        ]

    wait_until(lambda: any("insufficient unused quota" in one for one in read_messages()), "the quota's message", 30)
    jobs = "/apis/batch/v1/namespaces/queued/jobs"
    wait_until(lambda: all(j["status"].get("succeeded") for j in api.get(jobs)["items"]), "both jobs to succeed", 90)


def test_a_newer_build_of_an_image_replaces_the_older_one(cluster):
    """Else the cache of images keeps the layers of two builds."""
    name = "localhost/replaced:test"

    def run_ctr(*arguments):
        return cluster.sandbox.enter([*CTR, *arguments])

    def load(entrypoint):
        cluster.load(ensure_archive("replaced", "test", BUSYBOX, entrypoint))
        rows = [line.split() for line in run_ctr("images", "list").splitlines()]
        return next(row[2] for row in rows if row[0] == name)

    def is_recorded(digest):
        return any(line.startswith("sha256:") and digest in line for line in run_ctr("images", "list").splitlines())

    if name in run_ctr("images", "list", "--quiet").split():
        run_ctr("images", "remove", "--sync", name)
    old = load("/bin/one")
    wait_until(lambda: is_recorded(old), "what the kubelet's interface records of a new name", 30)
    new = load("/bin/another")
    assert not is_recorded(old)
    kept = run_ctr("content", "list", "--quiet").split()
    assert (old in kept, new in kept) == (False, True)
    run_ctr("images", "remove", "--sync", name)


def test_the_store_may_stop_for_a_while(cluster):
    api = cluster.api
    make_namespace(api, "kept")
    cluster.act("stop", "etcd")
    cluster.act("stop", "kube-apiserver")
    cluster.act("run", "etcd")
    cluster.act("run", "kube-apiserver")
    assert wait_until(lambda: api.find("/api/v1/namespaces/kept"), "what was stored", 60)
