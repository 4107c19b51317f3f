"""Freezing of data: stores every split under its hash, checks for leakage and writes the data lock.

``data.lock.json`` is written last. If the data is malformed or leaks, there is no lock, and later steps cannot start.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from practicum_core.atomic import write_bytes_atomic
from practicum_core.errors import DataError, Reason
from practicum_core.metrics import Metric
from practicum_core.needed_splits import check_filled_splits, check_needed_splits
from practicum_core.rows import Row
from practicum_core.stages.base import Artifact
from practicum_core.stages.leaks import Leak
from practicum_core.stages.snapshot import DataLock, SnapshotConfig, SnapshotRecord, SplitLock
from practicum_jobs.context import StageContext
from practicum_jobs.datasets.readers import Defect
from practicum_jobs.datasets.sources import Source, list_input, open_input
from practicum_jobs.datasets.store import read_split, write_data_lock, write_split
from practicum_jobs.snapshot.leakage import (
    LeakedRow,
    build_settings,
    check_waivers,
    count_leaks,
    find_leaked_rows,
    list_pairs,
)
from practicum_jobs.text.overlap import Kind

DEFECTS_SHOWN = 5
UNREAD_SHOWN = 20
STOP_PERIOD = 5_000
"""Rows between two checks for a stop request."""


def run(config: SnapshotConfig, ctx: StageContext) -> SnapshotRecord:
    """Freeze the splits of a data set and check them for leakage.

    Raises:
        ConfigError: The URI or a waiver is wrong.
        DataError: The data is missing or malformed, lacks a split that later steps read, or has leakage without a
            waiver; the leaked rows are then listed in ``leaks.jsonl``.
        PlatformError: A store did not answer, or the disk is full.
        Stopped: A stop was requested.
    """
    ctx.run.data_lock.unlink(missing_ok=True)
    if config.needed_splits:
        check_needed_splits(config.needed_splits, list_input(config.data, ctx))
    source = open_input(config.data, ctx)
    check_waivers(config.waive_leakage, source.splits)
    unread: Counter[str] = Counter()
    lock = _freeze(source, ctx, unread)
    check_filled_splits(config.needed_splits, lock)
    found, leaks = _find_leaks(config, ctx, lock)
    artifacts = _write_leaked_rows(found, ctx)
    _refuse_leaks(leaks, ctx.run.root / artifacts[0].path)
    write_data_lock(ctx.run, lock)
    ctx.progress(1.0, "data locked")
    return SnapshotRecord(
        **ctx.build_record_fields(),
        metrics=_build_metrics(lock, leaks),
        artifacts=artifacts,
        notes=[
            f"{lock.uri} frozen as {', '.join(f'{name} {_short(split)}' for name, split in lock.splits.items())}",
            *_describe_unread(unread),
        ],
        lock=lock,
        leaks=leaks,
    )


def _freeze(source: Source, ctx: StageContext, unread: Counter[str]) -> DataLock:
    splits: dict[str, SplitLock] = {}
    for number, split in enumerate(source.splits):
        ctx.progress(0.6 * number / len(source.splits), f"freezing {split}")
        splits[split] = write_split(_read_strictly(source, split, ctx, unread), ctx.cache_dir)
    return DataLock(uri=source.uri, generator_version=source.generator_version, splits=splits)


def _read_strictly(source: Source, split: str, ctx: StageContext, unread: Counter[str]) -> Iterator[Row]:
    """Yield the rows of a split. After a defect, read to the end and raise an error with the first defects.

    Args:
        source: The data set.
        split: Name of the split.
        ctx: Context of the stage.
        unread: Counts the columns and the parts of files that are not read.
    """
    defects: list[Defect] = []
    num_defects = 0
    for number, place in enumerate(source.iter_places(split)):
        if number % STOP_PERIOD == 0:
            ctx.raise_if_stopped()
        unread.update(place.unread)
        if isinstance(place.content, Row):
            if not num_defects:
                yield place.content
        elif place.content.kind == "unread_part":
            unread[f"{place.content.file.name}:{place.content.line} ({place.content.detail})"] += 1
        else:
            num_defects += 1
            if len(defects) < DEFECTS_SHOWN:
                defects.append(place.content)
    if num_defects:
        shown = "; ".join(str(defect) for defect in defects)
        more = f"; and {num_defects - len(defects)} more" if num_defects > len(defects) else ""
        raise DataError(
            f"split {split}: {num_defects} rows cannot be read: {shown}{more}",
            "correct the lines, or run `practicum audit` on the data and use the clean copy that it writes",
        )


def _describe_unread(unread: Counter[str]) -> list[str]:
    """List the columns and parts of files that were not read, the most frequent first."""
    if not unread:
        return []
    named = [f"{name} ({count:,})" for name, count in unread.most_common(UNREAD_SHOWN)]
    more = [f"and {len(unread) - UNREAD_SHOWN} more"] if len(unread) > UNREAD_SHOWN else []
    return [f"not read, with the number of rows that had it: {', '.join([*named, *more])}"]


def _find_leaks(config: SnapshotConfig, ctx: StageContext, lock: DataLock) -> tuple[list[LeakedRow], list[Leak]]:
    settings = build_settings(config)
    found: list[LeakedRow] = []
    pairs: list[tuple[str, str]] = []
    for known, probes in list_pairs(lock.splits):
        ctx.raise_if_stopped()
        ctx.progress(0.6 + 0.3 * (known != "train"), f"comparing {known} with {', '.join(probes)}")
        rows = [(probe, read_split(lock.splits[probe], ctx.cache_dir)) for probe in probes]
        found += find_leaked_rows((known, read_split(lock.splits[known], ctx.cache_dir)), rows, settings)
        pairs += [(known, probe) for probe in probes]
    sizes = {split: locked.num_rows for split, locked in lock.splits.items()}
    return found, count_leaks(found, pairs, sizes, config.waive_leakage)


def _write_leaked_rows(found: list[LeakedRow], ctx: StageContext) -> list[Artifact]:
    """Write one JSON line per leaked row: its id, the finding, and an overlapping training row."""
    path = ctx.layout.artifacts / "leaks.jsonl"
    lines = [
        json.dumps({"leak": row.leak, "row": row.row, "seen_as": row.seen_as}, ensure_ascii=False) for row in found
    ]
    write_bytes_atomic(path, "".join(f"{line}\n" for line in lines).encode())
    return [ctx.describe_artifact(path, "evaluation rows that overlap with training rows")]


def _refuse_leaks(leaks: list[Leak], listing: Path) -> None:
    open_leaks = [leak for leak in leaks if leak.num_rows and not leak.waived]
    if not open_leaks:
        return
    found = "; ".join(
        f"{leak.name}: {leak.num_rows} rows ({leak.share_ratio:.1%}), such as {', '.join(islice(leak.examples, 3))}"
        for leak in open_leaks
    )
    names = ", ".join(leak.name for leak in open_leaks)
    raise DataError(
        f"evaluation rows stand in the training data: {found}",
        f"remove the rows that {listing} lists, or accept them by name: waive_leakage: [{names}]",
        Reason.DATA_LEAKAGE,
    )


def _build_metrics(lock: DataLock, leaks: list[Leak]) -> list[Metric]:
    unwaived = sum(leak.num_rows for leak in leaks if not leak.waived)
    metrics = [Metric(name="unwaived_leaks", value=unwaived, unit="rows")]
    for kind in Kind:
        num_rows = sum(leak.num_rows for leak in leaks if leak.name.startswith(f"{kind.value}:"))
        metrics.append(Metric(name=f"leaks_{kind.value}", value=num_rows, unit="rows"))
    for name, split in lock.splits.items():
        metrics.append(Metric(name=f"num_{name}_rows", value=split.num_rows, unit="rows"))
    metrics.append(
        Metric(name="data_size", value=sum(split.size_bytes for split in lock.splits.values()), unit="bytes")
    )
    return metrics


def _short(split: SplitLock) -> str:
    return split.sha256[:12]
