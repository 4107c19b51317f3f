"""Decides what recorded names are called on a page: metrics, defects, course rows. Unknown names stay as they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from practicum_jobs.render.bilingual import Bilingual as B  # noqa: N817 - a catalogue reads by its texts

Style = Literal["share", "points", "count", "number", "seconds", "bytes"]


@dataclass(frozen=True)
class MetricTitle:
    """What a metric is called and how its figure is written. ``is_key`` puts it among the key numbers."""

    title: B
    style: Style
    is_key: bool = False


def _key(en: str, zh: str, style: Style) -> MetricTitle:
    return MetricTitle(B(en, zh), style, is_key=True)


def _plain(en: str, zh: str, style: Style) -> MetricTitle:
    return MetricTitle(B(en, zh), style)


METRICS: dict[str, MetricTitle] = {
    "exact_match": _key("Exact match", "完全匹配率", "share"),
    "exact_match_base": _key("Exact match, base model", "完全匹配率（基座）", "share"),
    "exact_match_tuned": _key("Exact match, tuned model", "完全匹配率（微调）", "share"),
    "exact_match_delta": _key("Exact match, tuned minus base", "完全匹配率之差（微调减基座）", "points"),
    "exact_match_interval_width": _plain("Width of the exact-match interval", "完全匹配率区间宽度", "points"),
    "validation_loss_drop": _key("Fall of validation loss", "验证损失下降", "number"),
    "agreement": _key("Adapter and merged model agree", "适配器与合并模型一致率", "share"),
    "num_rows": _plain("Rows", "行数", "count"),
    "num_control_rows": _plain("Control rows", "对照样本数", "count"),
    "num_prompts": _plain("Prompts", "提示数", "count"),
    "control_mentioned": _key("Control rows answered", "对照样本答出率", "share"),
    "control_mentioned_base": _key("Control rows answered, base model", "对照样本答出率（基座）", "share"),
    "control_mentioned_tuned": _key("Control rows answered, tuned model", "对照样本答出率（微调）", "share"),
    "control_mentioned_delta": _key("Control rows, tuned minus base", "对照样本之差（微调减基座）", "points"),
    "wins": _plain("Rows put right by tuning", "微调后答对的样本", "count"),
    "losses": _plain("Rows that got worse after tuning", "微调后变差的样本", "count"),
    "mcnemar_p": _plain("McNemar's exact test, p", "McNemar 精确检验 p 值", "number"),
    "control_wins": _plain("Control rows put right by tuning", "微调后答出的对照样本", "count"),
    "control_losses": _plain("Control rows that got worse", "微调后变差的对照样本", "count"),
    "control_mcnemar_p": _plain(
        "McNemar's exact test on control rows, p", "对照样本的 McNemar 精确检验 p 值", "number"
    ),
    "json_valid": _plain("Answer is one JSON object", "回答是单个 JSON 对象", "share"),
    "stopped_ratio": _plain("Answers that ended by themselves", "自行结束的回答占比", "share"),
    "mean_answer_tokens": _plain("Mean length of an answer (tokens)", "回答的平均长度（词元）", "number"),
    "generate_s": _plain("Time to generate", "生成耗时", "seconds"),
    "rows_per_s": _plain("Rows per second", "每秒样本数", "number"),
    "gates_passed": _plain("Gates passed", "通过的门槛", "count"),
    "html_bytes": _plain("Size of the page", "页面大小", "bytes"),
    "num_parameters": _plain("Parameters", "参数量", "count"),
    "size_bytes": _plain("Size", "大小", "bytes"),
    "fetch_s": _plain("Time to fetch", "取得耗时", "seconds"),
    "unwaived_leaks": _key("Leaked rows without a waiver", "未豁免的泄漏行", "count"),
    "min_recall": _key("Lowest recall over planted flaws", "植入缺陷的最低召回率", "share"),
    "min_precision": _key("Lowest precision over planted flaws", "植入缺陷的最低精确率", "share"),
    "clean_copy_failures": _key("Failing findings in the clean copy", "干净副本中的不通过项", "count"),
    "validation_loss": _plain("Validation loss, lowest", "最低验证损失", "number"),
    "validation_loss_first": _plain("Validation loss, first", "首次验证损失", "number"),
    "train_loss": _plain("Training loss, last", "最后的训练损失", "number"),
    "tokens_per_s": _plain("Tokens per second", "每秒词元数", "number"),
    "steps_per_s": _plain("Steps per second", "每秒步数", "number"),
    "startup_s": _plain("Start-up time", "启动耗时", "seconds"),
    "train_s": _plain("Training time", "训练耗时", "seconds"),
    "peak_rss_gib": _plain("Peak memory", "内存峰值", "number"),
    "estimated_memory_gib": _plain("Memory estimated before", "训练前估计的内存", "number"),
    "truncated_ratio": _plain("Truncated rows", "被截断样本占比", "share"),
}

PREFIXES: dict[str, MetricTitle] = {
    "recall:": _plain("Recall, {rest}", "召回率：{rest}", "share"),
    "precision:": _plain("Precision, {rest}", "精确率：{rest}", "share"),
    "field_": _plain("Field “{rest}” right", "字段“{rest}”正确", "share"),
    "exact_match_": _plain("Exact match, {rest} rows", "完全匹配率，{rest} 类样本", "share"),
}
"""Names that end in something that varies; ``{rest}`` is that ending."""
SUFFIXES: dict[str, B] = {
    "_base": B("{title}, base model", "{title}（基座）"),
    "_tuned": B("{title}, tuned model", "{title}（微调）"),
}

FINDINGS: dict[str, B] = {
    "exact_duplicate": B("Exact duplicate", "完全重复"),
    "near_duplicate": B("Near duplicate", "近似重复"),
    "leaked_row": B("Evaluation row in training data", "评测样本混入训练"),
    "conflicting_answer": B("Same prompt, different answers", "同一提示、不同答案"),
    "mojibake": B("Garbled encoding", "乱码"),
    "over_long": B("Longer than the limit", "超出长度上限"),
    "broken_json": B("Broken JSON", "JSON 损坏"),
    "pii": B("Personal data", "个人信息"),
    "secret": B("Secret", "密钥"),
}

COURSE_ROWS: dict[str, B] = {
    "W1.1": B("Every execution leaves a full record", "每次执行都留下完整记录"),
    "W1.2": B("Data versions by content; leakage blocks the run", "按内容划分数据版本；泄漏会阻止运行"),
    "W1.3": B("A named pointer moves by command and moves back", "命名指针只按命令移动，并可回退"),
    "W1.4": B("A run differs from its control in one factor", "运行与对照只差一个因素"),
    "W1.5": B("One command turns all runs into a table", "一条命令汇总所有运行"),
    "W1.6": B("Baseline of the base model, with intervals and samples", "基座模型的基线，含区间与样本"),
    "W2.1": B("Instruction formats read into one schema", "多种指令格式读入统一结构"),
    "W2.2": B("One command audits any supported file", "一条命令审计任意受支持的文件"),
    "W2.3": B("Audit report: lengths, duplicates, sensitive data, verdict", "审计报告：长度、重复、敏感信息与结论"),
    "W3.1": B("Pre-flight, overfitting, checkpoints, causes of failure", "训练前检查、过拟合、检查点与失败原因"),
    "W3.2": B("One LoRA run, exported and checked by inference", "完成一次 LoRA 训练、导出并推理验证"),
    "W3.3": B("Complete record: config, curves, samples, failure points", "完整记录：配置、曲线、样本与失败点"),
}
COURSE_ROW_SECTIONS: dict[str, tuple[str, ...]] = {
    "W1.1": ("environment", "steps", "data", "model"),
    "W1.2": ("data", "verdict"),
    "W1.3": ("reproduce",),
    "W1.4": ("reproduce",),
    "W1.5": ("reproduce",),
    "W1.6": ("numbers", "samples"),
    "W2.1": ("audit",),
    "W2.2": ("audit", "steps"),
    "W2.3": ("audit", "numbers"),
    "W3.1": ("curves", "problems"),
    "W3.2": ("numbers", "verdict", "samples"),
    "W3.3": ("steps", "curves", "samples", "problems"),
}
