"""Sentences and labels of the documents of a defence, in English and Chinese."""

from __future__ import annotations

from practicum_core.texts import Bilingual as B  # noqa: N817 - a short name keeps the texts readable

EYEBROW = B("Practicum · capstone", "Practicum · 结业答辩")
FOOTER = B("Built from the records of {runs}.", "根据以下运行的记录生成：{runs}。")

DOCUMENT = {
    "title": B("Technical document", "技术方案文档"),
    "lead": B(
        "What was built, what proves its effect and its performance, and what can go wrong. Every figure is from a "
        "record whose hash was checked.",
        "做了什么，用什么证明效果与性能，以及有哪些风险。每个数字都来自经过哈希核对的记录。",
    ),
    "effect": B("Evidence of effect", "效果证据"),
    "effect_reading": B(
        "Differences have 95% intervals; one that contains zero shows nothing.",
        "差异均附 95% 区间；包含零的区间不能说明有差异。",
    ),
    "performance": B("Evidence of performance", "性能证据"),
    "shown": B("Measured for this defence", "为本次答辩所测"),
    "shown_reading": B(
        "Figures of steps of this run itself: recorded traffic that was replayed against two models, and the repair of "
        "what failed in it.",
        "本次运行自身步骤的数字：对两个模型重放录制的流量，以及对其中失败样本的修复。",
    ),
    "risk": B("Risks and limits", "风险与局限"),
    "risk_reading": B(
        "Gates that did not pass, and what the steps recorded as failures although they ended.",
        "未通过的门槛，以及各步骤虽已完成但记录下的失败点。",
    ),
    "none": B("No week of this part is in the chain.", "证据链中没有这一部分的周。"),
    "all_hold": B("Every link holds: {count} hashes were compared.", "各环均成立：共比对 {count} 个哈希。"),
    "all_pass": B("No gate failed, and no step recorded a failure.", "没有未通过的门槛，各步骤也没有记录失败点。"),
    "reproduce": B("Run it again", "重新运行"),
}
COLUMNS = {
    "week": B("Week", "周"),
    "run": B("Run", "运行"),
    "verdict": B("Gates", "门槛"),
    "figure": B("Figure", "指标"),
    "value": B("Value", "数值"),
    "interval": B("95% interval", "95% 区间"),
    "risk": B("What", "内容"),
    "number": B("Times", "次数"),
    "example": B("For example", "例如"),
    "step": B("Step", "步骤"),
    "time": B("Time", "用时"),
}
RETROSPECTIVE = {
    "title": B("Retrospective", "复盘"),
    "lead": B(
        "The measured facts of every week. The questions under them are yours to answer.",
        "各周的实测事实。其后的问题由你回答。",
    ),
    "facts": B("What happened", "发生了什么"),
    "next": B("Next steps", "下一步"),
    "next_reading": B(
        "Derived from what did not pass, did not hold or differs. Put them in order and say why.",
        "由未通过、不成立或不一致之处得出。请排序并说明理由。",
    ),
    "questions": B("Questions to answer", "待回答的问题"),
    "q_surprise": B(
        "Which figure surprised you most, and what did you believe before?", "哪个数字最出乎意料？此前你的判断是什么？"
    ),
    "q_cost": B("Which week took longest, and what would halve it?", "哪一周用时最长？怎样才能减半？"),
    "q_claim": B(
        "Which claim of the technical document would you defend least gladly, and what would prove it?",
        "技术方案中哪一条结论你最难为之辩护？还需要什么证据？",
    ),
    "gate": B("{week}: the gate did not pass: {gate}", "{week}：门槛未通过：{gate}"),
    "failure": B("{week}: {title} ({count})", "{week}：{title}（{count}）"),
    "broken": B("Mend the chain: {kind}, {where}", "修复证据链：{kind}，{where}"),
    "nothing": B(
        "Nothing failed; raise a threshold or use data of your own.", "没有失败项；可提高门槛，或换用自己的数据。"
    ),
}
SLIDES = {
    "links": B("The chain of evidence", "证据链"),
    "title": B("Defence", "答辩"),
    "chain": B(
        "{whole} of {total} weeks are whole; {hashes} hashes compared",
        "{total} 周中 {whole} 周完整；已比对 {hashes} 个哈希",
    ),
    "reruns": B(
        "{same} of {total} repeated steps agree with their records", "{total} 个重跑步骤中 {same} 个与记录一致"
    ),
    "print": B("Print this page to get a PDF: one slide a sheet.", "打印本页即可得到 PDF：每张幻灯片一页。"),
}
