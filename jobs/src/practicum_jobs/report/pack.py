"""The page of an evidence pack: its sections in order."""

from __future__ import annotations

from practicum_core.texts import Bilingual
from practicum_jobs.render.blocks import Section
from practicum_jobs.render.page import render_page
from practicum_jobs.report.calibration import build_calibration_section
from practicum_jobs.report.chain import build_chain_sections
from practicum_jobs.report.course import build_reproduce_section, build_rows_section
from practicum_jobs.report.deployment import build_deployment_section
from practicum_jobs.report.experiments import build_experiments_section
from practicum_jobs.report.findings import build_audit_section
from practicum_jobs.report.levers import build_levers_section
from practicum_jobs.report.lineage import build_lineage_section
from practicum_jobs.report.load import build_load_section
from practicum_jobs.report.messages import PAGE
from practicum_jobs.report.numbers import build_numbers_section
from practicum_jobs.report.problems import build_problems_section
from practicum_jobs.report.process import build_curves_section, build_steps_section
from practicum_jobs.report.repair import build_repair_section
from practicum_jobs.report.replays import build_replays_section
from practicum_jobs.report.risk import build_risk_section
from practicum_jobs.report.samples import build_samples_section
from practicum_jobs.report.sheet import build_sheet_section
from practicum_jobs.report.sources import build_data_section, build_environment_section, build_model_section
from practicum_jobs.report.traces import build_trace_section
from practicum_jobs.report.verdict import Pack, build_stamp, build_verdict_section


def build_page(pack: Pack) -> str:
    """Build the page: first the verdict, then the evidence for it, then how to reproduce it."""
    unit = pack.files.unit
    return render_page(
        Bilingual(unit.title_en, unit.title_zh),
        build_sections(pack),
        eyebrow=PAGE["eyebrow"],
        lead=Bilingual(unit.goal_en, unit.goal_zh),
        stamp=build_stamp(pack),
        footer=PAGE["footer"].format(run=pack.files.run_id),
    )


def build_sections(pack: Pack) -> list[Section]:
    """Build all sections for which the run has content."""
    candidates = [
        build_verdict_section(pack),
        *build_chain_sections(pack),
        build_repair_section(pack),
        build_numbers_section(pack),
        build_load_section(pack),
        build_experiments_section(pack),
        build_trace_section(pack),
        build_levers_section(pack),
        build_replays_section(pack),
        build_deployment_section(pack),
        build_sheet_section(pack),
        build_risk_section(pack),
        build_audit_section(pack),
        build_calibration_section(pack),
        build_curves_section(pack),
        build_samples_section(pack),
        build_problems_section(pack),
        build_steps_section(pack),
        build_data_section(pack),
        build_model_section(pack),
        build_lineage_section(pack),
        build_environment_section(pack),
        build_reproduce_section(pack),
    ]
    sections = [section for section in candidates if section is not None]
    slugs = [section.slug for section in sections]
    return [*sections, build_rows_section(pack, slugs)]
