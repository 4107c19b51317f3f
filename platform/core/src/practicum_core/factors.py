"""The factors in which two runs differ. Pure.

A factor is something that can change a result and that a person can choose: the unit, the seed, the base model (by the
hash of its files), each split of the data (by content), every option of every step, the code that stages run, and the
lock of each environment. One intention is one factor: a seed that reaches five steps counts once, and a model known
under two addresses with equal files does not count at all. So does a reference to an earlier run: its files count.

Context is shown beside the factors and never counted: hardware, number of threads, operating system, Python, git
commit (the hash of the stages' sources counts in its place, so that a changed document is no factor), profile and
variant (they act through options, which count one by one), and how the evidence pack is drawn.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from practicum_core.curriculum import get_unit
from practicum_core.environment import RunEnvironment
from practicum_core.lineage import Lineage
from practicum_core.resolve import NEEDED_SPLITS
from practicum_core.stages.model import ModelLock
from practicum_core.stages.snapshot import DataLock
from practicum_core.weekjob import WeekJobSpec

Kind = Literal["factor", "context"]
ABSENT = "(absent)"
_SHORT_HASH = 12


@dataclass(frozen=True)
class RunFacts:
    """What is known of a run. Locks are ``None`` before their steps ran."""

    spec: WeekJobSpec
    steps: Mapping[str, Mapping[str, Any]]
    environment: RunEnvironment
    model: ModelLock | None = None
    data: DataLock | None = None
    lineage: Lineage | None = None

    def find_hash(self, value: object) -> str | None:
        """Return the hash of what an option's value refers to; ``None`` where it is no reference to an earlier run."""
        return self.lineage.find_hash(value) if self.lineage and isinstance(value, str) else None


@dataclass(frozen=True)
class Difference:
    """One named thing in which two runs differ."""

    name: str
    kind: Kind
    first: str
    second: str


class Comparison(BaseModel):
    """The file ``control.json``: which run this one is compared with, and the factor in which they differ."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: int = 1
    control: str = Field(description="Unit and run id of the control.")
    factor: str | None = Field(description="Name of the one factor; absent where the run repeats its control.")
    control_value: str = ""
    value: str = ""


@dataclass
class _Table:
    entries: dict[str, tuple[Kind, str]] = field(default_factory=dict)

    def add(self, name: str, value: object, kind: Kind = "factor") -> None:
        self.entries[name] = (kind, str(value))


def find_differences(first: RunFacts, second: RunFacts) -> list[Difference]:
    """Name everything in which two runs differ: factors first, then context, each in order of name.

    Hashes are compared where both runs have them; where one has none yet, the addresses stand in.
    """
    tables = [_flatten(first, second), _flatten(second, first)]
    absent = ("factor", ABSENT)
    names = sorted(set(tables[0].entries) | set(tables[1].entries))
    differences = []
    for name in names:
        left, right = (table.entries.get(name, absent) for table in tables)
        kind = (tables[0].entries.get(name) or tables[1].entries[name])[0]
        if left[1] != right[1]:
            differences.append(Difference(name, kind, left[1], right[1]))
    return sorted(differences, key=lambda difference: (difference.kind != "factor", difference.name))


def count_factors(differences: list[Difference]) -> int:
    """Count the differences that are factors."""
    return sum(difference.kind == "factor" for difference in differences)


def _flatten(facts: RunFacts, other: RunFacts) -> _Table:
    table = _Table()
    table.add("unit", facts.spec.unit)
    table.add("seed", facts.spec.seed)
    table.add("model", _describe_model(facts, other))
    table.add("waive_leakage", sorted(facts.spec.waive_leakage))
    _add_data(table, facts, other)
    _add_steps(table, facts, other)
    _add_surroundings(table, facts, other)
    return table


def _describe_model(facts: RunFacts, other: RunFacts) -> str:
    if facts.model is None or other.model is None:
        return str(_describe_uri(facts, other, (facts.spec.model.uri, other.spec.model.uri)))
    return f"sha256:{facts.model.sha256[:_SHORT_HASH]}"


def _add_data(table: _Table, facts: RunFacts, other: RunFacts) -> None:
    if facts.data is None or other.data is None:
        uris = [one.spec.data.uri if one.spec.data else "" for one in (facts, other)]
        table.add("data", _describe_uri(facts, other, (uris[0], uris[1])))
        return
    for name, split in facts.data.splits.items():
        table.add(f"data.{name}", f"sha256:{split.sha256[:_SHORT_HASH]} ({split.num_rows} rows)")


def _add_steps(table: _Table, facts: RunFacts, other: RunFacts) -> None:
    """Add the options of the steps that both runs have; another set of steps is what another unit means."""
    unit = get_unit(facts.spec.unit, facts.spec.variant)
    presentation = {step.name for step in unit.steps if step.is_presentation}
    for step, options in facts.steps.items():
        if step not in other.steps:
            continue
        kind: Kind = "context" if step in presentation else "factor"
        for key, value in options.items():
            if not _is_shared(facts.spec, key, value):
                table.add(f"{step}.{key}", _describe_uri(facts, other, (value, other.steps[step].get(key))), kind)


def _describe_uri(facts: RunFacts, other: RunFacts, values: tuple[object, object]) -> object:
    """Return the first of two values, by its content where both are references to earlier runs."""
    content = facts.find_hash(values[0])
    return values[0] if content is None or other.find_hash(values[1]) is None else content


def _is_shared(spec: WeekJobSpec, key: str, value: object) -> bool:
    """Whether an option only repeats what the week job, or another step, says already."""
    shared: dict[str, object] = {
        "seed": spec.seed,
        "model": spec.model.uri,
        "data": spec.data.uri if spec.data else None,
        "waive_leakage": list(spec.waive_leakage),
    }
    return key == NEEDED_SPLITS or (key in shared and shared[key] == value)


def _add_surroundings(table: _Table, facts: RunFacts, other: RunFacts) -> None:
    environment = facts.environment
    table.add("code", f"sha256:{environment.code.source_sha256[:_SHORT_HASH]}")
    for name, sha256 in environment.locks.items():
        if name in other.environment.locks:
            table.add(f"environment.{name}", f"sha256:{sha256[:_SHORT_HASH]}")
    repository = environment.code.repository
    context = {
        "profile": facts.spec.profile,
        "variant": facts.spec.variant,
        "model_uri": facts.spec.model.uri,
        "data_uri": facts.spec.data.uri if facts.spec.data else "",
        "commit": f"{repository.commit[:_SHORT_HASH]}{'+changes' if repository.is_dirty else ''}" if repository else "",
        "python": environment.python,
        "platform": environment.platform,
        "num_threads": environment.num_threads,
        "hardware": ", ".join([environment.hardware.cpu, *environment.hardware.gpus]),
        "cores": environment.hardware.physical_cores,
        "memory_bytes": environment.hardware.memory_bytes,
    }
    for name, value in context.items():
        table.add(name, value, "context")
