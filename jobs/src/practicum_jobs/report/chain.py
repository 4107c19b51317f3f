"""The sections of a capstone: the chain of the weeks, and what was executed again."""

from __future__ import annotations

from practicum_core.stages.capstone import CapstoneRecord
from practicum_jobs.render.blocks import Section
from practicum_jobs.render.chain import build_chain_section, build_reruns_section
from practicum_jobs.report.verdict import Pack


def build_chain_sections(pack: Pack) -> list[Section]:
    """Build the sections; none for a run that checks no chain."""
    records = pack.files.list_records(CapstoneRecord)
    return [build(record) for record in records[:1] for build in (build_chain_section, build_reruns_section)]
