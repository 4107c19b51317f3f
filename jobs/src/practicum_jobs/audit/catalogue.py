"""The findings that an audit knows: their names in both languages, and the share from which each is serious.

A level follows from the share of rows alone: above ``fail_ratio`` the finding fails, above zero it warns. What may
never stand in training data (personal data, credentials, evaluation rows) fails with the first row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from practicum_core.errors import ConfigError, suggest_similar
from practicum_core.texts import Bilingual
from practicum_jobs.text.encoding import EncodingDefect
from practicum_jobs.text.pii_kinds import PiiKind
from practicum_jobs.text.secret_kinds import SecretKind

Level = Literal["pass", "warn", "fail"]


@dataclass(frozen=True)
class FindingKind:
    """One class of defect.

    ``fail_ratio`` is the share above which it fails; ``advice`` says what to do about it. A row stays in the clean copy
    if all its findings are such that do not remove it.
    """

    name: str
    title: Bilingual
    advice: Bilingual
    fail_ratio: float
    removes: bool = True


_REMOVE = Bilingual(
    "Removed from the clean copy, except the first of each group.", "已从清洗后的副本中移除；每组保留第一条。"
)
_PRIVATE = Bilingual(
    "Removed; find out where it came from before you use the data.", "已移除；使用这份数据前请先查清其来源。"
)
_BROKEN = Bilingual(
    "Not read and not in the clean copy; correct the line in its file.",
    "未读取，也不在清洗后的副本中；请在原文件中修正该行。",
)

EXACT, NEAR, CONFLICT, LEAKED, RUN = (
    "exact_duplicate",
    "near_duplicate",
    "conflicting_answers",
    "leaked_row",
    "shared_run",
)
OVER_LONG, EMPTY, REFUSAL = "over_long", "empty_answer", "refusal"
PLACEHOLDER, EMPTY_PROMPT, REPEATED_TURN = "placeholder_answer", "empty_prompt", "repeated_turn"
EQUAL_PAIR, EMPTY_REJECTED, SPECIAL_TOKEN = "equal_pair", "empty_rejected", "special_token"
TEMPLATE, UNRENDERED, UNWANTED = "template_refusal", "unrendered_part", "unwanted_answer"
DUPLICATE_ID, UNREAD, HELD_OUT = "duplicate_id", "unread_column", "unread_evaluation_row"

_GENERAL = (
    FindingKind(EXACT, Bilingual("Exact duplicate", "完全重复"), _REMOVE, 0.01),
    FindingKind(NEAR, Bilingual("Near duplicate", "近似重复"), _REMOVE, 0.03),
    FindingKind(
        CONFLICT,
        Bilingual("Same prompt, different answers", "相同提示、不同答案"),
        Bilingual(
            "All answers of the group were removed; a person must decide which one is right.",
            "整组答案均已移除；哪个正确需由人判断。",
        ),
        0.005,
    ),
    FindingKind(
        LEAKED,
        Bilingual("Evaluation row in the training data", "训练数据中的评测样本"),
        Bilingual("Removed; a score on a leaked row proves nothing.", "已移除；在泄漏样本上的得分不说明任何问题。"),
        0.0,
    ),
    FindingKind(
        RUN,
        Bilingual("Long run of text shared with an evaluation row", "与评测样本共有长片段"),
        Bilingual(
            "Removed; read the samples: a quoted passage is not a leak, a copied question is.",
            "已移除；请查看样例：引用同一段资料不算泄漏，照抄题目才算。",
        ),
        0.01,
    ),
    FindingKind(
        OVER_LONG,
        Bilingual("Longer than max_length", "超过 max_length"),
        Bilingual("Training would cut off the end, which holds the answer.", "训练时会截断末尾，而答案就在末尾。"),
        0.05,
    ),
    FindingKind(
        EMPTY,
        Bilingual("Empty answer", "答案为空"),
        Bilingual("Removed; it teaches the model to say nothing.", "已移除；这类样本会使模型学会不作答。"),
        0.001,
    ),
    FindingKind(
        REFUSAL,
        Bilingual("Refusal or boilerplate", "拒答或套话"),
        Bilingual("Removed; training on refusals makes a model refuse.", "已移除；用拒答样本训练会使模型倾向拒答。"),
        0.02,
    ),
    FindingKind(
        PLACEHOLDER,
        Bilingual("Placeholder for an answer (N/A, nan, ...)", "占位答案（N/A、nan、... 等）"),
        Bilingual("Removed; most come from empty cells of a table.", "已移除；多半来自表格中的空单元格。"),
        0.005,
    ),
    FindingKind(
        EMPTY_PROMPT,
        Bilingual("Empty prompt", "提示为空"),
        Bilingual("Removed; there is nothing to answer.", "已移除；没有可回答的内容。"),
        0.001,
    ),
    FindingKind(
        REPEATED_TURN,
        Bilingual("Two user turns in a row", "连续两个用户轮次"),
        Bilingual(
            "Removed; a turn between them was lost, or one text was cut in two.",
            "已移除；中间丢失了一个轮次，或一段文字被切成两段。",
        ),
        0.01,
    ),
    FindingKind(
        EQUAL_PAIR,
        Bilingual("Chosen and rejected are equal", "chosen 与 rejected 相同"),
        Bilingual("Removed; the pair shows no preference.", "已移除；这对答案没有体现偏好。"),
        0.01,
    ),
    FindingKind(
        EMPTY_REJECTED,
        Bilingual("Empty rejected answer", "rejected 为空"),
        Bilingual("Removed; any answer is better than an empty one.", "已移除；任何答案都优于空答案。"),
        0.01,
    ),
    FindingKind(
        SPECIAL_TOKEN,
        Bilingual("Special token inside a text", "文本中含特殊词元"),
        Bilingual("Removed; the model would read it as the end of a turn.", "已移除；模型会把它当作轮次的结束。"),
        0.001,
    ),
    FindingKind(
        TEMPLATE,
        Bilingual("Rejected by the model's chat template", "模型的对话模板不接受"),
        Bilingual(
            "Removed; correct the order of the roles, or use a model whose template accepts it.",
            "已移除；请修正角色顺序，或换用模板支持它的模型。",
        ),
        0.0,
    ),
    FindingKind(
        UNRENDERED,
        Bilingual("Tool calls or reasoning that the chat template leaves out", "对话模板未渲染的工具调用或推理"),
        Bilingual(
            "Removed; the model would never see them. Use a model whose template prints them.",
            "已移除；模型不会看到它们。请使用模板支持它们的模型。",
        ),
        0.01,
    ),
    FindingKind(
        UNWANTED,
        Bilingual("Answer that the data marks as undesirable", "数据中标为不良的答案"),
        Bilingual(
            "Kept; use it only for training on labels (KTO), not for supervised fine-tuning.",
            "已保留；仅可用于带标签的训练（KTO），不可用于监督微调。",
        ),
        1.0,
        removes=False,
    ),
    FindingKind(
        DUPLICATE_ID,
        Bilingual("Repeated id", "重复的 id"),
        Bilingual("Kept; results by id would confuse these rows.", "已保留；按 id 汇总结果时会混淆这些行。"),
        1.0,
        removes=False,
    ),
    FindingKind(
        UNREAD,
        Bilingual("Columns that are not read", "未读取的列"),
        Bilingual(
            "The rows are kept without them; rename a column that should be read (see `practicum audit --help`).",
            "行已保留，但不含这些列；如需读取某列，请修改列名（见 `practicum audit --help`）。",
        ),
        1.0,
        removes=False,
    ),
)
_ENCODING: Mapping[EncodingDefect, Bilingual] = {
    EncodingDefect.REPLACEMENT: Bilingual("Lost characters (U+FFFD)", "字符丢失（U+FFFD）"),
    EncodingDefect.MOJIBAKE: Bilingual("Mojibake", "乱码"),
    EncodingDefect.CONTROL: Bilingual("Control characters", "控制字符"),
}
_PII: Mapping[PiiKind, Bilingual] = {
    PiiKind.CN_RESIDENT_ID: Bilingual("Chinese resident id", "居民身份证号"),
    PiiKind.CN_USCC: Bilingual("Unified social credit code", "统一社会信用代码"),
    PiiKind.BANK_CARD: Bilingual("Bank card", "银行卡号"),
    PiiKind.CN_MOBILE: Bilingual("Chinese mobile number", "中国大陆手机号"),
    PiiKind.CN_LANDLINE: Bilingual("Chinese landline", "中国大陆固定电话"),
    PiiKind.CN_PLATE: Bilingual("Chinese vehicle plate", "车牌号"),
    PiiKind.CN_PASSPORT: Bilingual("Passport", "护照号"),
    PiiKind.EMAIL: Bilingual("E-mail address", "电子邮箱"),
    PiiKind.IPV4: Bilingual("Public IPv4 address", "公网 IPv4 地址"),
    PiiKind.PHONE: Bilingual("Telephone number of another country", "其他国家的电话号码"),
    PiiKind.IBAN: Bilingual("International bank account number (IBAN)", "国际银行账号（IBAN）"),
    PiiKind.TRAVEL_PERMIT: Bilingual("Mainland, Hong Kong, Macao or Taiwan travel permit", "往来通行证号"),
    PiiKind.HK_ID: Bilingual("Hong Kong identity card", "香港身份证号"),
    PiiKind.MACAO_ID: Bilingual("Macao identity card", "澳门身份证号"),
    PiiKind.TW_ID: Bilingual("Taiwan identity card or resident certificate", "台湾身份证或居留证号"),
    PiiKind.US_SSN: Bilingual("Social security number of the United States", "美国社会安全号码"),
    PiiKind.IPV6: Bilingual("Public IPv6 address", "公网 IPv6 地址"),
    PiiKind.MAC: Bilingual("Hardware address (MAC)", "网卡地址（MAC）"),
    PiiKind.QQ: Bilingual("QQ number", "QQ 号"),
    PiiKind.WECHAT: Bilingual("WeChat name", "微信号"),
}
_SECRETS: Mapping[SecretKind, Bilingual] = {
    SecretKind.AWS_KEY: Bilingual("AWS access key", "AWS 访问密钥"),
    SecretKind.OPENAI_KEY: Bilingual("Model service key (sk-)", "模型服务密钥（sk-）"),
    SecretKind.GITHUB_TOKEN: Bilingual("GitHub token", "GitHub 令牌"),
    SecretKind.SLACK_TOKEN: Bilingual("Slack token", "Slack 令牌"),
    SecretKind.PRIVATE_KEY: Bilingual("Private key", "私钥"),
    SecretKind.JWT: Bilingual("JSON web token", "JSON Web 令牌"),
    SecretKind.GITLAB_TOKEN: Bilingual("GitLab token", "GitLab 令牌"),
    SecretKind.HUGGINGFACE_TOKEN: Bilingual("Hugging Face token", "Hugging Face 令牌"),
    SecretKind.GOOGLE_KEY: Bilingual("Google API key", "Google API 密钥"),
    SecretKind.STRIPE_KEY: Bilingual("Stripe key", "Stripe 密钥"),
    SecretKind.ALIBABA_KEY: Bilingual("Alibaba Cloud access key", "阿里云访问密钥"),
    SecretKind.TENCENT_KEY: Bilingual("Tencent Cloud secret id", "腾讯云密钥"),
    SecretKind.AZURE_KEY: Bilingual("Azure key", "Azure 密钥"),
    SecretKind.WEBHOOK: Bilingual("Webhook of a chat", "群聊机器人地址（webhook）"),
    SecretKind.URL_PASSWORD: Bilingual("Password in a URL", "网址中的密码"),
    SecretKind.BEARER_TOKEN: Bilingual("Bearer token", "Bearer 令牌"),
    SecretKind.GENERIC: Bilingual("Password or key in an assignment", "赋值语句中的密码或密钥"),
}
_DEFECTS: Mapping[str, Bilingual] = {
    "broken_json": Bilingual("Broken JSON", "JSON 损坏"),
    "invalid_utf8": Bilingual("Invalid UTF-8", "非法 UTF-8"),
    "broken_csv": Bilingual("Broken CSV or TSV", "CSV 或 TSV 损坏"),
    "duplicate_key": Bilingual("Repeated key in a row", "同一行中重复的键"),
    "missing_column": Bilingual("Missing column", "缺少列"),
    "wrong_type": Bilingual("Wrong type", "类型错误"),
    "row_too_long": Bilingual("Row over the length limit", "行超过长度上限"),
    "unread_part": Bilingual("Part of a file that is not a row", "文件中不是数据行的部分"),
    HELD_OUT: Bilingual("Evaluation row that cannot be read", "无法读取的评测样本"),
}
_CODE_ADVICE = Bilingual(
    "Removed; decode the source again with the right encoding.", "已移除；请用正确的编码重新读取原始数据。"
)

CATALOGUE: Mapping[str, FindingKind] = {
    kind.name: kind
    for kind in (
        *_GENERAL,
        *(FindingKind(f"pii:{name}", title, _PRIVATE, 0.0) for name, title in _PII.items()),
        *(FindingKind(f"secret:{name}", title, _PRIVATE, 0.0) for name, title in _SECRETS.items()),
        *(FindingKind(str(name), title, _CODE_ADVICE, 0.001) for name, title in _ENCODING.items()),
        *(FindingKind(name, title, _BROKEN, 0.01) for name, title in _DEFECTS.items()),
    )
}
"""Every finding, in the order of the report."""

PRIVATE_KINDS = tuple(name for name in CATALOGUE if name.startswith(("pii:", "secret:")))
"""The findings of personal data and secrets."""
DEFECT_KINDS = tuple(_DEFECTS)
ROW_FINDINGS = tuple(name for name in CATALOGUE if name not in _DEFECTS)
"""Findings about rows; the others are about places that hold none."""


def resolve_thresholds(overrides: Mapping[str, float]) -> dict[str, float]:
    """Return the share above which each finding fails, with ``overrides`` laid over the catalogue's.

    Raises:
        ConfigError: An override names no finding, or is no share.
    """
    problems = [
        f"unknown finding '{name}'{suggest_similar(name, CATALOGUE)}" for name in overrides if name not in CATALOGUE
    ]
    problems += [f"{name}: {value} is no share of 0 to 1" for name, value in overrides.items() if not 0 <= value <= 1]
    if problems:
        raise ConfigError(f"fail_ratios: {'; '.join(problems)}", f"findings: {', '.join(CATALOGUE)}")
    return {name: overrides.get(name, kind.fail_ratio) for name, kind in CATALOGUE.items()}


def get_level(num_rows: int, num_total: int, fail_ratio: float) -> Level:
    """Return how serious ``num_rows`` of ``num_total`` are.

    >>> get_level(0, 10, 0.0), get_level(1, 10, 0.0), get_level(1, 10, 0.5)
    ('pass', 'fail', 'warn')
    """
    if not num_rows:
        return "pass"
    return "fail" if num_rows > fail_ratio * num_total else "warn"


def get_verdict(levels: list[Level]) -> Level:
    """Return the worst level.

    >>> get_verdict(["pass", "warn"])
    'warn'
    """
    return "fail" if "fail" in levels else "warn" if "warn" in levels else "pass"
