"""New training rows from failures, each with the failure that it came from. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import islice

from practicum_core.rows import Row
from practicum_core.stages.iterate import IterateConfig, NewRow, RowKind
from practicum_jobs.datasets.draws import mix
from practicum_jobs.datasets.general_items import LANGUAGES, iter_general_rows
from practicum_jobs.iterate.material import FailedRow, Material
from practicum_jobs.iterate.variants import build_variants


@dataclass(frozen=True)
class LinkedRow:
    """A new row and the failure that it came from."""

    row: Row
    kind: RowKind
    source: FailedRow

    def build_link(self) -> NewRow:
        """Return the line of the lineage."""
        return NewRow(id=self.row.id, kind=self.kind, failure=self.source.key, cause=self.source.case.cause)


def build_training_rows(material: Material, kept: Sequence[Row], config: IterateConfig) -> list[LinkedRow]:
    """Return the new training rows: failed prompts with their references, variants, and general questions.

    A row of the control split never becomes a training row: what it asks would no longer show what was forgotten.
    General questions of other kinds are added instead, at most two for each control row that failed, and none that is
    among the rows ``kept`` already.
    """
    rows: list[LinkedRow] = []
    for number, failed in enumerate(material.failed):
        row = failed.row.model_copy(update={"id": f"repair-{failed.row.id}"})
        rows.append(LinkedRow(row, "reference", failed))
        variants = build_variants(row, config.variants, mix(config.seed + number))
        rows += [LinkedRow(variant, "variant", failed) for variant in variants]
    return rows + _build_general(material.forgotten, {row.user_text for row in kept}, config)


def _build_general(forgotten: Sequence[FailedRow], known: Collection[str], config: IterateConfig) -> list[LinkedRow]:
    if not forgotten:
        return []
    languages = sorted({one.row.language for one in forgotten} & set(LANGUAGES)) or ["en"]
    wanted = min(config.general_rows, 2 * len(forgotten))
    new = (row for row in iter_general_rows(languages, config.seed) if row.user_text not in known)
    return [
        LinkedRow(row.model_copy(update={"id": f"added-{row.id}"}), "general", forgotten[number % len(forgotten)])
        for number, row in enumerate(islice(new, wanted))
    ]
