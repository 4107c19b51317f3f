"""The models of the custom resource ``Course``: students, shared resources and quotas.

The descriptions of the fields become the descriptions in the custom resource definition.
"""

from __future__ import annotations

import re
from collections import Counter
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, field_validator, model_validator

from practicum_core.environments import ENVIRONMENTS
from practicum_core.quantities import Bytes, PodCpu, PodMemory, Quantity
from practicum_core.weekjob import API_VERSION, Condition, Metadata, Resource

StudentName = Annotated[str, StringConstraints(pattern=r"^[a-z]([-a-z0-9]*[a-z0-9])?$", max_length=40)]
QueueName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)]
ResourceName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9./]*[A-Za-z0-9])?$", max_length=253)]
LabelValue = Annotated[str, StringConstraints(pattern=r"^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$", max_length=63)]
_LABEL_KEY = re.compile(r"([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
MAX_STUDENTS = 2000
MAX_ARCHIVED = 200
"""Students who left that a course's status names; beside a full roster, all of them might not fit into an object."""


class Student(Resource):
    """One student or team."""

    name: StudentName = Field(description="Name of the student or team, and of the namespace unless one is given.")
    namespace: StudentName | None = Field(default=None, description="Namespace; by default the student's name.")
    subjects: list[Annotated[str, StringConstraints(min_length=1, max_length=253)]] = Field(
        default_factory=list,
        max_length=20,
        description="Users of the cluster that may work in the namespace, as the API server names them.",
    )
    gpu_hours_per_week: float | None = Field(
        default=None, ge=0, description="GPU hours of this student; by default the budget of the course."
    )

    @property
    def home(self) -> str:
        """The student's namespace."""
        return self.namespace or self.name


class GpuSharing(Resource):
    """Definition of one GPU slice. Students write ``gpu: {slices: 1}``; they never name an extended resource."""

    sharing: Literal["whole", "time-sliced", "mig"] = Field(
        default="whole",
        description="whole: a slice is a GPU. time-sliced: a share without isolation. mig: a hardware partition.",
    )
    mig_profile: Annotated[str, StringConstraints(pattern=r"^[0-9]g\.[0-9]+gb(\.me)?$", max_length=20)] | None = Field(
        default=None, description="MIG profile of a slice, such as 1g.10gb; required if sharing is mig."
    )
    resource_name: ResourceName | None = Field(
        default=None, description="Extended resource of one slice, if it has another name."
    )
    slices_per_gpu: int = Field(default=1, ge=1, le=64, description="Slices per GPU, used to count GPU hours.")

    @field_validator("resource_name")
    @classmethod
    def _refuse_native_resources(cls, name: str | None) -> str | None:
        """Refuse what is no device, such as cpu: a slice would be taken from what every pod asks for."""
        domain, _, rest = (name or "").partition("/")
        if name is not None and (not rest or f".{domain}".endswith(".kubernetes.io")):
            raise ValueError(f"{name} is no device: an extended resource has its vendor's domain, as nvidia.com/gpu")
        return name

    def get_resource_name(self) -> str:
        """Return the extended resource that a pod requests.

        >>> GpuSharing(sharing="mig", mig_profile="1g.10gb").get_resource_name()
        'nvidia.com/mig-1g.10gb'
        """
        names = {
            "whole": "nvidia.com/gpu",
            "time-sliced": "nvidia.com/gpu.shared",
            "mig": f"nvidia.com/mig-{self.mig_profile}",
        }
        return self.resource_name or names[self.sharing]


class QueueSpec(Resource):
    """Resources that the whole class shares; the basis of a Kueue ClusterQueue."""

    cpu: Quantity = Field(default="8", description="CPUs for all week jobs together.")
    memory: Bytes = Field(default="32Gi", description="Memory for all week jobs together.")
    slices: int = Field(default=0, ge=0, le=10_000, description="GPU slices for all week jobs together.")
    cohort: QueueName | None = Field(default=None, description="Kueue cohort to borrow from and lend to.")
    fair_sharing: bool = Field(
        default=True, description="Admit students who used less before those who used more (admission fair sharing)."
    )
    node_labels: dict[str, LabelValue] = Field(
        default_factory=dict, max_length=20, description="Labels of the nodes that week jobs run on."
    )

    @field_validator("node_labels")
    @classmethod
    def _refuse_what_is_no_label(cls, labels: dict[str, str]) -> dict[str, str]:
        """Reject a name that no node can have: the API server would refuse every pod of the class."""
        wrong = [name for name in labels if not _LABEL_KEY.fullmatch(name)]
        if wrong:
            raise ValueError(f"{', '.join(map(repr, wrong))} cannot be the name of a label")
        return labels


class StudentQuota(Resource):
    """Limits of one student's namespace; the basis of a ResourceQuota and a LimitRange."""

    cpu: PodCpu = Field(default="4", description="CPU requests of all pods in the namespace together.")
    memory: PodMemory = Field(default="16Gi", description="Memory requests of all pods in the namespace together.")
    slices: int = Field(default=1, ge=0, le=1000, description="GPU slices in use or queued by one student.")
    pods: int = Field(default=20, ge=1, le=10_000, description="Pods that may exist in the namespace.")
    week_jobs: int = Field(default=50, ge=1, le=10_000, description="Week jobs that may exist in the namespace.")


class StageResources(Resource):
    """Default resource requests of a stage's container, used if the week job names none."""

    cpu: PodCpu = Field(default="500m", description="CPUs of each pod.")
    memory: PodMemory = Field(default="2Gi", description="Memory of each pod.")


class Workspace(Resource):
    """The persistent volume claim that holds a student's runs."""

    size: Bytes = Field(default="20Gi", description="Size of the volume.")
    storage_class_name: QueueName | None = Field(default=None, description="Storage class; default: the cluster's.")
    access_mode: Literal["ReadWriteOnce", "ReadWriteMany"] = Field(
        default="ReadWriteMany", description="ReadWriteOnce: one node for all pods of a student."
    )


class Priority(Resource):
    """A named priority for week jobs; the basis of a Kueue WorkloadPriorityClass."""

    name: QueueName = Field(description="Value of priorityClassName in a week job.")
    value: int = Field(ge=-1_000_000, le=1_000_000, description="A higher value is admitted first and may preempt.")
    units: list[Annotated[str, StringConstraints(max_length=63)]] = Field(
        default_factory=list, max_length=50, description="Units that may use it; every unit if none is named."
    )


class Budget(Resource):
    """Budgets in GPU hours. Kueue has none, so Practicum keeps a ledger and starts nothing for a used-up budget."""

    gpu_hours_per_week: float | None = Field(default=None, ge=0, description="GPU hours per student.")
    resets_on: Literal["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"] = Field(
        default="Mon", description="Day on which all budgets are reset, at 00:00 UTC."
    )
    stops_running: bool = Field(
        default=True,
        description="True stops the running steps of a student whose budget is used up, after a checkpoint; they go on "
        "when it is reset or raised. False lets a running step finish.",
    )


class CourseServing(Resource):
    """How served models of a course behave."""

    idle_seconds: int = Field(
        default=600,
        ge=10,
        le=86_400,
        description="Seconds without a request after which a service with minReplicas 0 is scaled to zero.",
    )


class CourseSpec(Resource):
    """The specification that a teacher writes."""

    variant: Literal[8, 10, 12] = Field(default=10, description="Length of the course in weeks.")
    students: list[Student] = Field(default_factory=list, max_length=MAX_STUDENTS, description="The roster.")
    images: dict[str, Annotated[str, StringConstraints(min_length=1, max_length=500)]] = Field(
        default_factory=dict, description="Image by environment; by default those of the chart."
    )
    allow_images: bool = Field(
        default=False,
        description="Whether a week job may name an image. What that program reports is believed: gates of such a "
        "week prove no more than its student is trusted.",
    )
    gpu: GpuSharing = Field(default_factory=GpuSharing)
    queue: QueueSpec = Field(default_factory=QueueSpec)
    quota: StudentQuota = Field(default_factory=StudentQuota)
    stage_resources: StageResources = Field(default_factory=StageResources)
    serving: CourseServing = Field(default_factory=CourseServing)
    workspace: Workspace = Field(default_factory=Workspace)
    priorities: list[Priority] = Field(
        default_factory=list, max_length=20, description="Priorities that a week job may ask for."
    )
    budget: Budget = Field(default_factory=Budget)
    max_active_deadline_seconds: int = Field(
        default=86_400,
        ge=60,
        le=31_536_000,
        description="Most seconds that the steps of a week job may start and run, together; it also holds for a week "
        "job that names no activeDeadlineSeconds, or a longer one.",
    )
    suspend: bool = Field(default=False, description="True pauses the admission of week jobs until it is false again.")

    @field_validator("images")
    @classmethod
    def _refuse_unknown_environments(cls, images: dict[str, str]) -> dict[str, str]:
        """Reject an image for an environment that does not exist."""
        unknown = sorted(images.keys() - ENVIRONMENTS.keys())
        if unknown:
            raise ValueError(f"no environment is called {', '.join(unknown)}; there are {', '.join(ENVIRONMENTS)}")
        return images

    @model_validator(mode="after")
    def _refuse_shared_homes(self) -> Self:
        """Reject two students in one namespace: their rights and quotas would overwrite each other."""
        counts = Counter(student.home for student in self.students)
        shared = sorted(home for home, count in counts.items() if count > 1)
        if shared:
            raise ValueError(f"several students have one namespace ({', '.join(shared)}): make them one team, or two")
        return self


class CoursePhase(StrEnum):
    """The phase of a course."""

    PENDING = "Pending"
    """Its objects are being created."""
    READY = "Ready"
    """Namespace, quota, volume and queue exist for every student."""
    SUSPENDED = "Suspended"
    """The course is paused: no week jobs are admitted."""
    FAILED = "Failed"
    """An object that it needs is missing or was rejected; the message names it."""


class StudentStatus(Resource):
    """The status of one student."""

    name: str = Field(description="Name of the student or team.")
    namespace: str = Field(description="Where they work.")
    gpu_hours: float = Field(default=0.0, description="GPU hours used since the last reset.")
    gpu_hours_left: float | None = Field(default=None, description="Remaining GPU hours; absent without a budget.")
    is_archived: bool = Field(default=False, description="Not on the roster any more; data is kept, nothing admitted.")


class CourseStatus(Resource):
    """The observed state of a course. Only the controller writes it."""

    phase: CoursePhase = CoursePhase.PENDING
    message: str = Field(default="", description="The phase and its cause, in a sentence.")
    num_students: int = Field(default=0, description="Students on the roster.")
    conditions: list[Condition] = Field(default_factory=list, description="What holds of the course.")
    observed_generation: int | None = Field(default=None, description="Generation of the spec that it refers to.")
    num_archived: int = Field(default=0, description="Namespaces of students who left; students lists the first 200.")
    students: list[StudentStatus] = Field(
        default_factory=list, max_length=MAX_STUDENTS + MAX_ARCHIVED, description="The students one by one."
    )


class Course(Resource):
    """A class on a cluster; a cluster-scoped resource."""

    api_version: Literal["practicum.dev/v1alpha1"] = API_VERSION
    kind: Literal["Course"] = "Course"
    metadata: Metadata
    spec: CourseSpec
