"""What the stage ``iterate`` starts from: the failures of an evaluation, and the rows of data that they are about."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from practicum_core.errors import ConfigError, DataError, Reason
from practicum_core.name_lists import name_some
from practicum_core.problems import list_problems
from practicum_core.rows import Row
from practicum_core.stages.analyze import FailureCase
from practicum_core.stages.evaluate import EvaluationSample, split_samples
from practicum_core.stages.iterate import IterateConfig
from practicum_jobs.context import StageContext
from practicum_jobs.datasets.sources import Source, open_input, read_strictly
from practicum_jobs.scoring.evaluation_samples import read_evaluation_samples, resolve_samples

_FIX = "give failures.jsonl and samples.jsonl of one evaluation"
_SHOWN = 3


@dataclass(frozen=True)
class FailedRow:
    """A failure and the row that it is about."""

    case: FailureCase
    row: Row

    @property
    def key(self) -> str:
        """The failure as SPLIT/ID, as new rows name it."""
        return f"{self.case.split}/{self.case.id}"


@dataclass(frozen=True)
class Material:
    """What was evaluated and what failed.

    Attributes:
        source: The data set.
        split: The scored split.
        seen: Its rows that were answered, in order.
        failed: Failures of the scored split.
        forgotten: Failures of the control split.
        control: Rows of the control split; empty where the data has none.
    """

    source: Source
    split: str
    seen: Sequence[Row]
    failed: Sequence[FailedRow]
    forgotten: Sequence[FailedRow]
    control: Sequence[Row]

    @property
    def failures(self) -> list[FailedRow]:
        """Those of the scored split, then those of the control split."""
        return [*self.failed, *self.forgotten]


def read_material(config: IterateConfig, ctx: StageContext) -> Material:
    """Read failures, samples and the rows that they are about.

    Raises:
        ConfigError: An option names nothing.
        DataError: A file is broken, or the failures are about other data.
    """
    samples = read_evaluation_samples(resolve_samples(config.samples, ctx))
    cases = read_failures(ctx, config.failures)
    source = open_input(config.data, ctx)
    scored, control = split_samples(samples)
    split = scored[0].split
    seen = _find_rows(source, split, scored)
    by_key = {(split, row.id): row for row in seen}
    if control:
        other = control[0].split
        by_key |= {(other, row.id): row for row in _find_rows(source, other, control)}
    unknown = [case.id for case in cases if (case.split, case.id) not in by_key]
    if unknown:
        raise DataError(f"failures that no sample is about: {name_some(unknown, _SHOWN)}", _FIX)
    found = [FailedRow(case, by_key[case.split, case.id]) for case in cases]
    return Material(
        source,
        split,
        seen,
        [one for one in found if one.case.split == split],
        [one for one in found if one.case.split != split],
        list(read_strictly(source, "control")) if "control" in source.splits else [],
    )


def read_failures(ctx: StageContext, uri: str) -> list[FailureCase]:
    """Read ``failures.jsonl`` of the stage ``analyze``; an empty file is an evaluation without failures.

    Raises:
        ConfigError: The option names no path.
        DataError: The file is missing, or a line of it is no failure.
    """
    path = Path(ctx.resolve_uri(uri, "data").removeprefix("file://"))
    if not path.is_absolute():
        raise ConfigError(f"failures {uri!r}: no path", "give an absolute path, file://PATH or run:PATH")
    try:
        return list(_parse_cases(path))
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}", _FIX, Reason.DATA_MISSING) from error


def _parse_cases(path: Path) -> Iterator[FailureCase]:
    with path.open("rb") as handle:
        for number, line in enumerate(handle, start=1):
            try:
                yield FailureCase.model_validate_json(line)
            except ValidationError as error:
                raise DataError(f"{path}: line {number}: {list_problems(error)[0]}", _FIX) from error


def _find_rows(source: Source, split: str, samples: Sequence[EvaluationSample]) -> list[Row]:
    """Return the rows of some samples, which must be in the data with the prompts that were answered."""
    wanted = {sample.id: sample for sample in samples}
    found = {row.id: row for row in read_strictly(source, split) if row.id in wanted}
    other = [
        sample.id
        for sample in samples
        if sample.id not in found or sample.prompt != found[sample.id].messages[-1].content
    ]
    if other:
        raise DataError(
            f"{source.uri}: {len(other)} of {len(samples)} evaluated rows are not in its split {split}, such as "
            f"{name_some(other, _SHOWN)}",
            "give the data that was evaluated",
        )
    return [found[sample.id] for sample in samples]
