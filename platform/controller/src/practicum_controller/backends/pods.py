"""Decides the pod of a stage: image, program, variables, volumes, resources, and what it may not do.

Holds under Pod Security `restricted`: no root, no privilege, a root file system that cannot be written.
"""

from __future__ import annotations

import datetime as dt
import functools
import hashlib
import json
from dataclasses import dataclass

from practicum_controller.client import Document
from practicum_controller.settings import Settings
from practicum_core import labels, reports
from practicum_core.course import CourseSpec
from practicum_core.plan import StepObject
from practicum_core.weekjob import WeekJob

USER_ID = 65532
STAGE_CONTAINER = "stage"
SERVICE_ACCOUNT = "practicum-stage"
WORKSPACE_CLAIM = "workspace"
CA_CONFIG_MAP = "practicum-ingest-ca"
CONFIG_HASH = f"{labels.DOMAIN}/config-hash"
GRACE_PERIOD_S = 120
"""Seconds in which a stage that is told to stop may write its checkpoint."""
_TOKEN_SECONDS = 3600
# What a pod may keep outside its workspace, such as the session of Ray; more evicts it.
_TMP_SIZE = "10Gi"
_SHAPELESS = {
    "suspend",
    "active_deadline_seconds",
    "pre_running_deadline_seconds",
    "backoff_limit",
    "ttl_seconds_after_finished",
}
"""Fields that the plan reads and no pod does: a change of them costs no place in the queue."""


@dataclass(frozen=True)
class ChildRequest:
    """What is needed to build a child. ``course_name`` names the queue."""

    weekjob: WeekJob
    uid: str
    created_at: dt.datetime
    item: StepObject
    course_name: str
    course: CourseSpec
    settings: Settings

    @property
    def name(self) -> str:
        """Name of the child: a function of week job, step and attempt."""
        return labels.build_child_name(self.weekjob.metadata.name, self.item.step.name, self.item.attempt)

    @property
    def namespace(self) -> str:
        """Namespace of the week job and of everything that it owns."""
        return self.weekjob.metadata.namespace

    @property
    def slices(self) -> int:
        """GPU slices of each pod of the step."""
        return self.weekjob.spec.resources.gpu.slices if self.item.step.spec.uses_gpu else 0

    @property
    def num_pods(self) -> int:
        """Pods that the step computes on at the same time."""
        return self.item.step.spec.count_pods(self.item.step.config)

    def build_labels(self) -> dict[str, str]:
        """Return the labels of the child's pods."""
        spec = self.weekjob.spec
        return labels.build_child_labels(
            self.weekjob.metadata.name, self.uid, spec.unit, self.item.step.name, self.item.attempt
        )

    def build_metadata(self) -> Document:
        """Return the child's metadata: owned by the week job, queued in the student's queue."""
        owner = {
            "apiVersion": self.weekjob.api_version,
            "kind": self.weekjob.kind,
            "name": self.weekjob.metadata.name,
            "uid": self.uid,
            "controller": True,
            "blockOwnerDeletion": True,
        }
        return {
            "name": self.name,
            "namespace": self.namespace,
            "labels": self.build_labels() | self._build_queue() | {labels.SLICES: str(self.slices * self.num_pods)},
            "annotations": {CONFIG_HASH: f"{self.hash_step()}-{self.hash_pod()}"},
            "ownerReferences": [owner],
        }

    def _build_queue(self) -> dict[str, str]:
        """Return the labels by which the child is queued."""
        queue = {labels.QUEUE_NAME: labels.build_queue_name(self.course_name, self.namespace)}
        if self.weekjob.spec.priority_class_name:
            queue[labels.PRIORITY_CLASS] = f"{self.course_name}-{self.weekjob.spec.priority_class_name}"
        return queue

    @functools.cached_property
    def pod_step(self) -> str:
        """What the pod is told to run, as JSON."""
        step = self.item.step
        told = reports.PodStep(
            weekjob=self.weekjob,
            uid=self.uid,
            created_at=self.created_at,
            step=step.name,
            stage=step.stage,
            attempt=self.item.attempt,
            config=step.config.model_dump(mode="json"),
        )
        return told.model_dump_json()

    def hash_step(self) -> str:
        """Return a short hash of what the student asked of the step, less what shapes no pod."""
        spec = self.weekjob.spec.model_dump(mode="json", exclude=_SHAPELESS)
        return _hash([spec, self.item.step.stage, self.item.step.config.model_dump(mode="json")])

    def hash_pod(self) -> str:
        """Return a short hash of what the course and the installation make of it."""
        variables = {name: value for name, value in build_variables(self).items() if name != reports.STEP_VARIABLE}
        image = [get_image(self), self.settings.image_pull_policy]
        resources = [self.num_pods, build_resources(self)["requests"]]
        return _hash([image, resources, variables, dict(self.course.queue.node_labels), self._build_queue()])


def is_made_from(child: Document, request: ChildRequest, *, is_started: bool) -> bool:
    """Whether a child is still what the request asks for; where its pods run, by the student's part alone.

    A teacher's new image reaches who waits, and takes nothing from who runs.
    """
    step, _, pod = str(child["metadata"].get("annotations", {}).get(CONFIG_HASH, "")).partition("-")
    return step == request.hash_step() and (is_started or pod == request.hash_pod())


def _hash(parts: object) -> str:
    text = json.dumps(parts, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def build_pod_template(request: ChildRequest, *, is_restartable: bool = False) -> Document:
    """Return the pod template of a step."""
    spec: Document = {
        "serviceAccountName": SERVICE_ACCOUNT,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": GRACE_PERIOD_S,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER_ID,
            "runAsGroup": USER_ID,
            "fsGroup": USER_ID,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_build_container(request)],
        "volumes": _build_volumes(),
    }
    if not is_restartable:
        spec["restartPolicy"] = "Never"
    if request.course.queue.node_labels:
        spec["nodeSelector"] = dict(request.course.queue.node_labels)
    if request.slices:
        spec["tolerations"] = [{"key": "nvidia.com/gpu", "operator": "Exists"}]
    return {"metadata": {"labels": request.build_labels()}, "spec": spec}


def _build_container(request: ChildRequest) -> Document:
    return {
        "name": STAGE_CONTAINER,
        "image": get_image(request),
        "imagePullPolicy": request.settings.image_pull_policy,
        "command": ["python", "-m", "practicum_jobs.agent"],
        "env": [{"name": name, "value": value} for name, value in build_variables(request).items()],
        "resources": build_resources(request),
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": "workspace", "mountPath": reports.WORKSPACE},
            {"name": "practicum", "mountPath": reports.TOKEN_PATH.rpartition("/")[0], "readOnly": True},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - a volume of the pod's own
            {"name": "shm", "mountPath": "/dev/shm"},  # noqa: S108 - as above
        ],
    }


def get_image(request: ChildRequest) -> str:
    """Return the image: the week job's, else the course's of the environment, else the installation's."""
    environment = request.item.step.environment
    images = request.course.images
    return (
        request.weekjob.spec.image
        or images.get(environment)
        or request.settings.images.get(environment)
        or request.settings.images["train"]
    )


def build_variables(request: ChildRequest) -> dict[str, str]:
    """Return the pod's variables."""
    return {
        reports.STEP_VARIABLE: request.pod_step,
        reports.INGEST_URL_VARIABLE: request.settings.ingest_url,
        "PRACTICUM_CACHE": f"{reports.WORKSPACE}/.cache",
        "HOME": "/tmp",  # noqa: S108 - a volume of the pod's own
        "PYTHONUNBUFFERED": "1",
    }


def build_resources(request: ChildRequest) -> Document:
    """Return requests and limits, equal, so that what the queue counted is what the pod gets."""
    asked, usual = request.weekjob.spec.resources, request.course.stage_resources
    amounts: dict[str, str] = {"cpu": asked.cpu or usual.cpu, "memory": asked.memory or usual.memory}
    if request.slices:
        amounts[request.course.gpu.get_resource_name()] = str(request.slices)
    return {"requests": amounts, "limits": dict(amounts)}


def _build_volumes() -> list[Document]:
    token = {
        "serviceAccountToken": {
            "path": reports.TOKEN_PATH.rpartition("/")[2],
            "audience": reports.INGEST_AUDIENCE,
            "expirationSeconds": _TOKEN_SECONDS,
        }
    }
    authority = {"configMap": {"name": CA_CONFIG_MAP, "items": [{"key": "ca.crt", "path": "ca.crt"}]}}
    return [
        {"name": "workspace", "persistentVolumeClaim": {"claimName": WORKSPACE_CLAIM}},
        {"name": "practicum", "projected": {"sources": [token, authority], "defaultMode": 0o440}},
        {"name": "tmp", "emptyDir": {"sizeLimit": _TMP_SIZE}},
        {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "2Gi"}},
    ]
