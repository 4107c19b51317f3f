"""The sections "Course requirements" and "Run it again" of an evidence pack."""

from __future__ import annotations

from collections.abc import Sequence

from practicum_core.texts import Bilingual, Text
from practicum_jobs.render.blocks import Block, Cell, Column, Command, Fact, Facts, Heading, Section, Table
from practicum_jobs.report.messages import READING, REPRODUCE, ROWS, SECTIONS
from practicum_jobs.report.titles import COURSE_ROW_SECTIONS, COURSE_ROWS
from practicum_jobs.report.verdict import Pack


def build_rows_section(pack: Pack, slugs: Sequence[str]) -> Section:
    """Build the section with the unit's course requirements.

    Args:
        pack: The pack.
        slugs: Anchors of all sections in their order, to number the references.
    """
    columns = [Column(ROWS["row"], "name"), Column(ROWS["asks"]), Column(ROWS["shown"])]
    rows: list[list[Cell | Text]] = [
        [row, COURSE_ROWS.get(row) or _get_goal(pack), _name_sections(row, slugs)] for row in pack.evidence.requirements
    ]
    return Section("rows", SECTIONS["rows"], [Table(ROWS["caption"], columns, rows)], READING["rows"])


def _get_goal(pack: Pack) -> Bilingual:
    return Bilingual(pack.files.unit.goal_en, pack.files.unit.goal_zh)


def _name_sections(row: str, slugs: Sequence[str]) -> Text:
    present = [slug for slug in COURSE_ROW_SECTIONS.get(row, ("numbers",)) if slug in slugs]
    named = [(slugs.index(slug) + 1, SECTIONS[slug]) for slug in present]
    if not named:
        return "–"
    return Bilingual(
        "; ".join(f"{number} {title.en}" for number, title in named),
        "；".join(f"{number} {title.zh}" for number, title in named),
    )


def build_reproduce_section(pack: Pack) -> Section:
    """Build the section with the commands that execute, compare and keep this run."""
    run = pack.files.run_id
    blocks: list[Block] = [
        Command(f"practicum verify {run}", REPRODUCE["verify"]),
        Command(pack.evidence.reproduce, REPRODUCE["rerun"]),
    ]
    control = pack.files.control
    if control is not None:
        change = REPRODUCE["factor_value"].format(before=control.control_value or "–", after=control.value or "–")
        factor: Text = REPRODUCE["repeats"]
        if control.factor is not None:
            factor = Bilingual(f"{control.factor}: {change.en}", f"{control.factor}：{change.zh}")
        blocks.append(
            Facts([Fact(REPRODUCE["control"], control.control, is_code=True), Fact(REPRODUCE["factor"], factor)])
        )
    other = control.control if control is not None else "OTHER_RUN"
    blocks += [
        Heading(REPRODUCE["more"]),
        Command("practicum summarize", REPRODUCE["summarize"]),
        Command(f"practicum diff {other} {run}", REPRODUCE["diff"]),
        Command(f"practicum pointer set best {run}", REPRODUCE["pointer"]),
    ]
    return Section("reproduce", SECTIONS["reproduce"], blocks, READING["reproduce"])
