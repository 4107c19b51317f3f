"""Decides what recorded names are called on a page: metrics, defects, course rows. Unknown names stay as they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from practicum_core.texts import Bilingual as B  # noqa: N817 - a catalogue reads by its texts

Style = Literal["share", "points", "width", "count", "number", "seconds", "bytes"]
"""``points`` is a difference of shares, with its sign; ``width`` is the length of an interval of shares."""


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
    "exact_match_interval_width": _plain("Width of the exact-match interval", "完全匹配率区间宽度", "width"),
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
    "leaks_exact": _plain("Evaluation rows equal to training rows", "与训练样本完全相同的评测样本", "count"),
    "leaks_near": _plain("Near duplicates of training rows", "与训练样本近似重复的评测样本", "count"),
    "leaks_ngram": _plain("Rows sharing long passages with training", "与训练数据共享长片段的样本", "count"),
    "data_size": _plain("Size of the data", "数据大小", "bytes"),
    "num_clean_rows": _plain("Rows in the clean copy", "干净副本行数", "count"),
    "duplicate_ratio": _plain("Duplicates, exact and near", "重复（完全与近似）占比", "share"),
    "exact_duplicate_ratio": _plain("Exact duplicates", "完全重复占比", "share"),
    "near_duplicate_ratio": _plain("Near duplicates", "近似重复占比", "share"),
    "leaked_rows": _plain("Evaluation rows in the training data", "训练数据中的评测样本", "count"),
    "pii_rows": _plain("Rows with personal data", "含个人信息的行", "count"),
    "secret_rows": _plain("Rows with secrets", "含密钥的行", "count"),
    "broken_rows": _plain("Lines that are no row", "无法读成行的位置", "count"),
    "truncation_ratio": _plain("Rows longer than max_length", "超过 max_length 的行占比", "share"),
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
    "tokens_": _plain("Tokens of a row, {rest}", "每行词元数，{rest}", "count"),
    "field_": _plain("Field “{rest}” right", "字段“{rest}”正确", "share"),
    "exact_match_": _plain("Exact match, {rest} rows", "完全匹配率，{rest} 类样本", "share"),
}
"""Names that end in something that varies; ``{rest}`` is that ending."""
UNITS: dict[str, B] = {
    "nats per token": B("nats/token", "nat/词元"),
    "tokens/s": B("tokens/s", "词元/秒"),
    "rows/s": B("rows/s", "行/秒"),
    "steps/s": B("steps/s", "步/秒"),
}
"""Units that are words; others are written as they are recorded."""
SPLIT_ROWS = B("Rows of the split “{rest}”", "划分“{rest}”的行数")
SUFFIXES: dict[str, B] = {
    "_base": B("{title}, base model", "{title}（基座）"),
    "_tuned": B("{title}, tuned model", "{title}（微调）"),
}

FINDINGS: dict[str, B] = {
    "exact_duplicate": B("Exact duplicate", "完全重复"),
    "near_duplicate": B("Near duplicate", "近似重复"),
    "conflicting_answers": B("Same prompt, different answers", "相同提示、不同答案"),
    "leaked_row": B("Evaluation row in the training data", "训练数据中的评测样本"),
    "shared_run": B("Long run of text shared with an evaluation row", "与评测样本共有长片段"),
    "over_long": B("Longer than max_length", "超过 max_length"),
    "empty_answer": B("Empty answer", "答案为空"),
    "refusal": B("Refusal or boilerplate", "拒答或套话"),
    "pii": B("Personal data", "个人信息"),
    "pii:cn_resident_id": B("Chinese resident id", "居民身份证号"),
    "pii:cn_uscc": B("Unified social credit code", "统一社会信用代码"),
    "pii:bank_card": B("Bank card", "银行卡号"),
    "pii:cn_mobile": B("Chinese mobile number", "中国大陆手机号"),
    "pii:cn_landline": B("Chinese landline", "中国大陆固定电话"),
    "pii:cn_plate": B("Chinese vehicle plate", "车牌号"),
    "pii:cn_passport": B("Passport", "护照号"),
    "pii:email": B("E-mail address", "电子邮箱"),
    "pii:ipv4": B("Public IPv4 address", "公网 IPv4 地址"),
    "pii:phone": B("Telephone number of another country", "其他国家的电话号码"),
    "secret": B("Secret", "密钥"),
    "secret:aws_key": B("AWS access key", "AWS 访问密钥"),
    "secret:openai_key": B("Model service key (sk-)", "模型服务密钥（sk-）"),
    "secret:github_token": B("GitHub token", "GitHub 令牌"),
    "secret:slack_token": B("Slack token", "Slack 令牌"),
    "secret:private_key": B("Private key", "私钥"),
    "secret:jwt": B("JSON web token", "JSON Web 令牌"),
    "secret:generic": B("Password or key in an assignment", "赋值语句中的密码或密钥"),
    "replacement_character": B("Lost characters (U+FFFD)", "字符丢失（U+FFFD）"),
    "mojibake": B("Mojibake", "乱码"),
    "control_character": B("Control characters", "控制字符"),
    "broken_json": B("Broken JSON", "JSON 损坏"),
    "invalid_utf8": B("Invalid UTF-8", "非法 UTF-8"),
    "missing_column": B("Missing column", "缺少列"),
    "wrong_type": B("Wrong type", "类型错误"),
    "row_too_long": B("Row longer than any may be", "行超过长度上限"),
}
"""Defects by name, or by class (before the colon) where a kind has no name of its own. A stage imports no other, so
the audit keeps the same names in its catalogue; a test holds the two together."""

FAILURE_KINDS = {
    "worker_lost": B("worker lost", "工作进程丢失"),
    "overfitting": B("overfitting", "过拟合"),
    "truncated_rows": B("truncated rows", "样本被截断"),
    "memory": B("memory", "内存"),
    "diverged": B("diverged", "发散"),
    "leakage": B("leakage", "数据泄漏"),
    "not_json": B("not one JSON object", "不是单个 JSON 对象"),
    "wrong_keys": B("other keys than asked for", "键与要求不符"),
    "empty": B("empty answer", "空回答"),
    "wrong_text": B("another text than expected", "文字与期望不符"),
    "wrong": B("wrong {rest}", "{rest} 错误"),
    "exports_differ": B("exports differ", "导出结果不一致"),
    "no_stop": B("answer did not end", "回答没有结束"),
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
    "V8.1": B("Data preparation and LoRA in one week", "一周内完成数据准备与 LoRA 微调"),
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
    "V8.1": ("audit", "curves", "numbers", "samples"),
    "W3.3": ("steps", "curves", "samples", "problems"),
}
