"""Sentences and labels of the section of load tests, in English and Chinese."""

from __future__ import annotations

from practicum_core.stages.load_results import BottleneckName
from practicum_core.texts import Bilingual as B  # noqa: N817 - a short name keeps the texts readable
from practicum_jobs.render.charts import Tone

BOTTLENECKS: dict[BottleneckName, tuple[B, B]] = {
    BottleneckName.NONE: (
        B("No bottleneck was reached", "未触及瓶颈"),
        B(
            "Every rate met the SLO. Send higher rates (loadtest.rates) to find the limit.",
            "所有速率均达到 SLO。请提高速率（loadtest.rates）以找出上限。",
        ),
    ),
    BottleneckName.UNKNOWN: (
        B("The bottleneck is not known", "瓶颈未知"),
        B(
            "No metric shows it. Name the engine's address (loadtest.engine_url), so that its metrics are read too.",
            "没有指标能说明。请填写引擎地址（loadtest.engine_url）以便读取其指标。",
        ),
    ),
    BottleneckName.CLIENT: (
        B("First bottleneck: the load generator itself", "最先的瓶颈：负载发生器自身"),
        B(
            "These figures say nothing of the server. Use more client processes, or another machine for them.",
            "这些数字不能说明服务端。请增加客户端进程，或在另一台机器上运行客户端。",
        ),
    ),
    BottleneckName.RATE_LIMIT: (
        B("First bottleneck: the limit of the key", "最先的瓶颈：密钥限额"),
        B(
            "The server had room. Raise the key's limit, or keep it and let clients wait as Retry-After says.",
            "服务端仍有余量。可提高密钥限额，或保留限额并让客户端按 Retry-After 等待。",
        ),
    ),
    BottleneckName.GATEWAY_QUEUE: (
        B("First bottleneck: the gateway's queue", "最先的瓶颈：网关队列"),
        B(
            "The gateway holds requests back while the engine has room. Look at its concurrency limit.",
            "引擎仍有余量，而网关在排队。请检查网关的并发上限。",
        ),
    ),
    BottleneckName.ENGINE_QUEUE: (
        B("First bottleneck: the engine's queue", "最先的瓶颈：引擎队列"),
        B(
            "All places of the engine are taken. More places (serve.max_num_seqs) help while tokens per second still "
            "rise with them; after that, only another replica or a faster model does.",
            "引擎的并发位已占满。只要吞吐仍随并发上升，增加 serve.max_num_seqs 就有用；"
            "否则只能增加副本或换更快的模型。",
        ),
    ),
    BottleneckName.KV_CACHE: (
        B("First bottleneck: the KV cache", "最先的瓶颈：KV 缓存"),
        B(
            "Give it more memory (serve.kv_cache_gib), shorten prompts or answers, or allow fewer requests at a time: "
            "a request whose cache is taken away is computed again.",
            "可增大缓存（serve.kv_cache_gib）、缩短提示词或回答，或减少并发：被收回缓存的请求需要重新计算。",
        ),
    ),
    BottleneckName.PREFILL: (
        B("First bottleneck: computing the prompts (prefill)", "最先的瓶颈：提示词计算（prefill）"),
        B(
            "Shorter prompts, prefix caching for what prompts share, or more computing power help.",
            "可缩短提示词、对公共前缀启用前缀缓存，或增加算力。",
        ),
    ),
    BottleneckName.DECODE: (
        B("First bottleneck: computing the answers (decode)", "最先的瓶颈：回答生成（decode）"),
        B(
            "A smaller or quantized model, or fewer requests at the same time, make each token faster.",
            "更小或量化的模型，或更低的并发，可加快每个词元。",
        ),
    ),
    BottleneckName.CPU_QUOTA: (
        B("First bottleneck: the CPU quota of the server", "最先的瓶颈：服务端的 CPU 配额"),
        B(
            "The processor was taken away in the middle of the work. Raise the CPU limit, or use as many threads as it "
            "allows.",
            "计算过程中 CPU 被收回。请提高 CPU 上限，或让线程数与配额一致。",
        ),
    ),
}
SHORT_NAMES: dict[BottleneckName, B] = {
    BottleneckName.CLIENT: B("the load generator", "负载发生器"),
    BottleneckName.RATE_LIMIT: B("the limit of the key", "密钥限额"),
    BottleneckName.GATEWAY_QUEUE: B("the gateway's queue", "网关队列"),
    BottleneckName.ENGINE_QUEUE: B("the engine's queue", "引擎队列"),
    BottleneckName.KV_CACHE: B("the KV cache", "KV 缓存"),
    BottleneckName.PREFILL: B("prefill", "prefill"),
    BottleneckName.DECODE: B("decode", "decode"),
    BottleneckName.CPU_QUOTA: B("the CPU quota", "CPU 配额"),
}
AT_RATE = B("seen at {rate} requests/s", "出现在每秒 {rate} 个请求时")
ALSO = B(
    "Also seen at that rate, and perhaps only a consequence: {names}.", "同一速率下还出现（可能只是其后果）：{names}。"
)

KNEE = {
    "bracketed": B(
        "The knee is at {rate} requests/s: the highest rate that met the SLO, below one that did not.",
        "拐点为每秒 {rate} 个请求：达到 SLO 的最高速率，再高一档即未达到。",
    ),
    "none_failed": B(
        "The knee is above {rate} requests/s: every rate met the SLO.",
        "拐点高于每秒 {rate} 个请求：所有速率均达到 SLO。",
    ),
    "none_held": B("No rate met the SLO: the knee is below the lowest one.", "没有速率达到 SLO：拐点低于最低速率。"),
    "unsure": B(
        "With so few requests, only this is sure: up to {low}/s it is met, from {high}/s on it is not.",
        "由于请求数有限，能确定的只有：不高于每秒 {low} 个时达到，不低于每秒 {high} 个时未达到。",
    ),
    "unsure_below": B(
        "With so few requests, only this is sure: from {high}/s on it is not met.",
        "由于请求数有限，能确定的只有：不低于每秒 {high} 个时未达到。",
    ),
    "unsure_above": B(
        "With so few requests, only this is sure: up to {low}/s it is met.",
        "由于请求数有限，能确定的只有：不高于每秒 {low} 个时达到。",
    ),
    "unsure_all": B("With so few requests, none of this is sure.", "由于请求数有限，以上均不能确定。"),
}
SLO = B(
    "SLO: {limits}, for {share} of the requests that were sent; failed ones count against it.",
    "SLO：已发送的请求中应有 {share} 满足：{limits}；失败的请求计为不满足。",
)
ASKED = B("The model asked for was {name}.", "所请求的模型为 {name}。")
SERVED = B(
    "The model asked for was {name}: {uri}, answered by {engine} in {dtype}.",
    "所请求的模型为 {name}：{uri}，由 {engine} 以 {dtype} 回答。",
)
ADAPTER = B(
    "The model asked for was {name}: an adapter of {uri}, answered by {engine} in {dtype}.",
    "所请求的模型为 {name}：{uri} 的适配器，由 {engine} 以 {dtype} 回答。",
)
ENGINES = {"vllm": "vLLM", "llama_cpp": "llama.cpp"}
LIMITS = {
    "ttft_s": B("first token within {limit}", "首个词元 ≤ {limit}"),
    "tpot_s": B("each further token within {limit}", "其后每词元 ≤ {limit}"),
    "e2e_s": B("end of the answer within {limit}", "回答结束 ≤ {limit}"),
}

COLUMNS = {
    "rate": B("Sent/s", "发送/秒"),
    "reached": B("Answered/s", "完成/秒"),
    "good": B("Within the SLO", "达到 SLO"),
    "failed": B("Failed", "失败"),
    "tokens": B("Tokens/s", "词元/秒"),
    "p50": B("First token p50", "首词元 p50"),
    "p95": B("p95", "p95"),
    "p99": B("p99", "p99"),
    "tpot": B("Per token p95", "每词元 p95"),
    "e2e": B("Answer p95", "回答 p95"),
}
LEVELS = B("What each rate gave", "各速率的结果")
LATENCIES = B("Latencies from the time at which a request was due", "自应发时刻起的时延")
DIFFERENCES = {
    "caption": B("Against the earlier test: this one minus that one", "与先前测试的比较：本次减先前"),
    "rate": B("Sent/s", "发送/秒"),
    "figure": B("Latency", "时延"),
    "base": B("Earlier", "先前"),
    "candidate": B("Now", "本次"),
    "difference": B("Difference", "差值"),
    "verdict": B("Verdict", "结论"),
    "paired": B("same requests", "相同请求"),
    "unpaired": B("other requests", "不同请求"),
    "ttft": B("first token", "首词元"),
    "e2e": B("whole answer", "完整回答"),
}
VERDICTS: dict[str, tuple[B, Tone]] = {
    "faster": (B("faster", "更快"), "good"),
    "slower": (B("slower", "更慢"), "bad"),
    "unclear": (B("not told apart", "无法区分"), "plain"),
    "too_few": (B("too few requests", "请求数不足"), "warn"),
}
REFUSED = B("refused", "不予采用")
AT_LEAST = B("{low} or more", "≥ {low}")
PROOFS = {
    "caption": B("The metrics that prove it", "作为依据的指标"),
    "text": B("What was measured", "测得的情况"),
    "metric": B("Metric", "指标"),
    "value": B("Value", "数值"),
    "limit": B("Limit", "界限"),
}
CHARTS = {
    "throughput": B("Throughput and goodput against load", "吞吐与有效吞吐随负载的变化"),
    "throughput_reading": B(
        "Below the knee both lines rise with the load. Where goodput falls away, answers still come, but too late.",
        "拐点以下两条线随负载上升；有效吞吐下降处，回答虽仍返回，但已超时。",
    ),
    "answered": B("answered", "完成"),
    "good": B("within the SLO", "达到 SLO"),
    "x_rate": B("requests sent per second", "每秒发送请求数"),
    "y_rate": B("requests/s", "请求/秒"),
    "knee": B("knee", "拐点"),
    "latency": B("Time to first token against load", "首词元时延随负载的变化"),
    "latency_reading": B(
        "Queues make the upper percentiles rise first: the median still looks well when one user of 20 waits.",
        "排队首先推高高分位：当二十分之一的用户在等待时，中位数看上去仍然正常。",
    ),
    "y_seconds": B("seconds", "秒"),
    "distribution": B("Time to first token at {rate} requests/s", "每秒 {rate} 个请求时的首词元时延"),
    "distribution_reading": B(
        "{name}. The longest 1% are drawn in the last bar.", "{name}。最长的 1% 合并在最后一条中。"
    ),
    "at_knee": B("The highest rate that met the SLO", "达到 SLO 的最高速率"),
    "above_knee": B("The lowest rate that did not meet the SLO", "未达到 SLO 的最低速率"),
    "x_ttft": B("seconds to the first token", "至首个词元的秒数"),
    "y_count": B("requests", "请求数"),
    "slo": B("SLO", "SLO"),
    "timeline": B("Requests in the engine and in queues over time", "引擎与队列中的请求数随时间的变化"),
    "timeline_reading": B(
        "A queue that grows while a rate lasts shows a load that the server cannot bear; below the knee it stays "
        "short.",
        "若队列在某一速率下持续增长，说明负载超出服务能力；拐点以下队列很短。",
    ),
    "running": B("computed", "计算中"),
    "waiting": B("engine queue", "引擎队列"),
    "gateway_waiting": B("gateway queue", "网关队列"),
    "x_time": B("seconds from the start", "自开始的秒数"),
    "engines": B("Replicas of the engine over time", "引擎副本数随时间的变化"),
    "engines_reading": B("Replicas that answered when their metrics were read.", "读取指标时有应答的副本数。"),
    "replicas": B("replicas", "副本"),
}
