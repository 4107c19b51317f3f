"""A class on a bare cluster: Practicum installed by its chart, a course of two students who share one GPU."""

from __future__ import annotations

import base64
import datetime as dt
import gzip
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from practicum_cluster import operators
from practicum_cluster.api import Api, ApiError, wait_until
from practicum_cluster.bare import BareCluster
from practicum_core.layout import build_run_id

ROOT = Path(__file__).parents[2]
PLATFORM = "practicum-system"
STUDENTS = ("student-01", "student-02")
TINY = {"model": {"uri": "builtin:smollm2-135m"}, "data": {"uri": "builtin:tickets?rows=200"}, "profile": "quick"}
ENDS = ("Succeeded", "Failed")
COUNTED = "count/weekjobs.practicum.dev"


def is_ready(pod):
    """Whether a pod is ready, and is not being deleted."""
    told = {one["type"]: one["status"] for one in pod["status"].get("conditions", ())}
    return told.get("Ready") == "True" and not pod["metadata"].get("deletionTimestamp")


class Class:
    """What a teacher and the students of a class do and see.

    Args:
        cluster: A bare cluster with the operators and the images.
    """

    def __init__(self, cluster):
        self.cluster, self.api = cluster, cluster.api
        self.client = operators.Client(cluster.kubeconfig)
        # Only a node of our own lets us look into its volumes and stop its store.
        self.is_own = isinstance(cluster, BareCluster)

    def install(self, *options):
        chart = ("practicum", ROOT / "charts/practicum", "--namespace", PLATFORM, "--create-namespace")
        return self.client.helm("upgrade", "--install", *chart, "--wait", "--timeout", "120s", *options)

    def enrol(self):
        course = yaml.safe_load((ROOT / "manifests/course-10/course.yaml").read_text(encoding="utf-8"))
        course["spec"]["priorities"].append({"name": "urgent", "value": 2000})
        self._open(course)

    def open_course(self, name, **spec):
        """Open a second course, of students of its own."""
        self._open({"apiVersion": "practicum.dev/v1alpha1", "kind": "Course", "metadata": {"name": name}, "spec": spec})

    def _open(self, course):
        self.api.apply(course)
        path = f"/apis/practicum.dev/v1alpha1/courses/{course['metadata']['name']}"
        wait_until(lambda: self.api.get(path)["status"]["phase"] == "Ready", "the course", 60)
        # The API server refuses week jobs until they were counted once, a while after it learnt of their kind.
        students = [one["name"] for one in course["spec"]["students"]]
        quotas = [f"/api/v1/namespaces/{student}/resourcequotas/practicum" for student in students]
        wait_until(lambda: all(COUNTED in self.api.get(path)["status"]["used"] for path in quotas), "the quotas", 360)

    def build(self, name, **spec):
        """Return the document of a week job as a student writes it, for any namespace."""
        document = {"apiVersion": "practicum.dev/v1alpha1", "kind": "WeekJob"}
        return {**document, "metadata": {"name": name}, "spec": {**TINY, **spec}}

    def apply(self, student, name, **spec):
        self.api.apply(self.build(name, **spec), student)

    def practicum(self, folder, *arguments, **variables):
        """Run the command as a person does, with the cluster's kubeconfig at hand."""
        command = [sys.executable, "-m", "practicum_cli.main", *map(str, arguments)]
        environment = {**os.environ, "KUBECONFIG": str(self.cluster.kubeconfig), **variables}
        return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)

    def read(self, student, name):
        return self.api.get(f"/apis/practicum.dev/v1alpha1/namespaces/{student}/weekjobs/{name}")

    def read_status(self, student, name):
        return self.read(student, name).get("status", {})

    def read_stage(self, student, name, stage):
        stages = self.read_status(student, name).get("stages", ())
        return next((one for one in stages if one["name"] == stage), {})

    def wait_end(self, student, name, timeout_s):
        def look():
            status = self.read_status(student, name)
            return status if status.get("phase") in ENDS else None

        return wait_until(look, f"the end of {student}/{name}", timeout_s, 1)

    def try_as(self, user, *arguments):
        """Run kubectl as a student and return what it said, refusals too."""
        try:
            return self.client.kubectl("--as", user, *arguments)
        except RuntimeError as error:
            return str(error)

    def become(self, user):
        """Return a client with a user's rights."""
        api = Api(self.cluster.kubeconfig)
        api._headers["Impersonate-User"] = user
        return api

    def read_page(self, student, name):
        """Return the evidence page that the controller keeps of a week job."""
        kept = self.api.get(f"/api/v1/namespaces/{student}/configmaps/{name}-evidence")
        return gzip.decompress(base64.b64decode(kept["binaryData"]["index.html.gz"])).decode()

    def read_run_file(self, student, name, path):
        """Return the lines of JSON in a file of a week job's run directory."""
        return [json.loads(line) for line in self.read_run_text(student, name, path).splitlines()]

    def read_run_text(self, student, name, path):
        """Return a file of a week job's run directory, which lies in the student's volume."""
        uid = self.read(student, name)["metadata"]["uid"]
        pattern = f"{self._find_workspace(student)}/experiments/*/*{uid[:6]}*/{path}"
        return self.cluster.sandbox.enter(["sh", "-c", f"cat {pattern}"])

    def get_run_id(self, student, name):
        """Return the id of the run of a week job, as its pods build it."""
        metadata = self.read(student, name)["metadata"]
        created_at = dt.datetime.fromisoformat(metadata["creationTimestamp"])
        return build_run_id(created_at, bytes.fromhex(metadata["uid"][:6]))

    def set_pointer(self, student, name, run):
        """Point to a run in the student's volume."""
        self.write_workspace(student, f"experiments/pointers/{name}.json", json.dumps({"name": name, "run": run}))

    def write_workspace(self, student, path, text):
        """Write a file of the student's volume, as an administrator copies one there."""
        place = f"{self._find_workspace(student)}/{path}"
        move = f"mkdir -p {place.rpartition('/')[0]} && echo '{text}' > {place}.new && mv {place}.new {place}"
        self.cluster.sandbox.enter(["sh", "-c", move])

    def _find_workspace(self, student):
        if not self.is_own:
            pytest.skip("this cluster is somebody else's: its node's disk cannot be read")
        volumes = self.api.get("/api/v1/persistentvolumes")["items"]
        mine = next(one["spec"] for one in volumes if one["spec"]["claimRef"]["namespace"] == student)
        return mine["hostPath"]["path"]

    def read_steps(self, student, name, stage):
        """Return what training wrote down of each optimizer step, in the order in which it did."""
        lines = self.read_run_file(student, name, f"stages/{stage}/metrics.jsonl")
        return [one for one in lines if "loss" in one]

    def list_children(self, student, name):
        """Return the names of the Jobs and RayJobs of a week job."""
        lists = (f"/apis/batch/v1/namespaces/{student}/jobs", f"/apis/ray.io/v1/namespaces/{student}/rayjobs")
        found = [one["metadata"] for path in lists for one in self.api.get(path)["items"]]
        return sorted(one["name"] for one in found if one["labels"]["practicum.dev/week-job"] == name)

    def stop_store(self, seconds):
        """Stop etcd for a while, as if its disk hung."""
        self.cluster.act("stop", "etcd")
        time.sleep(seconds)
        self.cluster.act("run", "etcd")
        wait_until(lambda: self.find_quietly("/api/v1/namespaces/default"), "the API server's return", 60)

    def restart_api_server(self):
        self.cluster.act("stop", "kube-apiserver")
        self.cluster.act("run", "kube-apiserver")
        wait_until(lambda: self.find_quietly("/api/v1/namespaces/default"), "the API server's return", 60)

    def find_quietly(self, path):
        try:
            return self.api.find(path)
        except (OSError, ApiError):
            return None

    def kill_controller(self):
        """End the controller's process without warning; return the name of the pod that had it."""
        pods = self.api.get(f"/api/v1/namespaces/{PLATFORM}/pods")["items"]
        name = next(one["metadata"]["name"] for one in pods if "practicum-controller" in one["metadata"]["name"])
        self.client.kubectl("delete", "pod", name, "--namespace", PLATFORM, "--force", "--grace-period=0")
        return name

    def run_pod(self, student, name, script, **metadata):
        """Start a Python script in a pod of a student's namespace, as a stage's pod would run it."""
        inside = {"readOnlyRootFilesystem": True, "allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
        amounts = {"cpu": "50m", "memory": "128Mi"}
        token = {"path": "token", "audience": "practicum-ingest", "expirationSeconds": 3600}
        sources = [{"serviceAccountToken": token}, {"configMap": {"name": "practicum-ingest-ca"}}]
        container = {
            "name": "main",
            "image": "localhost/practicum-base:dev",
            "imagePullPolicy": "Never",
            "command": ["python", "-c", script],
            "securityContext": inside,
            "resources": {"requests": amounts, "limits": amounts},
            "volumeMounts": [{"name": "practicum", "mountPath": "/var/run/practicum"}],
        }
        spec = {
            "restartPolicy": "Never",
            "serviceAccountName": "practicum-stage",
            "automountServiceAccountToken": False,
            "securityContext": {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [container],
            "volumes": [{"name": "practicum", "projected": {"sources": sources}}],
        }
        about = {"name": name, "namespace": student, **metadata}
        self.api.apply({"apiVersion": "v1", "kind": "Pod", "metadata": about, "spec": spec})

    def wait_pod(self, student, name, phase):
        path = f"/api/v1/namespaces/{student}/pods/{name}"
        return wait_until(lambda: (one := self.api.get(path))["status"]["phase"] == phase and one, f"{name}", 90)

    def read_answer(self, student, name):
        """Return what a pod's script printed as JSON."""
        self.wait_pod(student, name, "Succeeded")
        return json.loads(self.client.kubectl("logs", name, "--namespace", student))
