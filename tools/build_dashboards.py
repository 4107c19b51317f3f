"""Writes Grafana's dashboards into the chart, from a table of panels. A test fails when the files differ.

A panel is a title in both languages, a unit of Grafana's, and queries with the legends of their lines.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "charts" / "practicum" / "files" / "dashboards"
_WIDTH, _HEIGHT, _PER_ROW = 8, 7, 3
_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
_NS = 'namespace=~"$namespace"'
_RATE = "$__rate_interval"


class Panel(NamedTuple):
    """One panel; ``queries`` are expressions with the legends of their lines."""

    title: str
    unit: str
    queries: tuple[tuple[str, str], ...]
    is_stacked: bool = False


class Dashboard(NamedTuple):
    """One dashboard; ``variable`` is the expression whose label ``namespace`` is chosen from, empty for none."""

    name: str
    title: str
    variable: str
    panels: tuple[Panel, ...]


def _rate(metric: str, by: str = "", extra: str = "") -> str:
    grouped = f" by ({by})" if by else ""
    return f"sum{grouped} (rate({metric}{{{_NS}{extra}}}[{_RATE}]))"


def _quantile(share: float, metric: str) -> tuple[str, str]:
    buckets = _rate(f"{metric}_bucket", "le")
    return f"histogram_quantile({share}, {buckets})", f"p{share * 100:.0f}"


def _mean(metric: str) -> str:
    return f"{_rate(f'{metric}_sum')} / {_rate(f'{metric}_count')}"


def _quantiles(metric: str) -> tuple[tuple[str, str], ...]:
    return tuple(_quantile(share, metric) for share in (0.5, 0.95, 0.99))


_G = "practicum_gateway"
GATEWAY = Dashboard(
    "gateway",
    "Practicum: gateway and ladder · 网关与降级",
    f"{_G}_open_requests",
    (
        Panel(
            "Requests by outcome · 请求结果",
            "reqps",
            ((_rate(f"{_G}_finished_requests_total", "outcome"), "{{outcome}}"),),
            is_stacked=True,
        ),
        Panel(
            "Failed share, by window · 失败比例（各时间窗）",
            "percentunit",
            tuple(
                (f"practicum:failed_requests:ratio_rate{window}{{{_NS}}}", window)
                for window in ("5m", "30m", "1h", "6h")
            ),
        ),
        Panel(
            "Answers by status · 状态码",
            "reqps",
            ((_rate(f"{_G}_requests_total", "path, status"), "{{path}} {{status}}"),),
        ),
        Panel("Whole answers · 完整回答耗时", "s", _quantiles(f"{_G}_request_seconds")),
        Panel("First byte of streams · 流式首字节", "s", _quantiles(f"{_G}_first_byte_seconds")),
        Panel("Wait for a place at the engines · 排队时间", "s", _quantiles(f"{_G}_queue_seconds")),
        Panel(
            "Requests now · 当前请求",
            "short",
            tuple(
                (f"sum ({_G}_{name}{{{_NS}}})", text)
                for name, text in (
                    ("open_requests", "at the engines"),
                    ("waiting_requests", "in the queue"),
                    ("held_requests", "held for a first engine"),
                    ("concurrency_limit", "limit"),
                )
            ),
        ),
        Panel(
            "Rung, 0 is the full answer · 降级深度（0 为完整回答）",
            "short",
            ((f"max by (namespace) ({_G}_ladder_rung{{{_NS}}})", "{{namespace}}"),),
        ),
        Panel(
            "Steps of the ladder · 降级变化",
            "short",
            (
                (
                    f"sum by (after, reason) (increase({_G}_ladder_steps_total{{{_NS}}}[{_RATE}]))",
                    "to {{after}}: {{reason}}",
                ),
            ),
        ),
        Panel(
            "Answers of lower rungs · 降级回答",
            "reqps",
            ((_rate(f"{_G}_ladder_answers_total", "rung"), "{{rung}}"),),
            is_stacked=True,
        ),
        Panel(
            "What the ladder looks at · 降级信号",
            "short",
            ((f"max by (signal) ({_G}_ladder_signal{{{_NS}}})", "{{signal}}"),),
        ),
        Panel(
            "Engines · 推理引擎",
            "short",
            (
                (f"sum by (upstream) ({_G}_upstream_ready{{{_NS}}})", "{{upstream}} ready"),
                (f"sum ({_G}_upstreams_left_out{{{_NS}}})", "left out by breakers"),
            ),
        ),
        Panel(
            "Requests to engines · 各引擎请求",
            "reqps",
            (
                (_rate(f"{_G}_upstream_requests_total", "upstream"), "{{upstream}}"),
                (_rate(f"{_G}_retries_total"), "tried again"),
            ),
        ),
        Panel("Tokens · 词元", "short", ((_rate(f"{_G}_tokens_total", "kind"), "{{kind}}"),), is_stacked=True),
    ),
)
ENGINE = Dashboard(
    "engine",
    "Practicum: engines · 推理引擎",
    "vllm:num_requests_running",
    (
        Panel(
            "Requests · 请求",
            "short",
            (
                (f"sum (vllm:num_requests_running{{{_NS}}})", "running"),
                (f"sum (vllm:num_requests_waiting{{{_NS}}})", "waiting"),
                (f"sum (practicum_engine_max_num_seqs{{{_NS}}})", "limit"),
            ),
        ),
        Panel(
            "Waiting by reason · 等待原因",
            "short",
            ((f"sum by (reason) (vllm:num_requests_waiting_by_reason{{{_NS}}})", "{{reason}}"),),
            is_stacked=True,
        ),
        Panel(
            "Use of the KV cache · KV 缓存占用",
            "percentunit",
            ((f"max by (namespace) (vllm:kv_cache_usage_perc{{{_NS}}})", "{{namespace}}"),),
        ),
        Panel("Preemptions · 抢占", "short", ((_rate("vllm:num_preemptions_total"), "per second"),)),
        Panel(
            "Hits of the prefix cache · 前缀缓存命中率",
            "percentunit",
            (
                (
                    f"{_rate('vllm:prefix_cache_hits_total')} / {_rate('vllm:prefix_cache_queries_total')}",
                    "share of the tokens",
                ),
            ),
        ),
        Panel(
            "Tokens · 词元",
            "short",
            ((_rate("vllm:prompt_tokens_total"), "prompt"), (_rate("vllm:generation_tokens_total"), "generated")),
        ),
        Panel("First token · 首个词元", "s", _quantiles("vllm:time_to_first_token_seconds")),
        Panel("Between two tokens · 词元间隔", "s", _quantiles("vllm:inter_token_latency_seconds")),
        Panel(
            "Where the time goes, means · 平均耗时构成",
            "s",
            tuple((_mean(f"vllm:request_{part}_time_seconds"), part) for part in ("queue", "prefill", "decode")),
            is_stacked=True,
        ),
        Panel(
            "Tokens in a step of the engine · 每步词元数",
            "short",
            (_quantile(0.5, "vllm:iteration_tokens_total"), _quantile(0.95, "vllm:iteration_tokens_total")),
        ),
        Panel(
            "Ends by reason · 结束原因",
            "reqps",
            ((_rate("vllm:request_success_total", "finished_reason"), "{{finished_reason}}"),),
            is_stacked=True,
        ),
        Panel("Whole requests · 完整请求耗时", "s", _quantiles("vllm:e2e_request_latency_seconds")),
    ),
)
_RECONCILED = "sum by (le) (rate(practicum_reconcile_seconds_bucket[$__rate_interval]))"
CLASS = Dashboard(
    "class",
    "Practicum: class and controller · 班级与控制器",
    "",
    (
        Panel(
            "Week jobs by phase · 作业阶段",
            "short",
            (("sum by (phase) (practicum_week_jobs)", "{{phase}}"),),
            is_stacked=True,
        ),
        Panel(
            "Wait for admission · 排队到准入",
            "s",
            (
                ("histogram_quantile(0.5, sum by (le) (rate(practicum_queue_wait_seconds_bucket[1h])))", "p50"),
                ("histogram_quantile(0.95, sum by (le) (rate(practicum_queue_wait_seconds_bucket[1h])))", "p95"),
            ),
        ),
        Panel(
            "GPU hours by student · 各学生 GPU 小时",
            "h",
            (("topk(20, sum by (student) (practicum_gpu_hours))", "{{student}}"),),
        ),
        Panel(
            "Progress · 进度", "percentunit", (("topk(20, practicum_progress_ratio)", "{{namespace}} {{week_job}}"),)
        ),
        Panel(
            "One reconciliation · 单次调和耗时",
            "s",
            (
                (
                    f"histogram_quantile(0.5, {_RECONCILED})",
                    "p50",
                ),
                (
                    f"histogram_quantile(0.99, {_RECONCILED})",
                    "p99",
                ),
            ),
        ),
        Panel(
            "Reconciliations that failed · 调和失败",
            "short",
            (("sum by (reason) (increase(practicum_reconcile_faults_total[5m]))", "{{reason}}"),),
        ),
        Panel(
            "Week jobs that wait for a look · 待处理作业",
            "short",
            (("max(practicum_work_queue_length)", "in the queue"),),
        ),
        Panel("Replicas that work · 工作中的副本", "short", (("sum(practicum_is_leader)", "leaders"),)),
        Panel(
            "Reports of steps · 步骤上报",
            "reqps",
            (("sum by (status) (rate(practicum_reports_total[$__rate_interval]))", "{{status}}"),),
        ),
    ),
)
DASHBOARDS = (GATEWAY, ENGINE, CLASS)


def build_files() -> dict[str, str]:
    """Return the text of every generated file by its path in the repository."""
    return {str((FOLDER / f"{one.name}.json").relative_to(ROOT)): build_dashboard(one) for one in DASHBOARDS}


def build_dashboard(dashboard: Dashboard) -> str:
    """Build Grafana's JSON of a dashboard."""
    variables = [{"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Prometheus"}]
    if dashboard.variable:
        variables.append(_build_namespaces(dashboard.variable))
    document = {
        "uid": f"practicum-{dashboard.name}",
        "title": dashboard.title,
        "tags": ["practicum"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": variables},
        "panels": [_build_panel(number, one) for number, one in enumerate(dashboard.panels)],
    }
    return json.dumps(document, ensure_ascii=False, indent=1) + "\n"


def _build_namespaces(metric: str) -> dict[str, Any]:
    return {
        "name": "namespace",
        "type": "query",
        "label": "Namespace",
        "datasource": _SOURCE,
        "query": {"query": f"label_values({metric}, namespace)", "refId": "namespace"},
        "refresh": 2,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
    }


def _build_panel(number: int, panel: Panel) -> dict[str, Any]:
    place = {"x": number % _PER_ROW * _WIDTH, "y": number // _PER_ROW * _HEIGHT, "w": _WIDTH, "h": _HEIGHT}
    custom = {"fillOpacity": 20, "stacking": {"mode": "normal"}} if panel.is_stacked else {"fillOpacity": 0}
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": panel.title,
        "datasource": _SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0, "custom": custom}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
        "targets": [
            {"refId": chr(ord("A") + place), "datasource": _SOURCE, "expr": query, "legendFormat": legend}
            for place, (query, legend) in enumerate(panel.queries)
        ],
    }


def main() -> None:
    """Write every file, and remove those of dashboards that do not exist any more."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    files = build_files()
    for path in FOLDER.glob("*.json"):
        if str(path.relative_to(ROOT)) not in files:
            path.unlink()
    for name, text in files.items():
        (ROOT / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
