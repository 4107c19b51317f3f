"""Texts of the section about experiments on a service, in both languages."""

from __future__ import annotations

from practicum_core.stages.experiments import Verdict
from practicum_core.texts import Bilingual

EXPERIMENTS = {
    "title": Bilingual("Faults on purpose", "主动故障实验"),
    "reading": Bilingual(
        "Each experiment starts from a steady state, breaks something under load, takes it back and waits. A request "
        "is lost if its client got neither an answer nor an error of the API's shape. The line of the ladder says how "
        "little the service still offers: 0 is the full answer, 1 a shorter one, 3 a sentence of the knowledge base.",
        "每个实验从稳定状态开始，在负载下制造故障、撤销并等待恢复。若客户端既未得到回答，也未得到规范的错误，则该请求算丢失。"
        "降级深度表示服务还能提供多少：0 为完整回答，数值越大提供得越少，最终必须回到 0。",
    ),
    "seconds": Bilingual("seconds from the start; requests per second", "自开始的秒数；每秒请求数"),
    "begins": Bilingual("fault", "故障"),
    "ends": Bilingual("undone", "撤销"),
    "sent": Bilingual("sent", "发送"),
    "in_full": Bilingual("in full", "完整回答"),
    "degraded": Bilingual("lower rung", "降级回答"),
    "failed": Bilingual("failed", "失败"),
    "depth": Bilingual("ladder", "降级深度"),
    "table": Bilingual("Experiments", "实验"),
    "experiment": Bilingual("Experiment", "实验"),
    "verdict": Bilingual("Verdict", "结论"),
    "requests": Bilingual("Requests", "请求"),
    "errors": Bilingual("Errors", "错误"),
    "lost": Bilingual("Lost", "丢失"),
    "down": Bilingual("Fault to first step down", "故障到首次降级"),
    "back": Bilingual("End of fault to full answers", "故障结束到完全恢复"),
    "rungs": Bilingual("What the answers of each rung took", "各降级层回答的耗时"),
    "rung": Bilingual("Rung", "降级层"),
    "first_token": Bilingual("First token, median", "首个词元（中位数）"),
    "e2e_p50": Bilingual("Whole answer, median", "完整回答（中位数）"),
    "e2e_p95": Bilingual("Whole answer, 95 of 100", "完整回答（p95）"),
    "plan": Bilingual("{title}: the plan", "{title}：方案"),
    "hypothesis": Bilingual("Hypothesis", "假设"),
    "method": Bilingual("Method", "方法"),
    "part": Bilingual("Part", "部分"),
    "text": Bilingual("What", "内容"),
    "qualities": Bilingual("What each rung is worth on the same rows", "各降级层在相同样本上的质量"),
    "quality": Bilingual("Quality (95%)", "质量（95%）"),
    "answered": Bilingual("Answered", "得到回答"),
    "tokens": Bilingual("Tokens in + out", "输入 + 输出词元"),
    "above_next": Bilingual("Minus the next lower", "减下一级"),
    "worse": Bilingual(
        "The rung “{rung}” is worse than the one below it: leave it out, or improve it",
        "降级层“{rung}”劣于其下一级：请去掉或改进它",
    ),
    "findings": Bilingual("{title}: what was found", "{title}：发现"),
    "finding": Bilingual("Finding", "检查项"),
    "found": Bilingual("Found", "实测"),
    "bound": Bilingual("Must be", "要求"),
    "steps": Bilingual("{title}: steps of the ladder", "{title}：降级过程"),
    "at": Bilingual("Second", "秒"),
    "step": Bilingual("Step", "变化"),
    "reason": Bilingual("Reason", "原因"),
    "failures": Bilingual("Failed requests by kind: {kinds}", "失败请求分类：{kinds}"),
    "left": Bilingual("Not taken back: {what}", "未能撤销：{what}"),
    "broken_off": Bilingual("{title}: an error ended it: {error}", "{title}：因错误中断：{error}"),
    "details": Bilingual("Findings, steps and how to repeat it", "检查项、降级过程与复现命令"),
    "repeat": Bilingual("Repeat it", "复现"),
}
VERDICTS = {
    Verdict.HELD: Bilingual("held", "经受住"),
    Verdict.DEVIATED: Bilingual("did not hold", "未经受住"),
    Verdict.NOT_STEADY: Bilingual("not steady before", "起始不稳定"),
    Verdict.NOT_UNDONE: Bilingual("not undone", "未能撤销"),
    Verdict.BROKEN_OFF: Bilingual("ended by an error", "因错误中断"),
}
FINDINGS = {
    "lost": Bilingual("Requests lost", "丢失的请求"),
    "ladder_down": Bilingual("Lowest rung", "最低降级层"),
    "ladder_kept": Bilingual("Lowest rung, which must not be deeper", "最低降级层（不得更深）"),
    "upstream_ratio": Bilingual("Requests at the engine for each one of a client", "每个客户端请求对应的引擎请求数"),
    "answered": Bilingual("Share of requests answered", "得到回答的请求比例"),
    "ladder_back": Bilingual("Rung at the end", "结束时所在层"),
    "returns": Bilingual("Returns from one rung", "同一级的恢复次数"),
    "end_p99": Bilingual("99 of 100 requests ended within", "99% 的请求结束于"),
}
"""What ``Finding.name`` means; a name that begins with ``probe:`` is that of a probe, as its author wrote it."""
REASONS = {
    "engine_out": Bilingual("the engine is out", "推理引擎不可用"),
    "calm": Bilingual("all signals are calm", "各项信号恢复平稳"),
    "manual": Bilingual("a person chose the rung", "人工指定"),
    "queue_wait_s": Bilingual("waits for an engine are too long", "等待引擎时间过长"),
    "first_token_s": Bilingual("first tokens come too late", "首个词元过慢"),
    "error_share": Bilingual("too many requests fail", "失败请求过多"),
    "kv_use": Bilingual("the KV cache is full", "KV 缓存已满"),
}
