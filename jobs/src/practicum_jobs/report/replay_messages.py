"""Texts of the section about replays of recorded traffic, in both languages."""

from __future__ import annotations

from practicum_core.stages.replays import ReplayVerdict
from practicum_core.texts import Bilingual

REPLAYS = {
    "title": Bilingual("Recorded and replayed", "录制与重放"),
    "reading": Bilingual(
        "The gateway recorded the requests of one fault. They were sent again at the same times with the same fault, "
        "and a tool compared each replay with the recording. A replay on a machine that could not keep the times is "
        "not compared: it proves nothing.",
        "网关录制了一次故障期间的请求，随后在相同时刻、以相同故障重放，并由工具将每次重放与录制比较。"
        "若本机未能按计划发送，则该次重放不可比较，不能作为证据。",
    ),
    "chart": Bilingual("Depth of the ladder: recorded, and in each replay", "降级深度：录制与各次重放"),
    "seconds": Bilingual("seconds from the start of the recorded traffic", "自录制流量开始的秒数"),
    "recorded": Bilingual("recorded", "录制"),
    "replay": Bilingual("replay {number}", "重放 {number}"),
    "begins": Bilingual("fault", "故障"),
    "ends": Bilingual("undone", "撤销"),
    "table": Bilingual("Each replay against the recording", "各次重放与录制的比较"),
    "compared": Bilingual("Compared", "比较项"),
    "must": Bilingual("Recorded, and tolerance", "录制值与容差"),
    "verdict": Bilingual("Verdict", "结论"),
    "what": Bilingual("What was replayed", "重放内容"),
    "requests": Bilingual("Requests", "请求"),
    "masked": Bilingual("Pieces of personal data masked in it", "其中脱敏的个人信息"),
    "experiment": Bilingual("Experiment", "实验"),
    "none": Bilingual("No replay could be compared: its fault was not made.", "没有可比较的重放：故障未能制造。"),
}
VERDICTS = {
    ReplayVerdict.SAME: Bilingual("the same", "一致"),
    ReplayVerdict.DIFFERS: Bilingual("differs", "不一致"),
    ReplayVerdict.NOT_COMPARABLE: Bilingual("not comparable: the schedule was not kept", "不可比较：未能按计划发送"),
}
COMPARED = {
    "schedule": Bilingual("Delay of the client, 99th percentile", "客户端延迟（p99）"),
    "arrivals": Bilingual("Requests that arrived", "到达的请求数"),
    "fault_window": Bilingual("Fault, begin and end", "故障起止"),
    "steps": Bilingual("Rungs in order", "依次所在的降级层"),
    "step_times": Bilingual("Steps, farthest apart", "各步时间的最大偏差"),
    "breakers": Bilingual("Breakers that opened", "断开的熔断器"),
    "alerts": Bilingual("Alerts that fired", "触发的告警"),
    "outcomes": Bilingual("Requests by outcome", "请求结果"),
    "lost": Bilingual("Requests lost", "丢失的请求"),
    "latency": Bilingual("Full answers, median time", "完整回答的耗时（中位数）"),
}
WORDS_ZH = {
    "full": "完整",
    "degraded": "降级",
    "error": "错误",
    "gone": "客户端离开",
    "none": "无",
    "at": "于",
    "to": "至",
    "not over": "未结束",
}
"""Words of a comparison's findings, which are recorded in English."""
