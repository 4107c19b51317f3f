"""What the platform knows of a stage. Every stage exports one :class:`StageSpec`; nothing else describes stages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

from practicum_core.environments import get_environment
from practicum_core.metrics import Metric
from practicum_core.stages.base import ContentKind, StageConfig, StageRecord
from practicum_core.stages.samples import Sample, SampleGroup
from practicum_core.stages.titles import MetricTitle
from practicum_core.texts import Bilingual

JOBS_PACKAGE = "practicum_jobs"
LockKind = Literal["data", "model"]
"""Which input a lock file of the run directory names by content."""


class Lifetime(StrEnum):
    """How a stage ends."""

    TASK = "task"
    """It ends by itself, with a record."""
    SERVER = "server"
    """It answers requests until it is stopped."""


class Runner(StrEnum):
    """What runs the stage's processes."""

    PROCESS = "process"
    """One process: a child of the executor, or one pod."""
    RAY = "ray"
    """A Ray cluster of the stage's own: started by the stage on a laptop, a RayJob on a cluster."""


@dataclass(frozen=True)
class Endpoint:
    """Where a server answers and how it is probed.

    ``port`` is the container's; on a laptop the executor picks a free one. The server is ready when a GET of
    ``ready_path`` answers 200, and has ``startup_s`` seconds for that after each start.
    """

    port: int = 8000
    ready_path: str = "/readyz"
    live_path: str = "/healthz"
    startup_s: float = 900.0


@dataclass(frozen=True)
class PodSize:
    """CPUs and memory of a pod, as Kubernetes writes them."""

    cpu: str
    memory: str
    cpu_limit: str = ""
    """CPUs that it may use where others leave them idle; no more than ``cpu`` without it."""


@dataclass(frozen=True)
class Export:
    """A file or folder that a stage leaves for other runs, named in references such as ``latest:sft/merged``."""

    path: str
    """Relative to the step's folder."""
    kind: ContentKind


def _explain_nothing(samples: Sequence[Any]) -> Bilingual | None:
    del samples
    return None


@dataclass(frozen=True)
class SampleSpec:
    """The samples of a stage: the model of a line, and the groups that a page shows.

    ``explain_none_bad`` gives the sentence for samples of which no group is bad; ``None`` where that says nothing.
    ``how_to_read`` is said above them; without it, what a page says of answers of a model.
    """

    model: type[Sample]
    group: Callable[[Sequence[Any]], list[SampleGroup]]
    explain_none_bad: Callable[[Sequence[Any]], Bilingual | None] = _explain_nothing
    how_to_read: Bilingual | None = None


def _run_one_process(config: Any) -> Runner:  # noqa: ANN401 - each stage has its own config type
    del config
    return Runner.PROCESS


def _use_one_pod(config: Any) -> int:  # noqa: ANN401 - as above
    del config
    return 1


JoinRecords = Callable[[Sequence[Any]], Any]


def _say_nothing(metrics: Mapping[str, Metric]) -> str:
    del metrics
    return ""


@dataclass(frozen=True)
class StageSpec:
    """A program that can run inside a unit.

    Args:
        name: As in the curriculum and on the command line.
        title: What the stage does, as a phrase that follows the step's name.
        environment: Row of :data:`practicum_core.environments.ENVIRONMENTS`.
        other_environments: Rows that it runs in with some configs.
        choose_environment: Which of them it runs in with a given config; ``environment`` without it.
        config: Model of its options.
        record: Model of what it writes in the end.
        program: Module with ``run(config, context)``; ``practicum_jobs.<name>`` without it.
        endpoint: Where it answers; a stage that has one is a server, every other a task.
        uses_gpu: Whether it computes on a GPU where it has one.
        find_meter: Returns the path at which a server with a given config tells the load of another step's server;
            ``None`` where it tells none of it. A stage without this function tells none.
        follow_replicas: Returns the options of a server with a given config whose upstream servers have replicas that
            come and go.
        join_records: Joins the records of several servers that ran one step; a stage without it runs in one pod.
        takes_keys: Whether its requests need keys, which its pod gets from the student's ConfigMap.
        breaks_pods: Whether it may delete pods of the student and run programs in them: on a cluster its pod gets an
            account that can, and reaches the cluster's API.
        pod_size: What its pod asks for on a cluster, whatever the week job's resources say; for a stage that passes on
            what others compute.
        choose_runner: What runs it with a given config.
        count_pods: How many pods compute at the same time with a given config.
        is_presentation: Whether it only draws what others measured. Such a stage sees every other step's end, and its
            own figures are no result: comparisons and ``verify`` leave them out.
        measures_speed: Whether its figures are the machine's at that hour, and its samples too: repeated executions are
            compared by the ratios of its headlines and key times alone.
        locks: Which lock files of the run directory it writes.
        metrics: Titles of its metrics by name; ``{rest}`` in a name stands for what varies.
        failures: Titles of the kinds of failure in its record; what follows a colon fills ``{rest}``.
        samples: Model of its recorded samples and how a page groups them; ``None`` for a stage that asks no model.
        headlines: Metrics that a table of runs shows, beside those of the gates.
        describe_result: The one sentence for a terminal that its metrics amount to; empty for none.
        limits: Titles of the options of a server that the description of a deployment names.
        packages: Packages of its environment whose versions that description names, where they are there.
        exports: What it leaves for other runs, by name; the first model or data set is what a reference without a
            path means.
    """

    name: str
    title: Bilingual
    environment: str
    config: type[StageConfig]
    record: type[StageRecord]
    program: str = ""
    endpoint: Endpoint | None = None
    uses_gpu: bool = False
    find_meter: Callable[[Any, str], str | None] | None = None
    follow_replicas: Callable[[Any], Any] | None = None
    join_records: JoinRecords | None = None
    takes_keys: bool = False
    breaks_pods: bool = False
    pod_size: PodSize | None = None
    other_environments: tuple[str, ...] = ()
    choose_environment: Callable[[Any], str] | None = None
    choose_runner: Callable[[Any], Runner] = _run_one_process
    count_pods: Callable[[Any], int] = _use_one_pod
    is_presentation: bool = False
    measures_speed: bool = False
    locks: frozenset[LockKind] = frozenset()
    exports: Mapping[str, Export] = field(default_factory=dict)
    metrics: Mapping[str, MetricTitle] = field(default_factory=dict)
    failures: Mapping[str, Bilingual] = field(default_factory=dict)
    samples: SampleSpec | None = None
    headlines: tuple[str, ...] = ()
    limits: Mapping[str, Bilingual] = field(default_factory=dict)
    packages: tuple[str, ...] = ()
    describe_result: Callable[[Mapping[str, Metric]], str] = _say_nothing

    def __post_init__(self) -> None:
        """Refuse an environment that the table does not have, and name the usual program."""
        for name in (self.environment, *self.other_environments):
            get_environment(name)
        if not self.program:
            object.__setattr__(self, "program", f"{JOBS_PACKAGE}.{self.name}")

    def find_environment(self, config: StageConfig) -> str:
        """Return the environment that the stage runs in with this config.

        Raises:
            ValueError: The stage chooses one that it does not name.
        """
        chosen = self.choose_environment(config) if self.choose_environment else self.environment
        if chosen not in (self.environment, *self.other_environments):
            raise ValueError(f"stage {self.name} does not name the environment {chosen}")
        return chosen

    @property
    def lifetime(self) -> Lifetime:
        """Whether it ends by itself."""
        return Lifetime.TASK if self.endpoint is None else Lifetime.SERVER

    @property
    def is_server(self) -> bool:
        """Whether it answers requests until it is stopped."""
        return self.endpoint is not None
