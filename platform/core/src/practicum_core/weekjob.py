"""A week job: one student's run of a unit. Read from YAML locally, a custom resource on a cluster.

Field documentation here becomes the descriptions of the custom resource. How it is run is not known here.
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

from practicum_core.errors import Reason
from practicum_core.gates import GateResult
from practicum_core.phases import ConditionType, Phase
from practicum_core.quantities import PodCpu, PodMemory

API_VERSION: Literal["practicum.dev/v1alpha1"] = "practicum.dev/v1alpha1"


def _check_time(text: str) -> str:
    try:
        dt.datetime.fromisoformat(text).astimezone(dt.UTC)
    except OverflowError as error:
        raise ValueError(f"{text} is after the year 9999 in UTC, or before the year 1") from error
    return text


Time = Annotated[
    str,
    StringConstraints(
        pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})$"
    ),
    AfterValidator(_check_time),
]
"""A time with its zone, as RFC 3339 writes it."""
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=47)]


class Resource(BaseModel):
    """Base of every model that is written in a custom resource: camelCase outside, unknown keys refused."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid")


class Metadata(Resource):
    """The part of Kubernetes object metadata that Practicum reads."""

    name: Name = Field(description="Name of the week job; short enough for every child's name.")
    namespace: str = Field(default="default", description="Namespace: one per student or team.")
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)


class ModelSource(Resource):
    """Where the base model comes from."""

    uri: str = Field(
        default="builtin:smollm2-135m",
        description="hf://OWNER/NAME[@REVISION], file:///FOLDER, s3://BUCKET/KEY, pvc://CLAIM/PATH or builtin:NAME; or "
        "of an earlier run: latest:UNIT, run:RUN_ID or pointer:NAME, with /EXPORT or without.",
    )


class DataSource(Resource):
    """Where the data set comes from."""

    uri: str = Field(
        default="builtin:tickets",
        description="builtin:NAME[?rows=N&language=en|zh|both&seed=N&general_every=N], file:///PATH, hf://, s3:// or "
        "pvc://; or of an earlier run: latest:UNIT, run:RUN_ID or pointer:NAME, with /EXPORT or without.",
    )


class GpuResources(Resource):
    """Share of GPUs for each worker."""

    slices: int = Field(default=0, ge=0, le=64, description="GPU slices per worker; the platform maps them to GPUs.")


class Resources(Resource):
    """Compute that the week job asks for."""

    gpu: GpuResources = Field(default_factory=GpuResources)
    workers: int | None = Field(default=None, ge=1, le=64, description="Training workers; overrides sft.num_workers.")
    cpu: PodCpu | None = Field(default=None, description="CPUs of each pod on a cluster; the course's without it.")
    memory: PodMemory | None = Field(default=None, description="Memory of each pod; the course's without it.")


class Serving(Resource):
    """How a unit that serves a model does so."""

    engine: Literal["local", "kserve", "rayserve"] = Field(
        default="local", description="local: a process of the stage. kserve, rayserve: a service of the cluster."
    )
    min_replicas: int | None = Field(default=None, ge=0, description="Fewest model servers that are kept.")
    max_replicas: int | None = Field(default=None, ge=1, description="Most model servers under load.")
    requests_per_replica: int = Field(
        default=8, ge=1, le=10_000, description="Requests that wait or run for which one model server more is started."
    )
    keep: bool = Field(
        default=False,
        description="True keeps the servers after the last step, until the week job is deleted or its time to live is "
        "over.",
    )
    max_restarts: int = Field(default=3, ge=0, le=100, description="Times that a server which died is started again.")


SetValue = str | int | float | bool | list[str | int | float] | None


class WeekJobSpec(Resource):
    """What a student asks for."""

    unit: str = Field(description="Unit of the course, such as sft.")
    variant: Literal[8, 10, 12] = Field(default=10, description="Length of the course in weeks.")
    profile: Literal["quick", "full"] = Field(default="full", description="quick: sized for a laptop without a GPU.")
    model: ModelSource = Field(default_factory=ModelSource)
    data: DataSource | None = Field(default=None, description="Data set; without it, the unit's own.")
    set: dict[str, SetValue] = Field(default_factory=dict, description="Stage options, as STEP.KEY: value.")
    seed: int = Field(default=7, ge=0, description="Seed of everything random in the run.")
    control: str | None = Field(
        default=None, description="Run that this one is compared with; it may differ from it in one factor only."
    )
    waive_leakage: list[Annotated[str, StringConstraints(max_length=100)]] = Field(
        default_factory=list, max_length=50, description="Leakage findings accepted by name, such as near:train-test."
    )
    resources: Resources = Field(default_factory=Resources)
    serving: Serving | None = None
    image: Annotated[str, StringConstraints(min_length=1, max_length=500)] | None = Field(
        default=None, description="Image of every stage on a cluster; the course's by environment without it."
    )
    priority_class_name: Annotated[str, StringConstraints(max_length=63)] | None = Field(
        default=None, description="One of the course's priorities."
    )
    suspend: bool = Field(default=False, description="True stops the run after a checkpoint; false lets it go on.")
    active_deadline_seconds: int | None = Field(
        default=None,
        ge=1,
        description="Seconds that steps may start and run, together; waiting does not count.",
    )
    pre_running_deadline_seconds: int | None = Field(
        default=None, ge=1, description="Seconds that an admitted step may take until its program runs, a day at most."
    )
    backoff_limit: int = Field(default=1, ge=0, le=10, description="Times that a crashed stage is started again.")
    ttl_seconds_after_finished: int | None = Field(
        default=None,
        ge=0,
        description="Seconds after its end at which the week job is deleted, 60 at least; kept without it.",
    )


class Condition(Resource):
    """A standard Kubernetes condition."""

    type: ConditionType
    status: Literal["True", "False", "Unknown"] = Field(description="Whether it holds.")
    reason: str = Field(description="Why, in a word for machines.")
    message: str = Field(default="", description="Why, in a sentence.")
    last_transition_time: Time = Field(description="When the status last changed.")
    observed_generation: int | None = Field(default=None, description="Generation of the spec that it is about.")


class StageStatus(Resource):
    """Where one step of the unit stands."""

    name: str = Field(description="Name of the step.")
    phase: Phase
    child: str | None = Field(default=None, description="Process id or Kubernetes object that runs it.")
    attempt: int = Field(default=0, description="How often it was started.")
    resumes: int | None = Field(
        default=None, description="How many of these starts followed a stop and no failure; backoffLimit spares them."
    )
    restarts: int | None = Field(
        default=None,
        description="How often the cluster started a dead server again; serving.maxRestarts bounds it.",
    )
    progress: float | None = Field(default=None, description="Share done, 0 to 1.")
    reason: Reason | None = Field(default=None, description="Why it waits or failed, as one word.")
    message: str = Field(default="", description="What it does, or why it waits or failed.")
    eta_seconds: float | None = Field(default=None, description="Seconds that it is expected to take yet.")
    duration_seconds: float | None = Field(default=None, description="Seconds that it took.")
    endpoint: str | None = Field(default=None, description="Address of a server while it runs.")


class QueueStatus(Resource):
    """Where the week job stands in its queue."""

    position: int | None = Field(default=None, description="Place in the course's queue.")
    message: str = Field(default="", description="Why it waits, as the queue says.")
    eta_seconds: float | None = Field(default=None, description="Estimate until it is admitted, from earlier waits.")


class MetricStatus(Resource):
    """A metric as custom resources carry it: numbers as strings."""

    name: str = Field(description="STEP.METRIC.")
    value: str = Field(description="The number as text, exact.")
    unit: str = Field(default="", description="Unit of the number; empty for shares and counts.")


class WeekJobStatus(Resource):
    """What is observed of a week job. Written by the executor alone."""

    phase: Phase = Phase.PENDING
    reason: Reason | None = None
    message: str = Field(default="", description="Where it stands and why, in a sentence.")
    conditions: list[Condition] = Field(default_factory=list, description="What holds of the week job.")
    observed_generation: int | None = Field(default=None, description="Generation of the spec that this is about.")
    stages: list[StageStatus] = Field(default_factory=list, description="The unit's steps in their order.")
    queue: QueueStatus | None = None
    start_time: Time | None = Field(default=None, description="When the first step ran.")
    active_since: Time | None = Field(default=None, description="Since when steps start or run; absent while it waits.")
    active_seconds: int = Field(default=0, description="Seconds that steps started or ran before that.")
    completion_time: Time | None = Field(
        default=None, description="When it succeeded or failed; of a kept server, when the last task ended."
    )
    metrics: list[MetricStatus] = Field(default_factory=list, description="What the steps measured.")
    gates: list[GateResult] = Field(default_factory=list, description="What the machine-checked gates said.")
    evidence: str | None = Field(default=None, description="Where the evidence pack lies.")
    stage: str | None = Field(default=None, description="Step that runs or waits now.")
    progress: str | None = Field(default=None, description="Share of the steps done, in per cent.")
    gates_passed: str | None = Field(default=None, description="Gates passed of all gates, such as 4/5.")

    @property
    def started_at(self) -> dt.datetime | None:
        """When the first step ran."""
        return dt.datetime.fromisoformat(self.start_time) if self.start_time else None

    @property
    def ended_at(self) -> dt.datetime | None:
        """When it succeeded or failed; of a kept server, when the last task ended."""
        return dt.datetime.fromisoformat(self.completion_time) if self.completion_time else None


class WeekJob(Resource):
    """One student's run of a unit."""

    api_version: Literal["practicum.dev/v1alpha1"] = API_VERSION
    kind: Literal["WeekJob"] = "WeekJob"
    metadata: Metadata
    spec: WeekJobSpec

    def to_document(self) -> dict[str, Any]:
        """Return the document as it is written to YAML: camelCase, without unset optional fields."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)
