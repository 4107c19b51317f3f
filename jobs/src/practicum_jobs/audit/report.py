"""The HTML report of an audit in English and Chinese. It contains no personal data and no secrets."""

from __future__ import annotations

import shlex

from practicum_core.stages.findings import ClassScore
from practicum_core.texts import Bilingual as B  # noqa: N817 - stands before every text of the page
from practicum_core.texts import Text
from practicum_jobs.audit.catalogue import CATALOGUE, PRIVATE_KINDS, Level
from practicum_jobs.audit.plots import TONES, build_finding_chart, build_length_chart, build_script_chart
from practicum_jobs.audit.record import Result
from practicum_jobs.render.blocks import (
    Block,
    Cell,
    Charts,
    Column,
    Command,
    Disclosure,
    Example,
    Excerpt,
    Fact,
    Facts,
    Figure,
    Figures,
    Notice,
    Paragraph,
    Section,
    Table,
)
from practicum_jobs.render.page import Stamp, render_page

GOAL_RATIO = 0.95
LEVELS: dict[Level, B] = {"pass": B("pass", "通过"), "warn": B("warning", "警告"), "fail": B("fail", "不通过")}
NOT_LOOKED_FOR = B(
    "names of people, postal addresses, dates of birth, health records; identity numbers of countries not named above;"
    " passports, permits, Macao cards, social security numbers, QQ numbers and WeChat ids without a word beside them"
    " that names them; passwords without such a word; anything in images or encoded text",
    "人名、通信地址、出生日期、健康记录；上面未列出的国家或地区的证件号；"
    "上下文中没有提示词的护照、通行证、澳门身份证、社会安全号码、QQ 号和微信号；"
    "没有提示词的密码；图片或编码文本中的内容",
)
"""What the audit does not detect, so that a person must look for it."""
_NAME = B("Finding", "问题")
_ROWS = B("Rows", "行数")


def build_page(result: Result, run_id: str) -> str:
    """Return the report as one HTML page."""
    sections = [
        _build_overview(result),
        _build_findings(result),
        _build_coverage(),
        _build_lengths(result),
        _build_samples(result),
        _build_clean_copy(result),
        _build_scores(result.scores),
        _build_reproduction(result),
    ]
    return render_page(
        B("Data audit", "数据审计"),
        [section for section in sections if section],
        eyebrow="Practicum",
        lead=B(
            "What is wrong with this data set, row by row, and what was removed from its clean copy.",
            "逐行列出这份数据集的问题，以及清洗时移除的内容。",
        ),
        stamp=Stamp(LEVELS[result.verdict], TONES[result.verdict], result.source.uri),
        footer=run_id,
    )


def _build_overview(result: Result) -> Section:
    scan = result.scan
    figures = [
        Figure(B("Rows read", "已读取行数"), f"{scan.num_rows:,}"),
        Figure(
            B("Unreadable lines", "无法读取的行"),
            f"{scan.num_defects:,}",
            tone="warn" if scan.num_defects else "plain",
        ),
        Figure(
            B("Rows without findings", "无问题的行"),
            f"{result.cleaning.num_clean:,}",
            _share(result.cleaning.num_clean, scan.num_places),
        ),
        Figure(B("Removed", "移除"), f"{result.num_removed:,}", _share(result.num_removed, scan.num_places)),
    ]
    facts = [Fact(B("Data set", "数据集"), result.source.uri, is_code=True)]
    facts += [
        Fact(
            B(f"File, {file.split}", f"文件（{file.split}）"),
            f"{file.name} · {file.size_bytes:,} B · sha256 {file.sha256[:16]}…",
            is_code=True,
        )
        for file in result.files
    ]
    return Section(
        "overview",
        B("Overview", "概览"),
        [
            Figures(figures),
            Facts(facts),
            Charts([(build_finding_chart(result), None), (build_script_chart(result), None)]),
        ],
        B("A row can have several findings; it is removed once.", "一行可能有多项问题，但只移除一次。"),
    )


def _build_findings(result: Result) -> Section:
    columns = [
        Column(_NAME),
        Column(_ROWS, "number"),
        Column(B("Share", "占比"), "number"),
        Column(B("Fails above", "不通过阈值"), "number"),
        Column(B("Level", "级别")),
        Column(B("What to do", "处理办法")),
    ]
    rows: list[list[Cell | Text]] = []
    for name, kind in CATALOGUE.items():
        count = result.scan.count(name)
        level = result.levels[name]
        if count:
            share, limit = _share(count, result.scan.num_places), f"{100 * result.thresholds[name]:.2f}%"
            rows.append([kind.title, f"{count:,}", share, limit, Cell(LEVELS[level], tone=TONES[level]), kind.advice])
    clean = [kind.title for name, kind in CATALOGUE.items() if not result.scan.count(name)]
    blocks: list[Block] = [Table(B("Findings", "审计结果"), columns, rows)] if rows else []
    if clean:
        listed = B("; ".join(title.en for title in clean), "；".join(title.zh for title in clean))
        blocks.append(
            Paragraph(B("Checked and not found: {listed}.", "已检查，未发现：{listed}。").format(listed=listed))
        )
    reading = B(
        "A finding fails when its share is above the threshold, and warns below it.",
        "占比超过阈值为不通过，否则为警告。",
    )
    return Section("findings", B("Findings and thresholds", "审计结果与阈值"), blocks, reading)


def _build_coverage() -> Section:
    titles = [CATALOGUE[name].title for name in PRIVATE_KINDS]
    listed = B("; ".join(title.en for title in titles), "；".join(title.zh for title in titles))
    facts = [
        Fact(B("Detected", "检查范围"), listed),
        Fact(B("Not detected", "不在检查范围内"), NOT_LOOKED_FOR),
    ]
    reading = B(
        "Data without findings may still contain kinds that are not detected; see docs/benchmarks.md.",
        "未发现问题不代表数据中没有检查范围以外的种类；各类的召回率见 docs/benchmarks.md。",
    )
    return Section("coverage", B("Personal data and secrets", "个人信息与密钥"), [Facts(facts)], reading)


def _build_lengths(result: Result) -> Section | None:
    if not result.lengths:
        return None
    facts = [Figure(B(name, name), f"{value:,}") for name, value in result.lengths.items()]
    over = result.scan.count("over_long")
    text = B(
        "{share} of the rows are longer than max_length = {limit} and would be cut in training.",
        "{share} 的行超过 max_length = {limit}，训练时会被截断。",
    ).format(share=_share(over, result.scan.num_rows), limit=f"{result.config.max_length:,}")
    return Section(
        "lengths",
        B("Lengths in tokens", "长度（词元数）"),
        [Figures(facts), Charts([(build_length_chart(result), None)]), Paragraph(text)],
        B(
            "Counted with the model's own tokenizer and chat template, answer included.",
            "使用模型自带的分词器和对话模板计数，包含答案。",
        ),
    )


def _build_samples(result: Result) -> Section | None:
    blocks: list[Block] = [
        Disclosure(
            kind.title,
            [
                Example(kind.title, [Excerpt(B("Masked excerpt", "脱敏节选"), sample)], TONES[result.levels[name]])
                for sample in result.cleaning.samples[name]
            ],
        )
        for name, kind in CATALOGUE.items()
        if result.cleaning.samples.get(name)
    ]
    if result.cleaning.clusters:
        columns = [Column(B("First row", "首行"), "code"), Column(_ROWS, "number")]
        rows = [[first, f"{size:,}"] for first, size in result.cleaning.clusters]
        blocks.append(Table(B("Largest groups of duplicates", "最大的重复组"), columns, rows))
    reading = B(
        "Personal data and secrets are masked before anything is written.", "个人信息与密钥在写入文件前已脱敏。"
    )
    return Section("samples", B("Samples", "样例"), blocks, reading) if blocks else None


def _build_clean_copy(result: Result) -> Section | None:
    failures = result.copy_failures
    if failures is None:
        return None
    if failures:
        titles = B(
            ", ".join(CATALOGUE[name].title.en if name in CATALOGUE else "no row is left" for name in failures),
            "、".join(CATALOGUE[name].title.zh if name in CATALOGUE else "没有剩余的行" for name in failures),
        )
        notice = Notice(B("The clean copy fails: {t}", "清洗后的副本不通过：{t}").format(t=titles), "bad")
    else:
        notice = Notice(B("The clean copy passes the same audit.", "清洗后的副本通过同一审计。"), "good")
    text = B(
        "clean.jsonl holds {n} rows; manifest.jsonl names each of the {m} rows or lines that it leaves out, and why.",
        "clean.jsonl 含 {n} 行；manifest.jsonl 逐条列出被移除的 {m} 行及原因。",
    ).format(n=f"{result.cleaning.num_clean:,}", m=f"{result.num_removed:,}")
    return Section("clean-copy", B("Clean copy", "清洗后的副本"), [notice, Paragraph(text)])


def _build_scores(scores: list[ClassScore]) -> Section | None:
    if not scores:
        return None
    columns = [
        Column(_NAME),
        Column(B("Planted", "植入"), "number"),
        Column(B("Flagged", "标记"), "number"),
        Column(B("Recall", "召回率"), "number"),
        Column(B("Precision", "精确率"), "number"),
    ]
    rows: list[list[Cell | Text]] = [
        [
            CATALOGUE[score.name].title if score.name in CATALOGUE else score.name,
            f"{score.num_planted:,}",
            f"{score.num_flagged:,}",
            _score(score.recall),
            _score(score.precision),
        ]
        for score in scores
    ]
    return Section(
        "scores",
        B("Recall and precision", "召回率与精确率"),
        [Table(B("Against the planted flaws", "对照植入的缺陷"), columns, rows)],
        B(
            "This data set names its planted flaws: recall is the share of them that was found, precision the share of "
            "what was flagged that was planted.",
            "该数据集标明了植入的缺陷：召回率是植入缺陷中被检出的比例，精确率是被标记的行中确为植入缺陷的比例。",
        ),
    )


def _build_reproduction(result: Result) -> Section:
    command = f"practicum audit {shlex.quote(result.config.data)}"
    return Section(
        "reproduce", B("Reproduce", "复现"), [Command(command, B("Run this audit again", "再次运行本次审计"))]
    )


def _share(count: int, total: int) -> str:
    return f"{100 * count / total:.2f}%" if total else "–"


def _score(value: float | None) -> Cell:
    if value is None:
        return Cell("–", "number")
    return Cell(f"{100 * value:.1f}%", "number", "good" if value >= GOAL_RATIO else "bad")
