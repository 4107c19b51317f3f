"""Texts of the section about one traced request, in both languages."""

from __future__ import annotations

from practicum_core import trace_names
from practicum_core.stages.traces import Place
from practicum_core.texts import Bilingual

TRACE = {
    "title": Bilingual("One request from client to engine", "一次请求：从客户端到推理引擎"),
    "reading": Bilingual(
        "Each bar is a span of time on one axis, from the moment in which the client sent the request. Client, gateway "
        "and engine each wrote their own spans; the id of the trace, which each passes on to the next, joins them. "
        "Lines of the logs have the same id.",
        "每一条表示同一时间轴上的一段耗时，从客户端发出请求时算起。客户端、网关与推理引擎各自记录，"
        "由逐级传递的追踪 ID 拼接；日志中使用同一个 ID。",
    ),
    "chart": Bilingual("Trace {id}, status {status}", "追踪 {id}，状态码 {status}"),
    "degraded": Bilingual("Answered by the rung “{rung}”, because {reason}.", "由降级层“{rung}”回答，原因：{reason}。"),
    "full": Bilingual(
        "No traced request was degraded; this one was answered in full.", "没有被追踪的降级请求；此请求得到完整回答。"
    ),
    "no_engine": Bilingual(
        "The trace has no span of the engine's own: the request never reached it, or the engine writes none.",
        "此追踪中没有推理引擎自身的记录：请求未到达引擎，或引擎不记录追踪。",
    ),
    "events": Bilingual("What happened meanwhile", "期间发生的事件"),
    "at": Bilingual("Milliseconds", "毫秒"),
    "place": Bilingual("Seen by", "记录者"),
    "event": Bilingual("Event", "事件"),
    "detail": Bilingual("Detail", "详情"),
    "because": Bilingual("{path}, because {reason}", "{path}，原因：{reason}"),
    "attributes": Bilingual("What the spans say of themselves", "各段记录的属性"),
    "span": Bilingual("Span", "记录"),
    "name": Bilingual("Attribute", "属性"),
    "value": Bilingual("Value", "值"),
    "nothing": Bilingual("No step of this run wrote a trace.", "本次运行没有任何步骤写入追踪。"),
}
PLACES = {
    Place.CLIENT: Bilingual("the client", "客户端"),
    Place.GATEWAY: Bilingual("the gateway", "网关"),
    Place.ENGINE: Bilingual("the engine", "推理引擎"),
}
LANES = {
    "client": Bilingual("client: sent to last byte", "客户端：发出到收完"),
    trace_names.QUEUE_SPAN: Bilingual("gateway: waits for its turn", "网关：排队"),
    trace_names.HOLD_SPAN: Bilingual("gateway: held for a first engine", "网关：等待首个引擎"),
    trace_names.ENGINE_SPAN: Bilingual("engine: whole request", "引擎：整个请求"),
    "queue": Bilingual("engine: waits", "引擎：排队"),
    "prefill": Bilingual("engine: reads the prompt", "引擎：预填充"),
    "decode": Bilingual("engine: writes the answer", "引擎：解码"),
}
"""Names of spans that are the same in all traces."""
WHOLE = Bilingual("gateway: {name}", "网关：{name}")
TRY = Bilingual("gateway: try {number} at an engine", "网关：第 {number} 次请求引擎")
FAILED = Bilingual("{label} ({error})", "{label}（{error}）")
EVENTS = {
    trace_names.FIRST_TOKEN_EVENT: Bilingual("first token", "首个词元"),
    trace_names.STEP_EVENT: Bilingual("step of the ladder", "降级变化"),
    trace_names.DEGRADED_EVENT: Bilingual("a lower rung answers", "由降级层回答"),
}
