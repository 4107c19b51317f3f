"""The stage ``iterate``: reads failures, and writes the enlarged data, the pairs, the fresh split and decisions."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from practicum_core.atomic import write_json_atomic, write_text_atomic
from practicum_core.metrics import Metric
from practicum_core.rows import Row
from practicum_core.stages.iterate import IterateConfig, IterateRecord, NewRow, RepairSample
from practicum_core.stages.repair import Decision
from practicum_jobs.context import StageContext
from practicum_jobs.datasets.row_records import write_rows
from practicum_jobs.datasets.sources import read_strictly
from practicum_jobs.iterate.account import list_changes, list_claims, list_origins
from practicum_jobs.iterate.decisions import decide_preferences, decide_training
from practicum_jobs.iterate.fresh import FRESH, FreshSplit, build_fresh, build_slice
from practicum_jobs.iterate.material import Material, read_material
from practicum_jobs.iterate.pairs import LEAKED, CheckedPairs, build_pairs, check_pairs, hold_out
from practicum_jobs.iterate.rows import LinkedRow, build_training_rows

_LINEAGE, _SLICE = "lineage.jsonl", "slice.json"


@dataclass(frozen=True)
class Repair:
    """Everything that was made of the failures."""

    material: Material
    kept: Sequence[Row]
    new: Sequence[LinkedRow]
    fresh: FreshSplit
    pairs: CheckedPairs
    decisions: Sequence[Decision]

    @property
    def linked(self) -> list[LinkedRow]:
        """Every new row and every usable pair."""
        return [*self.new, *self.pairs.usable]

    @property
    def num_unrepaired(self) -> int:
        """Failures of which no new row or usable pair was made."""
        return len({one.key for one in self.material.failures} - {one.source.key for one in self.linked})


def run(config: IterateConfig, ctx: StageContext) -> IterateRecord:
    """Make better data of failures. No failure is a result too: nothing is repaired then.

    Raises:
        ConfigError: An option names nothing.
        DataError: A file is broken, the failures are about other data, or no row is left that nobody looked at.
        PlatformError: No space or no permission.
    """
    ctx.progress(0.0, "reading the failures")
    material = read_material(config, ctx)
    ctx.raise_if_stopped()
    repair = _repair(material, config)
    ctx.progress(0.7, "writing the data")
    links = _write(repair, ctx)
    ctx.write_samples(_build_sample(one) for one in repair.linked)
    ctx.progress(1.0)
    artifacts = ctx.layout.artifacts
    pairs = artifacts / "pairs"
    return IterateRecord(
        **ctx.build_record_fields(),
        failures_read=len(material.failures),
        data=(artifacts / "data").relative_to(ctx.run.root).as_posix(),
        lineage=(artifacts / _LINEAGE).relative_to(ctx.run.root).as_posix(),
        pairs=pairs.relative_to(ctx.run.root).as_posix() if pairs.is_dir() else "",
        decisions=list(repair.decisions),
        changes=list_changes(material, repair.kept, repair.new, repair.pairs, repair.fresh),
        claims=list_claims(material, repair.new, repair.fresh),
        origins=list_origins(material, repair.linked),
        findings=repair.pairs.build_findings(),
        verdict="fail" if any(one.level == "fail" for one in repair.pairs.build_findings()) else "pass",
        num_rows=len(repair.pairs.all),
        num_clean_rows=len(repair.pairs.usable),
        uri=config.failures,
        metrics=_build_metrics(repair, links),
        artifacts=[
            ctx.describe_artifact(path, note)
            for path, note in (
                (artifacts / "data", "enlarged data set with the fresh split"),
                (artifacts / _LINEAGE, "each new row and the failure that it came from"),
                (pairs, "preference pairs"),
            )
            if path.exists()
        ],
        unrepaired_failures=repair.num_unrepaired,
        notes=_list_notes(repair),
    )


def _repair(material: Material, config: IterateConfig) -> Repair:
    source = material.source
    kept = list(islice(read_strictly(source, "train"), config.train_rows))
    new = build_training_rows(material, kept, config)
    validation = list(read_strictly(source, "validation"))
    known = [*kept, *(one.row for one in new), *validation]
    fresh = build_fresh(material, known, config.fresh_rows)
    pairs = check_pairs(build_pairs(material.failed), [*fresh.rows, *material.control])
    decisions = [decide_training(len(new)), decide_preferences(material, pairs, config)]
    return Repair(material, kept, new, fresh, pairs, decisions)


def _write(repair: Repair, ctx: StageContext) -> list[NewRow]:
    """Write the data set, the pairs, the lineage, the slice and the decisions; return the lineage."""
    artifacts, source = ctx.layout.artifacts, repair.material.source
    data, pairs = artifacts / "data", artifacts / "pairs"
    for folder in (data, pairs):
        shutil.rmtree(folder, ignore_errors=True)
    write_rows(data / "train.jsonl", [*(one.row for one in repair.new), *repair.kept])
    write_rows(data / "validation.jsonl", read_strictly(source, "validation"))
    write_rows(data / "test.jsonl", repair.material.seen)
    write_rows(data / f"{FRESH}.jsonl", repair.fresh.rows)
    if repair.material.control:
        write_rows(data / "control.jsonl", repair.material.control)
    train, held_out = hold_out(repair.pairs.usable)
    if train and held_out:
        write_rows(pairs / "train.jsonl", [one.row for one in train])
        write_rows(pairs / "validation.jsonl", [one.row for one in held_out])
    links = [one.build_link() for one in repair.linked]
    write_text_atomic(artifacts / _LINEAGE, "".join(f"{link.model_dump_json()}\n" for link in links))
    write_json_atomic(artifacts / _SLICE, build_slice(repair.material.failed).model_dump(mode="json"))
    for decision in repair.decisions:
        write_json_atomic(artifacts / f"{decision.name}.json", decision.model_dump(mode="json"))
    return links


def _list_notes(repair: Repair) -> list[str]:
    if repair.num_unrepaired:
        # A ticket always gives its reference; general questions are used up, or limited.
        why = "general_rows is too low, or the general questions are among the training rows already"
        return [f"{repair.num_unrepaired} failures of the control split gave no row: {why}"]
    return [] if repair.new else ["no answer failed: there is nothing to repair"]


def _build_metrics(repair: Repair, links: Sequence[NewRow]) -> list[Metric]:
    known = {one.key for one in repair.material.failures}
    sources = {link.failure for link in links}
    part = build_slice(repair.material.failed)
    values = {
        "repaired_failures": len(sources),
        "unrepaired_failures": repair.num_unrepaired,
        "new_rows": len(repair.new),
        "num_pairs": len(repair.pairs.usable),
        "dropped_pairs": len(repair.pairs.all) - len(repair.pairs.usable),
        "unlinked_rows": sum(link.failure not in known for link in links),
        "leaked_pairs": len(repair.pairs.found[LEAKED]),
        "length_gap": repair.pairs.length_gap,
        "use_dpo": float(repair.decisions[1].is_yes),
        "fresh_rows": len(repair.fresh.rows),
        "fresh_left_out": repair.fresh.num_left_out,
        "slice_rows": sum(part.holds(row.task, row.group) for row in repair.fresh.rows),
    }
    return [Metric(name=name, value=value) for name, value in values.items()]


def _build_sample(one: LinkedRow) -> RepairSample:
    return RepairSample(
        id=one.row.id,
        prompt=one.row.messages[-1].content,
        kind=one.kind,
        failure=one.source.key,
        cause=one.source.case.cause,
        chosen=one.row.answer,
        rejected=one.row.rejected if one.kind == "pair" else None,
    )
