"""The section "Built on": earlier runs that a run started from, with the hashes of what it took from them."""

from __future__ import annotations

from practicum_core.curriculum import VARIANTS
from practicum_core.lineage import BuiltOn
from practicum_core.texts import Bilingual, Text
from practicum_jobs.render.blocks import Cell, Column, Section, Table
from practicum_jobs.report.messages import LINEAGE, READING, SECTIONS
from practicum_jobs.report.verdict import Pack


def build_lineage_section(pack: Pack) -> Section | None:
    """Build the section; ``None`` for a run that is built on no other."""
    built_on = pack.evidence.built_on
    if not built_on:
        return None
    columns = [
        Column(LINEAGE["reference"], "code"),
        Column(LINEAGE["week"]),
        Column(LINEAGE["run"], "code"),
        Column(LINEAGE["path"], "code"),
        Column(LINEAGE["sha256"], "code"),
    ]
    weeks = VARIANTS[pack.files.weekjob.spec.variant]
    rows = [_build_row(one, weeks) for one in built_on]
    return Section("lineage", SECTIONS["lineage"], [Table(LINEAGE["caption"], columns, rows)], READING["lineage"])


def _build_row(one: BuiltOn, weeks: tuple[str, ...]) -> list[Cell | Text]:
    week: Text = one.unit
    if one.unit in weeks:
        number = weeks.index(one.unit) + 1
        week = Bilingual(f"week {number}, {one.unit}", f"第 {number} 周，{one.unit}")
    return [one.reference, week, one.run, one.path, one.sha256]
