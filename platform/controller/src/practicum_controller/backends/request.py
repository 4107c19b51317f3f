"""What a child is made of: the step, its week job, the course, the installation, and what follows. Pure."""

from __future__ import annotations

import datetime as dt
import functools
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from practicum_controller.settings import Settings
from practicum_core import labels, reports
from practicum_core.course import CourseSpec
from practicum_core.plan import StepObject
from practicum_core.stage_process import ENDPOINTS_VARIABLE
from practicum_core.stages.spec import PodSize
from practicum_core.weekjob import WeekJob

Document = dict[str, Any]
CONFIG_HASH = f"{labels.DOMAIN}/config-hash"
_SHAPELESS = {
    "suspend",
    "active_deadline_seconds",
    "pre_running_deadline_seconds",
    "backoff_limit",
    "ttl_seconds_after_finished",
}
"""Fields that the plan reads and no pod does: a change of them costs no place in the queue."""
_NO_GPU = ("NVIDIA_VISIBLE_DEVICES", "AMD_VISIBLE_DEVICES", "HABANA_VISIBLE_DEVICES", "ASCEND_VISIBLE_DEVICES")
"""Variables by which the container runtimes of the vendors choose devices. Where such a runtime is the node's default,
an image that names none of them, or that says "all", sees every device of the node, whatever its pod asked for."""


@dataclass(frozen=True)
class Meter:
    """Where the load of a server is counted: the step of a server before it, its port, and the path of the count."""

    step: str
    port: int
    path: str


@dataclass(frozen=True)
class ChildRequest:
    """What is needed to build a child.

    ``course_name`` names the queue; ``endpoints`` are the addresses of the servers that the step needs; ``meter`` is
    where the load of a server is counted, if anywhere.
    """

    weekjob: WeekJob
    uid: str
    created_at: dt.datetime
    item: StepObject
    course_name: str
    course: CourseSpec
    settings: Settings
    endpoints: Mapping[str, str] = field(default_factory=dict)
    meter: Meter | None = None

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

    @property
    def image(self) -> str | None:
        """The image: the week job's, else the course's of the environment, else the installation's.

        ``None`` where none of them names one: such a request is refused before anything is made of it.
        """
        environment = self.item.step.environment
        named = (self.weekjob.spec.image, self.course.images.get(environment), self.settings.images.get(environment))
        return next(filter(None, named), None)

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
            "annotations": {CONFIG_HASH: f"{self._step_hash}-{self._hash_pod()}"},
            "ownerReferences": [owner],
        }

    def build_variables(self) -> dict[str, str]:
        """Return the pod's variables."""
        variables = {
            reports.STEP_VARIABLE: self.pod_step,
            reports.INGEST_URL_VARIABLE: self.settings.ingest_url,
            "PRACTICUM_CACHE": f"{reports.WORKSPACE}/.cache",
            "HOME": "/tmp",  # noqa: S108 - a volume of the pod's own
            "PYTHONUNBUFFERED": "1",
        }
        if self.endpoints:
            variables[ENDPOINTS_VARIABLE] = json.dumps(dict(self.endpoints), sort_keys=True)
        return variables if self.slices else variables | dict.fromkeys(_NO_GPU, "void")

    def build_resources(self) -> Document:
        """Return requests and limits, equal, so that what the queue counted is what the pod gets.

        A stage with a ``cpu_limit`` may use idle CPUs as well: it waits most of the time, and a request that throttles
        it would delay all that pass through it, the kubelet's probes too.
        """
        asked, usual, fixed = self.weekjob.spec.resources, self.course.stage_resources, self.item.step.spec.pod_size
        size = fixed or PodSize(asked.cpu or usual.cpu, asked.memory or usual.memory)
        amounts: dict[str, str] = {"cpu": size.cpu, "memory": size.memory}
        if self.slices:
            amounts[self.course.gpu.get_resource_name()] = str(self.slices)
        return {"requests": amounts, "limits": amounts | {"cpu": size.cpu_limit or size.cpu}}

    def has_made(self, child: Mapping[str, Any], *, is_started: bool) -> bool:
        """Whether a child is still what this request asks for; where its pods run, by the student's part alone.

        A teacher's new image reaches who waits, and takes nothing from who runs.
        """
        step, _, pod = str(child["metadata"].get("annotations", {}).get(CONFIG_HASH, "")).partition("-")
        if step != self._step_hash or is_started:
            return step == self._step_hash
        # Where its environment has no image any more, there is nothing to make another child from.
        return self.image is None or pod == self._hash_pod()

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

    def _build_queue(self) -> dict[str, str]:
        """Return the labels by which the child is queued."""
        queue = {labels.QUEUE_NAME: labels.build_queue_name(self.course_name, self.namespace)}
        if self.weekjob.spec.priority_class_name:
            priority = self.weekjob.spec.priority_class_name
            queue[labels.PRIORITY_CLASS] = labels.build_priority_class_name(self.course_name, priority)
        return queue

    @functools.cached_property
    def _step_hash(self) -> str:
        """A short hash of what the student asked of the step, less what shapes no pod."""
        spec = self.weekjob.spec.model_dump(mode="json", exclude=_SHAPELESS)
        return _hash([spec, self.item.step.stage, self.item.step.config.model_dump(mode="json")])

    def _hash_pod(self) -> str:
        """Return a short hash of what the course and the installation make of it."""
        variables = {name: value for name, value in self.build_variables().items() if name != reports.STEP_VARIABLE}
        image = [self.image, self.settings.image_pull_policy]
        resources = [self.num_pods, self.build_resources()["requests"]]
        return _hash([image, resources, variables, dict(self.course.queue.node_labels), self._build_queue()])


def _hash(parts: object) -> str:
    text = json.dumps(parts, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
