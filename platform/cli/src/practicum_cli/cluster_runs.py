"""Week jobs of a cluster as values: read, named, found, as :mod:`practicum_cli.runs` does for local runs. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import ValidationError

from practicum_cli.standing import Standing
from practicum_core.errors import ConfigError, PlatformError, Reason, suggest_similar
from practicum_core.layout import RunLayout, build_run_id
from practicum_core.phases import Phase
from practicum_core.problems import list_problems
from practicum_core.state_texts import PHASE_NAMES
from practicum_core.weekjob import Metadata, WeekJob, WeekJobStatus

FOLDER = "cluster"
"""Folder inside the folder of all runs where evidence of clusters lies."""
_METADATA = ("name", "namespace", "labels", "annotations")


@dataclass(frozen=True)
class Place:
    """The cluster and the namespace that a person means; ``None`` is the kubeconfig's own choice."""

    namespace: str | None = None
    context: str | None = None

    def describe(self, namespace: str) -> str:
        """Return the options that name this place again.

        >>> Place(context="kind").describe("student-01")
        '-n student-01 --context kind'
        """
        return f"-n {namespace}" + (f" --context {self.context}" if self.context else "")


@dataclass(frozen=True)
class ClusterRun:
    """One week job of a cluster, read.

    Attributes:
        weekjob: What was asked for.
        status: What became of it.
        uid: Tells it from an earlier week job of its name.
        created_at: When it was made.
        generation: Counts the changes of what was asked for.
    """

    weekjob: WeekJob
    status: WeekJobStatus
    uid: str
    created_at: dt.datetime
    generation: int

    @property
    def name(self) -> str:
        """Name of the week job."""
        return self.weekjob.metadata.name

    @property
    def namespace(self) -> str:
        """Namespace of the week job."""
        return self.weekjob.metadata.namespace

    @property
    def title(self) -> str:
        """Namespace and name, as people name it."""
        return f"{self.namespace}/{self.name}"

    @property
    def run_id(self) -> str:
        """Name of its run directory in the workspace."""
        return build_run_id(self.created_at, bytes.fromhex(self.uid.replace("-", "")[:6]))

    @property
    def is_over(self) -> bool:
        """Whether nothing more happens: it ended, or was suspended by the spec that it has now."""
        if self.status.phase is Phase.SUSPENDED:
            return self.status.observed_generation in (None, self.generation)
        return self.status.phase.is_terminal

    @property
    def workspace(self) -> PurePosixPath:
        """Where its run directory lies on the student's volume."""
        return PurePosixPath("experiments", self.weekjob.spec.unit, self.run_id)

    def get_layout(self, experiments: Path) -> RunLayout:
        """Return where its evidence lies on this machine, once fetched."""
        return RunLayout(experiments / FOLDER / self.namespace / self.name / self.run_id)


def build_standing(run: ClusterRun) -> Standing:
    """Return where a week job stands, as a run of this machine is told."""
    return Standing(run.weekjob.spec.unit, run.name, run.title, PHASE_NAMES[run.status.phase], run.status)


def read_cluster_run(document: Mapping[str, Any]) -> ClusterRun:
    """Read a WeekJob as an API server returns it.

    Raises:
        PlatformError: The cluster's Practicum writes what this command does not know.
    """
    metadata = document["metadata"]
    known = {key: value for key, value in metadata.items() if key in _METADATA}
    try:
        return ClusterRun(
            # The server holds names to rules of its own; a name that is there is a name.
            weekjob=WeekJob.model_validate({"metadata": Metadata.model_construct(**known), "spec": document["spec"]}),
            status=WeekJobStatus.model_validate(document.get("status") or {}),
            uid=metadata["uid"],
            created_at=dt.datetime.fromisoformat(metadata["creationTimestamp"]),
            generation=metadata.get("generation", 1),
        )
    except ValidationError as error:
        raise PlatformError(
            Reason.CLUSTER_MISSING,
            f"{metadata['namespace']}/{metadata['name']}: {list_problems(error)[0]}",
            "use a `practicum` of the same version as the cluster's",
        ) from error


def build_document(weekjob: WeekJob, namespace: str) -> dict[str, Any]:
    """Return what is applied: the file's own keys and no others, so that the cluster's defaults stay its own."""
    document = weekjob.model_dump(mode="json", by_alias=True, exclude_unset=True)
    document["metadata"]["namespace"] = namespace
    return {**document, "apiVersion": weekjob.api_version, "kind": weekjob.kind}


def choose_namespace(weekjob: WeekJob, given: str | None, usual: str) -> str:
    """Return the namespace of a week job's file: the one given, else the file's, else the kubeconfig's.

    Raises:
        ConfigError: The file names another one than was given.
    """
    own = weekjob.metadata.namespace if "namespace" in weekjob.metadata.model_fields_set else None
    if own and given and own != given:
        raise ConfigError(
            f"metadata.namespace: the file says '{own}', --namespace says '{given}'", "leave one of the two out"
        )
    return given or own or usual


def find_cluster_run(reference: str, runs: Iterable[ClusterRun], namespace: str) -> ClusterRun:
    """Return the week job that ``reference`` names: a name, its beginning, ``latest`` or ``latest:UNIT``.

    Raises:
        ConfigError: Nothing, or more than one week job, has this name.
    """
    known = sort_by_age(runs)
    word, _, unit = reference.partition(":")
    if word == "latest":
        known = [run for run in known if not unit or run.weekjob.spec.unit == unit]
        if not known:
            raise ConfigError(f"'{reference}': no such week job in {namespace}", "start one with `practicum submit`")
        return known[-1]
    named = [run for run in known if run.name == reference]
    named = named or [run for run in known if run.name.startswith(reference)]
    if len(named) == 1:
        return named[0]
    if named:
        names = ", ".join(run.name for run in named)
        raise ConfigError(f"'{reference}' names {len(named)} week jobs: {names}", "give more of the name")
    raise ConfigError(
        f"no week job '{reference}' in {namespace}{suggest_similar(reference, [run.name for run in known])}",
        f"`practicum status -n {namespace}` lists them; `latest` and `latest:UNIT` name the newest",
    )


def sort_by_age(runs: Iterable[ClusterRun]) -> Sequence[ClusterRun]:
    """Sort week jobs by when they were made."""
    return sorted(runs, key=lambda run: (run.created_at, run.name))
