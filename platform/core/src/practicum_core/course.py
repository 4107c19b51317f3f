"""Decides the shape of a course on a cluster: who takes part, what they share, and how much each may use.

Field documentation here becomes the descriptions of the custom resource. Refuses to know how it is run.
"""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, field_validator, model_validator

from practicum_core.environments import ENVIRONMENTS
from practicum_core.weekjob import API_VERSION, Condition, Metadata, Quantity, Resource

StudentName = Annotated[str, StringConstraints(pattern=r"^[a-z]([-a-z0-9]*[a-z0-9])?$", max_length=40)]
QueueName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)]
ResourceName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9./]*[A-Za-z0-9])?$", max_length=253)]
MAX_STUDENTS = 2000


class Student(Resource):
    """One student or team."""

    name: StudentName = Field(description="Name of the student or team, and of the namespace unless one is given.")
    namespace: StudentName | None = Field(default=None, description="Namespace; the name without it.")
    subjects: list[Annotated[str, StringConstraints(min_length=1, max_length=253)]] = Field(
        default_factory=list,
        max_length=20,
        description="Users of the cluster that may work in the namespace, as the API server names them.",
    )
    gpu_hours_per_week: float | None = Field(
        default=None, ge=0, description="Budget of this student in GPU hours; the course's without it."
    )

    @property
    def home(self) -> str:
        """The student's namespace."""
        return self.namespace or self.name


class GpuSharing(Resource):
    """What one GPU slice is. A student writes ``gpu: {slices: 1}`` and never a resource name."""

    sharing: Literal["whole", "time-sliced", "mig"] = Field(
        default="whole",
        description="whole: a slice is a GPU. time-sliced: a share without isolation. mig: a hardware partition.",
    )
    mig_profile: Annotated[str, StringConstraints(pattern=r"^[0-9]g\.[0-9]+gb(\.me)?$", max_length=20)] | None = Field(
        default=None, description="MIG profile of a slice, such as 1g.10gb; needed where sharing is mig."
    )
    resource_name: ResourceName | None = Field(
        default=None, description="Extended resource of one slice, where the device plugin names it otherwise."
    )
    slices_per_gpu: int = Field(default=1, ge=1, le=64, description="Slices that make one GPU, for GPU hours.")

    def get_resource_name(self) -> str:
        """Return the extended resource that a pod asks for.

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
    """What the whole class shares. Becomes a Kueue ClusterQueue."""

    cpu: Quantity = Field(default="8", description="CPUs that all week jobs together may use.")
    memory: Quantity = Field(default="32Gi", description="Memory that all week jobs together may use.")
    slices: int = Field(default=0, ge=0, le=10_000, description="GPU slices that all week jobs together may use.")
    cohort: QueueName | None = Field(default=None, description="Kueue cohort to borrow from and lend to.")
    fair_sharing: bool = Field(
        default=True, description="Admit students who used less before those who used more (admission fair sharing)."
    )
    node_labels: dict[str, str] = Field(
        default_factory=dict, max_length=20, description="Labels of the nodes that week jobs run on."
    )


class StudentQuota(Resource):
    """Most that one student's namespace may hold at a time. Becomes a ResourceQuota and a LimitRange."""

    cpu: Quantity = Field(default="4", description="CPUs that the namespace's pods may ask for together.")
    memory: Quantity = Field(default="16Gi", description="Memory that they may ask for together.")
    slices: int = Field(default=1, ge=0, le=1000, description="GPU slices in use or queued by one student.")
    pods: int = Field(default=20, ge=1, le=10_000, description="Pods that may exist in the namespace.")
    week_jobs: int = Field(default=50, ge=1, le=10_000, description="Week jobs that may exist in the namespace.")


class StageResources(Resource):
    """What a stage's container asks for where the week job does not say."""

    cpu: Quantity = Field(default="500m", description="CPUs of each pod.")
    memory: Quantity = Field(default="2Gi", description="Memory of each pod.")


class Workspace(Resource):
    """Where a student's runs lie: a volume claim in the namespace."""

    size: Quantity = Field(default="20Gi", description="Size of the volume.")
    storage_class_name: QueueName | None = Field(default=None, description="Storage class; the cluster's without it.")
    access_mode: Literal["ReadWriteOnce", "ReadWriteMany"] = Field(
        default="ReadWriteMany", description="ReadWriteOnce holds a student's pods on one node."
    )


class Priority(Resource):
    """A named priority that a week job may ask for. Becomes a Kueue WorkloadPriorityClass."""

    name: QueueName = Field(description="What a week job writes as priorityClassName.")
    value: int = Field(ge=-1_000_000, le=1_000_000, description="A higher value is admitted first and may preempt.")
    units: list[Annotated[str, StringConstraints(max_length=63)]] = Field(
        default_factory=list, max_length=50, description="Units that may ask for it; every unit where none is named."
    )


class Budget(Resource):
    """GPU hours. Kueue has no such cap: Practicum keeps a ledger and queues nothing beyond it."""

    gpu_hours_per_week: float | None = Field(default=None, ge=0, description="Per student; no cap without it.")
    resets_on: Literal["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"] = Field(
        default="Mon", description="Day, at 00:00 UTC, on which every budget is whole again."
    )


class CourseSpec(Resource):
    """What a teacher sets up."""

    variant: Literal[8, 10, 12] = Field(default=10, description="Length of the course in weeks.")
    students: list[Student] = Field(default_factory=list, max_length=MAX_STUDENTS, description="The roster.")
    images: dict[str, Annotated[str, StringConstraints(min_length=1, max_length=500)]] = Field(
        default_factory=dict, description="Image by environment; the chart's without it."
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
    workspace: Workspace = Field(default_factory=Workspace)
    priorities: list[Priority] = Field(
        default_factory=list, max_length=20, description="Priorities that a week job may ask for."
    )
    budget: Budget = Field(default_factory=Budget)
    suspend: bool = Field(default=False, description="True admits no more week jobs until it is false again.")

    @field_validator("images")
    @classmethod
    def _refuse_unknown_environments(cls, images: dict[str, str]) -> dict[str, str]:
        """Refuse an image that no stage would ever use."""
        unknown = sorted(images.keys() - ENVIRONMENTS.keys())
        if unknown:
            raise ValueError(f"no environment is called {', '.join(unknown)}; there are {', '.join(ENVIRONMENTS)}")
        return images

    @model_validator(mode="after")
    def _refuse_shared_homes(self) -> Self:
        """Refuse two students in one namespace: each would take rights and quota from the other, again and again."""
        counts = Counter(student.home for student in self.students)
        shared = sorted(home for home, count in counts.items() if count > 1)
        if shared:
            raise ValueError(f"several students have one namespace ({', '.join(shared)}): make them one team, or two")
        return self


class CoursePhase(StrEnum):
    """Where a course stands."""

    PENDING = "Pending"
    """Seen; not everything is made yet."""
    READY = "Ready"
    """Every student's namespace, quota, volume and queue are there."""
    SUSPENDED = "Suspended"
    """The class is paused: nothing more is admitted."""
    FAILED = "Failed"
    """Something that it needs is missing or refused; the message says what."""


class StudentStatus(Resource):
    """One student as the teacher sees them."""

    name: str = Field(description="Name of the student or team.")
    namespace: str = Field(description="Where they work.")
    gpu_hours: float = Field(default=0.0, description="Used since the last reset.")
    gpu_hours_left: float | None = Field(default=None, description="Absent where there is no cap.")
    is_archived: bool = Field(default=False, description="Left the roster; the data is kept and nothing is admitted.")


class CourseStatus(Resource):
    """What is observed of a course. Written by the controller alone."""

    phase: CoursePhase = CoursePhase.PENDING
    message: str = Field(default="", description="Where it stands and why, in a sentence.")
    num_students: int = Field(default=0, description="Students on the roster.")
    conditions: list[Condition] = Field(default_factory=list, description="What holds of the course.")
    observed_generation: int | None = Field(default=None, description="Generation of the spec that this is about.")
    students: list[StudentStatus] = Field(default_factory=list, description="The students one by one.")


class Course(Resource):
    """A class on a cluster. Cluster scoped."""

    api_version: Literal["practicum.dev/v1alpha1"] = API_VERSION
    kind: Literal["Course"] = "Course"
    metadata: Metadata
    spec: CourseSpec
