"""The sections of a chain of weeks: which links hold, what does not, and what was executed again."""

from __future__ import annotations

from practicum_core.curriculum import UNITS
from practicum_core.stages.capstone import HARMLESS_BREAKS, CapstoneRecord
from practicum_core.texts import Bilingual, Text
from practicum_core.texts import Bilingual as B  # noqa: N817 - a short name keeps the texts readable
from practicum_jobs.render.blocks import Block, Cell, Column, Notice, Section, Table
from practicum_jobs.render.figures import name_failure

STATES = {
    "passed": B("gates passed", "门槛通过"),
    "failed": B("gates not passed", "门槛未通过"),
    "whole": B("whole", "完整"),
    "bit-equal": B("bit-equal", "逐位一致"),
    "within tolerance": B("within the tolerance", "在容差内"),
    "differs": B("differs", "不一致"),
}
BROKEN = B("{count} broken", "{count} 处中断")
TEXTS = {
    "chain": B("The chain of evidence", "证据链"),
    "chain_reading": B(
        "Each week is one run. A link holds where the week's files, artifacts, data, packages and foundations are what "
        "they were when its evidence was built.",
        "每周对应一次运行。若该周的文件、产物、数据、软件包及其所依据的运行均与生成证据时相同，则该环完整。",
    ),
    "reruns": B("Executed again", "重新执行"),
    "reruns_reading": B(
        "Each step was executed again in this run with the options of the week and compared with its record. Figures "
        "of the machine may differ by the stated ratio.",
        "本次运行按该周的选项重新执行各步骤，并与其记录比较。与机器有关的数字可在所述倍数内变化。",
    ),
    "no_reruns": B("No step was executed again in this run.", "本次运行没有重新执行任何步骤。"),
    "breaks": B("What does not hold", "不成立之处"),
}
_COLUMNS = {
    "week": B("Week", "周"),
    "run": B("Run", "运行"),
    "verdict": B("Gates", "门槛"),
    "step": B("Step", "步骤"),
    "hashes": B("Hashes", "哈希"),
    "verified": B("Executed as a whole", "整周重跑"),
    "link": B("Link", "该环"),
    "of": B("Repeats", "重复的步骤"),
    "agreement": B("Agreement", "一致性"),
    "compared": B("Compared", "比较项"),
    "differences": B("Differences", "差异"),
    "kind": B("Kind", "类型"),
    "where": B("Where", "位置"),
    "said": B("What was found", "发现"),
}


def name_unit(unit: str) -> Bilingual:
    """Return the title of a unit; of one that this version does not know, its name."""
    known = UNITS.get(unit)
    return Bilingual(known.title_en, known.title_zh) if known else Bilingual(unit, unit)


def build_chain_section(record: CapstoneRecord) -> Section:
    """Build the table of weeks and, below it, what does not hold."""
    columns = [
        Column(_COLUMNS["week"]),
        Column(_COLUMNS["run"], "code"),
        Column(_COLUMNS["verdict"]),
        Column(_COLUMNS["hashes"], "number"),
        Column(_COLUMNS["link"]),
        Column(_COLUMNS["verified"]),
    ]
    rows: list[list[Cell | Text]] = [
        [
            name_unit(check.unit),
            f"{check.unit}/{check.run_id}",
            Cell(STATES[check.verdict], tone="good" if check.verdict == "passed" else "warn"),
            f"{check.num_files:,}",
            Cell(BROKEN.format(count=check.num_broken), tone="bad")
            if check.num_broken
            else Cell(STATES["whole"], tone="good"),
            STATES.get(check.verified, "–"),
        ]
        for check in record.weeks
    ]
    blocks: list[Block] = [Table(TEXTS["chain"], columns, rows)]
    if record.failures:
        shown = [Column(_COLUMNS["kind"]), Column(_COLUMNS["where"], "code"), Column(_COLUMNS["said"])]
        told: list[list[Cell | Text]] = [
            [
                Cell(name_failure(one.kind), tone="plain" if one.kind in HARMLESS_BREAKS else "bad"),
                one.where,
                one.text,
            ]
            for one in record.failures
        ]
        blocks.append(Table(TEXTS["breaks"], shown, told))
    return Section("chain", TEXTS["chain"], blocks, TEXTS["chain_reading"])


def build_reruns_section(record: CapstoneRecord) -> Section:
    """Build the table of the steps that were executed again."""
    if not record.reruns:
        return Section("reruns", TEXTS["reruns"], [Notice(TEXTS["no_reruns"], "warn")])
    columns = [
        Column(_COLUMNS["step"], "name"),
        Column(_COLUMNS["of"], "code"),
        Column(_COLUMNS["agreement"]),
        Column(_COLUMNS["compared"], "number"),
        Column(_COLUMNS["differences"]),
    ]
    rows: list[list[Cell | Text]] = [
        [
            one.step,
            one.of,
            Cell(STATES.get(one.agreement, one.agreement), tone="bad" if one.agreement == "differs" else "good"),
            f"{one.num_compared:,}",
            "; ".join(one.differences) or "–",
        ]
        for one in record.reruns
    ]
    table = Table(TEXTS["reruns"], columns, rows)
    return Section("reruns", TEXTS["reruns"], [table], TEXTS["reruns_reading"])
