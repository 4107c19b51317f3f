"""The page of a dossier, in the look of the evidence pack: symptom, repro, hypotheses, fix, test, time line."""

from __future__ import annotations

from pathlib import Path

from practicum_core.atomic import write_text_atomic
from practicum_core.dossier_files import (
    PAGE_NAME,
    Axis,
    Dossier,
    Reproduction,
    SearchVerdict,
    State,
    TestOutcome,
    Verdict,
)
from practicum_core.json_files import read_json_lines
from practicum_core.texts import Bilingual, Text
from practicum_jobs.dossier import texts
from practicum_jobs.dossier.material import CONFIG, ROWS
from practicum_jobs.dossier.steps import BISECT, CAPTURED, FIX, MINIMAL, REGRESSION, REPRO, STACKS
from practicum_jobs.render.blocks import (
    Block,
    Cell,
    Column,
    Disclosure,
    Example,
    Excerpt,
    Fact,
    Facts,
    Notice,
    Paragraph,
    Section,
    Table,
)
from practicum_jobs.render.charts import Tone
from practicum_jobs.render.page import Stamp, render_page

B = Bilingual
_TONES: dict[SearchVerdict, Tone] = {
    SearchVerdict.FOUND: "good",
    SearchVerdict.NOT_HERE: "plain",
    SearchVerdict.FLAKY: "bad",
    SearchVerdict.UNCLEAR: "warn",
}
_MAX_TEXT = 6000
_MAX_TRIALS = 200
_MISSING = "–"


def write_page(folder: Path, dossier: Dossier) -> Path:
    """Write the page of a dossier beside its files and return its path."""
    path = folder / PAGE_NAME
    write_text_atomic(path, build_page(folder, dossier))
    return path


def build_page(folder: Path, dossier: Dossier) -> str:
    """Build the page of a dossier."""
    tone: Tone = "good" if dossier.state is State.CLOSED else "warn"
    return render_page(
        B(dossier.title_en, dossier.title_zh),
        [
            _build_symptom(folder, dossier),
            _build_repro(folder, dossier),
            _build_hypotheses(folder, dossier),
            _build_closing(folder, dossier),
            _build_timeline(dossier),
        ],
        eyebrow=B("Practicum · issue dossier", "Practicum · 问题档案"),
        stamp=Stamp(texts.STATES[dossier.state], tone),
        footer=dossier.name,
    )


def _build_symptom(folder: Path, dossier: Dossier) -> Section:
    facts = [
        Fact(B("Source", "来源"), dossier.source, is_code=True),
        Fact(B("Begun", "开始于"), dossier.created_at),
        Fact(B("Kind of failure", "失败类型"), dossier.symptom.reason, is_code=True),
        Fact(B("Environment", "环境"), dossier.repro.environment, is_code=True),
        Fact(B("Captured files", "已采集的文件"), ", ".join(dossier.captured) or _MISSING, is_code=True),
    ]
    blocks: list[Block] = [
        Notice(dossier.symptom.text, "bad"),
        Facts(facts),
        *_show_files(folder / CAPTURED, STACKS),
        *_show_files(folder / CAPTURED, "log.txt"),
    ]
    reading = B("How the failure shows, and what was kept of it.", "失败的表现，以及为此保留的内容。")
    return Section("symptom", B("Symptom", "症状"), blocks, reading)


def _build_repro(folder: Path, dossier: Dossier) -> Section:
    blocks: list[Block] = [
        _describe(dossier.reproduction, B("The repro", "复现")),
        *([_describe(dossier.minimal, B("The minimal repro", "最小复现"))] if dossier.minimal else []),
    ]
    shown = MINIMAL if (folder / MINIMAL).is_dir() else REPRO
    blocks += [*_show_files(folder / shown, CONFIG), *_show_files(folder / shown, ROWS)]
    reading = B(
        "Executed in a clean environment: a new process, a new folder, and only the variables that it needs.",
        "在干净的环境中执行：新进程、新目录，仅保留必需的环境变量。",
    )
    return Section("repro", B("Repro", "复现"), blocks, reading)


def _describe(seen: Reproduction | None, what: B) -> Notice:
    if seen is None:
        return Notice(B("{what} was not executed yet.", "{what}尚未执行。").format(what=what), "warn")
    tone: Tone = "good" if seen.verdict is Verdict.REPRODUCED else "bad"
    runs = texts.RUNS.format(bad=seen.num_bad, runs=seen.num_runs)
    line = B("{what}: {verdict}", "{what}：{verdict}").format(what=what, verdict=texts.VERDICTS[seen.verdict])
    others = "; ".join(f"{one.reason}: {one.text}" for one in seen.seen)
    detail: Text = runs if not others else B("{runs}; also seen: {o}", "{runs}；另见：{o}").format(runs=runs, o=others)
    return Notice(line, tone, detail)


def _build_hypotheses(folder: Path, dossier: Dossier) -> Section:
    reading = B(
        "A hypothesis is kept if the failure comes each time with what is named and never without it.",
        "仅当每次都随所指对象出现、去掉后从不出现时，假设才被保留。",
    )
    title = B("Hypotheses", "假设")
    if not dossier.searches:
        return Section("hypotheses", title, [Notice(B("None was tested yet.", "尚未检验任何假设。"), "warn")], reading)
    columns = [
        Column(B("Hypothesis", "假设")),
        Column(B("Outcome", "结论")),
        Column(B("Named", "指认"), "code"),
        Column(B("Candidates", "候选数"), "number"),
        Column(B("Executions", "执行次数"), "number"),
    ]
    rows: list[list[Cell | Text]] = [
        [
            texts.HYPOTHESES[one.axis],
            Cell(texts.SEARCH_VERDICTS[one.verdict], tone=_TONES[one.verdict], note=one.detail),
            ", ".join(one.culprits) or _MISSING,
            str(one.num_candidates),
            str(one.num_trials),
        ]
        for one in dossier.searches
    ]
    blocks: list[Block] = [Table(B("Hypotheses kept and dropped", "保留与排除的假设"), columns, rows)]
    if dossier.cause:
        blocks.insert(0, Paragraph(B(dossier.cause, dossier.cause_zh or dossier.cause)))
    blocks += [block for one in dossier.searches for block in _show_log(folder, one.axis)]
    return Section("hypotheses", title, blocks, reading)


def _show_log(folder: Path, axis: Axis) -> list[Block]:
    lines = list(read_json_lines(folder / BISECT / f"{axis}.jsonl"))[:_MAX_TRIALS]
    if not lines:
        return []
    columns = [
        Column(B("No.", "序号"), "number"),
        Column(B("Given", "给定"), "number"),
        Column(B("Candidates", "候选"), "code"),
        Column(B("Outcome", "结果"), "name"),
        Column(B("Seconds", "秒"), "number"),
    ]
    rows: list[list[Cell | Text]] = [
        [
            str(number),
            str(len(line["chosen"])),
            ", ".join(line["chosen"])[:160] or _MISSING,
            Cell(line["outcome"], "name", note=line["seen"]),
            f"{line['duration_s']:.1f}",
        ]
        for number, line in enumerate(lines, start=1)
    ]
    title = B("Log of the search over {axis}", "在 {axis} 上查找的日志").format(axis=axis)
    return [Disclosure(title, [Table(title, columns, rows)])]


def _build_closing(folder: Path, dossier: Dossier) -> Section:
    title = B("Fix and regression test", "修复与回归测试")
    closing = dossier.closing
    if closing is None:
        return Section("fix", title, [Notice(B("Not fixed yet.", "尚未修复。"), "warn")])
    blocks: list[Block] = []
    if closing.problems:
        blocks.append(Notice(B("Not closed", "未关闭"), "bad", closing.describe_problems()))
    else:
        blocks.append(Notice(texts.CLOSED, "good"))
    columns = [
        Column(B("Regression test", "回归测试"), "name"),
        Column(B("Passed", "通过"), "number"),
        Column(B("Failed", "失败"), "number"),
        Column(B("Not run", "未执行"), "number"),
        Column(B("First failure", "首个失败")),
    ]
    rows = [
        _describe_tests(B("without the fix", "修复前"), closing.before),
        _describe_tests(B("with the fix", "修复后"), closing.after),
    ]
    blocks.append(Table(B("Before and after", "修复前后"), columns, rows))
    if closing.with_fix is not None:
        seen = closing.with_fix
        runs = texts.RUNS.format(bad=seen.num_bad, runs=seen.num_runs)
        blocks.append(Notice(B("The repro with the fix", "修复后的复现程序"), "bad" if seen.num_bad else "good", runs))
    for part in (FIX, REGRESSION):
        names = sorted(path.name for path in (folder / part).glob("*") if path.is_file())
        blocks += [block for name in names for block in _show_files(folder / part, name)]
    return Section("fix", title, blocks)


def _describe_tests(what: B, seen: TestOutcome | None) -> list[Cell | Text]:
    if seen is None:
        return [what, _MISSING, _MISSING, _MISSING, ""]
    tone: Tone = "bad" if seen.failed or seen.broken else "good"
    return [Cell(what, tone=tone), str(len(seen.passed)), str(len(seen.failed)), str(len(seen.broken)), seen.text]


def _build_timeline(dossier: Dossier) -> Section:
    columns = [Column(B("Time (UTC)", "时间（UTC）"), "name"), Column(B("What happened", "事件"))]
    rows: list[list[Cell | Text]] = [[one.at, B(one.en, one.zh)] for one in dossier.events]
    title = B("Time line", "时间线")
    return Section("timeline", title, [Table(title, columns, rows)])


def _show_files(folder: Path, name: str) -> list[Block]:
    path = folder / name
    if not path.is_file():
        return []
    text = path.read_text(encoding="utf-8", errors="replace")
    shown = text if len(text) <= _MAX_TEXT else f"{text[:_MAX_TEXT]}\n… ({len(text)} characters)"
    label = B("File", "文件")
    where = f"{folder.name}/{name}"
    return [Disclosure(where, [Example(where, [Excerpt(label, shown or _MISSING)])])]
