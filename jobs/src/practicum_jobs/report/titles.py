"""Titles of units, defects and course rows in English and Chinese. A name without a title is shown as recorded."""

from __future__ import annotations

from practicum_core.texts import Bilingual as B  # noqa: N817 - a short name keeps the texts readable

UNITS: dict[str, B] = {
    "nats per token": B("nats/token", "nat/词元"),
    "tokens/s": B("tokens/s", "词元/秒"),
    "rows/s": B("rows/s", "行/秒"),
    "steps/s": B("steps/s", "步/秒"),
}
"""Units that need a translation. Other units are shown as recorded."""
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
    "placeholder_answer": B("Placeholder for an answer (N/A, nan, ...)", "占位答案（N/A、nan、... 等）"),
    "empty_prompt": B("Empty prompt", "提示为空"),
    "repeated_turn": B("Two user turns in a row", "连续两个用户轮次"),
    "equal_pair": B("Chosen and rejected are equal", "chosen 与 rejected 相同"),
    "empty_rejected": B("Empty rejected answer", "rejected 为空"),
    "special_token": B("Special token inside a text", "文本中含特殊词元"),
    "template_refusal": B("Refused by the model's chat template", "模型的对话模板不接受"),
    "unrendered_part": B("Tool calls or reasoning that the chat template leaves out", "对话模板未渲染的工具调用或推理"),
    "unwanted_answer": B("Answer that the data marks as unwanted", "数据标为不良的答案"),
    "duplicate_id": B("Id that an earlier row has", "与先前行重复的 id"),
    "unread_column": B("Columns that are not read", "未读取的列"),
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
    "broken_csv": B("Broken CSV or TSV", "CSV 或 TSV 损坏"),
    "duplicate_key": B("Key that stands twice in a row", "同一行中重复的键"),
    "missing_column": B("Missing column", "缺少列"),
    "wrong_type": B("Wrong type", "类型错误"),
    "row_too_long": B("Row longer than any may be", "行超过长度上限"),
    "unread_part": B("Part of a file that is no row", "文件中不属于任何行的部分"),
    "unread_evaluation_row": B("Evaluation row that cannot be read", "无法读取的评测样本"),
}
"""Titles of defects, by whole name or by class (the part before the colon). The audit has the same titles in its own
catalogue, because stages must not import each other; a test compares the two."""

COURSE_ROWS: dict[str, B] = {
    "W1.1": B("Every execution leaves a full record", "每次执行都留下完整记录"),
    "W1.2": B("Data versions by content hash; leakage stops the run", "以内容哈希标识数据版本；发现泄漏即终止运行"),
    "W1.3": B("A named pointer is set and rolled back by command", "命名指针由命令设置，并可回退"),
    "W1.4": B("A run differs from its control in one factor", "运行与对照运行只相差一个因素"),
    "W1.5": B("One command summarizes all runs in a table", "一条命令将所有运行汇总成表"),
    "W1.6": B("Baseline of the base model, with intervals and samples", "基座模型的基线，含置信区间与样本"),
    "W2.1": B("Instruction formats read into one schema", "多种指令数据格式统一为一种结构"),
    "W2.2": B("One command audits any supported file", "一条命令审计任意受支持的文件"),
    "W2.3": B("Audit report: lengths, duplicates, sensitive data, verdict", "审计报告：长度、重复、敏感信息与结论"),
    "W3.1": B("Preflight checks, overfitting, checkpoints, causes of failure", "训练前检查、过拟合、检查点与失败原因"),
    "W3.2": B("One LoRA run, exported and checked by inference", "完成一次 LoRA 微调，导出并通过推理验证"),
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
