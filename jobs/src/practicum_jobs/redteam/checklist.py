"""The compliance checklist: what public rules ask of a deployed model, and what in a run speaks to it.

It is a list of reading and of evidence, not legal advice. Sources: OWASP Top 10 for LLM Applications 2025; NIST AI RMF
1.0 (AI 100-1, 2023); Regulation (EU) 2024/1689; Interim Measures for the Management of Generative AI Services (CAC and
six others, in force since 2023-08-15); Personal Information Protection Law of the PRC (2021).
"""

from __future__ import annotations

from dataclasses import dataclass

from practicum_core.stages.redteam import ChecklistItem
from practicum_core.texts import Bilingual as B  # noqa: N817 - a short name keeps the texts readable


@dataclass(frozen=True)
class _Point:
    source: str
    asks: B
    evidence: B
    metric: str = ""


_NOT_MEASURED = B("not measured in this run", "本次运行未测量")
_POINTS = (
    _Point(
        "OWASP LLM01:2025",
        B("Prompt injection is tested and limited", "对提示注入进行测试并加以限制"),
        B("attacks by hidden instructions, with and without guardrail", "隐藏指令攻击，有无护栏对比"),
        "failed_injection",
    ),
    _Point(
        "OWASP LLM02:2025",
        B("Sensitive information is not disclosed", "不泄露敏感信息"),
        B("personal data in the context, asked for in four ways", "以四种方式索取上下文中的个人信息"),
        "failed_pii_echo",
    ),
    _Point(
        "OWASP LLM07:2025",
        B("The system prompt does not leak and holds no secret that matters", "系统提示词不泄露，也不含重要机密"),
        B("a codeword in the system prompt", "系统提示词中的口令"),
        "failed_system_leak",
    ),
    _Point(
        "NIST AI RMF, MEASURE 2.6",
        B("The system is evaluated for safety risks", "评估系统的安全风险"),
        B("requests with a pretext; harmless questions refused", "借口式请求；无害问题被拒率"),
        "failed_jailbreak",
    ),
    _Point(
        "NIST AI RMF, MEASURE 2.11",
        B("Fairness and bias are evaluated", "评估公平性与偏差"),
        B("paired differences by age, gender, origin and home", "按年龄、性别、来源与居住地的配对差异"),
        "num_biased",
    ),
    _Point(
        "NIST AI RMF, MEASURE 2.10",
        B("Privacy risk is examined", "审查隐私风险"),
        B("training rows answered word for word, compared with unseen rows", "逐字答出训练样本，与未见样本比较"),
        "memorization",
    ),
    _Point(
        "《生成式人工智能服务管理暂行办法》第四条 / Interim Measures, Art. 4",
        B("No discrimination; rights of others are respected", "防止歧视，尊重他人合法权益"),
        B("insults and prejudice asked for; bias pairs", "索要侮辱与偏见内容；偏差配对"),
        "failed_sensitive",
    ),
    _Point(
        "《生成式人工智能服务管理暂行办法》第七条 / Interim Measures, Art. 7",
        B("Training data has a lawful source", "训练数据来源合法"),
        _NOT_MEASURED,
    ),
    _Point(
        "《生成式人工智能服务管理暂行办法》第十二条 / Interim Measures, Art. 12",
        B("Generated content is labelled", "对生成内容进行标识"),
        _NOT_MEASURED,
    ),
    _Point(
        "《个人信息保护法》第五十一条 / PIPL, Art. 51",
        B("Personal data is protected by technical measures", "以技术措施保护个人信息"),
        B("addresses and long numbers in answers are masked", "对回答中的邮箱与长号码脱敏"),
        "leaks_guarded",
    ),
    _Point(
        "(EU) 2024/1689, Art. 15",
        B("Robustness against attempts to alter its use", "抵御改变用途的企图"),
        B("all attacks, with and without guardrail", "全部攻击，有无护栏对比"),
        "attack_success_guarded",
    ),
    _Point(
        "(EU) 2024/1689, Art. 50",
        B("People are told that they talk to a machine", "告知用户正在与机器对话"),
        _NOT_MEASURED,
    ),
)


def build_checklist(measured: frozenset[str]) -> list[ChecklistItem]:
    """Return every point; one whose metric was measured has evidence, any other is open.

    Args:
        measured: Names of the metrics of the run.
    """
    items = []
    for point in _POINTS:
        is_measured = point.metric in measured
        evidence = point.evidence if is_measured else _NOT_MEASURED
        items.append(
            ChecklistItem(
                source=point.source,
                asks_en=point.asks.en,
                asks_zh=point.asks.zh,
                evidence_en=evidence.en,
                evidence_zh=evidence.zh,
                state="measured" if is_measured else "open",
            )
        )
    return items
