"""The figures of a running service for a terminal: what its gateway counted between two readings of its metrics.

They are those of the dashboard of the gateway, computed as Prometheus does.
"""

from __future__ import annotations

import http.client
import math
import re
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from practicum_cli.standing import Language, pick
from practicum_core.errors import PlatformError, Reason
from practicum_core.phases import Phase
from practicum_core.rungs import RUNG_TITLES, Rung
from practicum_core.texts import Bilingual
from practicum_core.weekjob import WeekJobStatus

_TIMEOUT_S = 5.0
_MAX_PAGE_BYTES = 8 << 20
_PREFIX = "practicum_gateway_"
_LINE = re.compile(r"^([a-z_:][\w:]*)(\{[^}]*\})? (\S+)$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_TITLE = Bilingual("{step}, over {seconds:.0f} s", "{step}，{seconds:.0f} 秒内")
_SILENT = Bilingual("{step}: {url} does not answer", "{step}：{url} 没有响应")
_NAMES = {
    "requests_per_s": Bilingual("requests per second", "每秒请求"),
    "failed_share": Bilingual("failed", "失败比例"),
    "p95_s": Bilingual("whole answers, p95", "完整回答 p95"),
    "first_byte_p95_s": Bilingual("first byte of streams, p95", "流式首字节 p95"),
    "queue_p95_s": Bilingual("wait for a place, p95", "排队 p95"),
    "now": Bilingual("at the engines, in the queue, held", "处理中、排队、等待引擎"),
    "rung": Bilingual("rung", "降级层"),
    "engines": Bilingual("engines ready, left out by breakers", "就绪引擎、熔断排除"),
    "tokens_per_s": Bilingual("tokens per second", "每秒词元"),
}
_PINNED = Bilingual(" (pinned)", "（已固定）")
_NO_LADDER = Bilingual("the ladder is off", "未启用降级")
Samples = Mapping[tuple[str, tuple[tuple[str, str], ...]], float]


@dataclass(frozen=True)
class Figures:
    """What a gateway did in a span of time. Shares and quantiles are ``None`` where there was no request.

    Attributes:
        seconds: The span.
        requests_per_s: That ended.
        failed_share: Of those, with a status of 500 or more.
        p95_s: From arrival to the end of the answer; 95 of 100 took less.
        first_byte_p95_s: Of streamed answers.
        queue_p95_s: Of the waits for a place at the engines.
        num_open: Requests at the engines now.
        num_waiting: In the queue now.
        num_held: That wait for a first engine now.
        rung: Of the ladder now; empty where it is off.
        is_pinned: Whether a person or a check chose it.
        num_engines: That are ready now.
        num_left_out: That breakers leave out now.
        tokens_per_s: Prompt and generated tokens.
    """

    seconds: float
    requests_per_s: float
    failed_share: float | None
    p95_s: float | None
    first_byte_p95_s: float | None
    queue_p95_s: float | None
    num_open: int
    num_waiting: int
    num_held: int
    rung: str
    is_pinned: bool
    num_engines: int
    num_left_out: int
    tokens_per_s: float


def read_samples(page: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    r"""Read Prometheus' text format.

    >>> read_samples('# HELP a b\na_total{x="1",y="b c"} 2.0\n')
    {('a_total', (('x', '1'), ('y', 'b c'))): 2.0}
    """
    return {(name, tuple(sorted(_LABEL.findall(labels)))): float(value) for name, labels, value in _LINE.findall(page)}


def compute_figures(before: Samples, after: Samples, seconds: float) -> Figures:
    """Compute the figures of the time between two readings."""
    grown = {key: value - before.get(key, 0.0) for key, value in after.items()}
    finished = _sum(grown, "finished_requests_total")
    failed = _sum(grown, "finished_requests_total", outcome="failed")
    depth = after.get((f"{_PREFIX}ladder_rung", ()))
    return Figures(
        seconds=seconds,
        requests_per_s=finished / seconds,
        failed_share=failed / finished if finished else None,
        p95_s=compute_quantile(0.95, _list_buckets(grown, "request_seconds")),
        first_byte_p95_s=compute_quantile(0.95, _list_buckets(grown, "first_byte_seconds")),
        queue_p95_s=compute_quantile(0.95, _list_buckets(grown, "queue_seconds")),
        num_open=int(_sum(after, "open_requests")),
        num_waiting=int(_sum(after, "waiting_requests")),
        num_held=int(_sum(after, "held_requests")),
        rung="" if depth is None else tuple(Rung)[int(depth)].value,
        is_pinned=bool(_sum(after, "ladder_pinned")),
        num_engines=int(_sum(after, "upstream_ready")),
        num_left_out=int(_sum(after, "upstreams_left_out")),
        tokens_per_s=_sum(grown, "tokens_total") / seconds,
    )


def _sum(samples: Samples, name: str, **labels: str) -> float:
    wanted = set(labels.items())
    return sum(value for (found, own), value in samples.items() if found == _PREFIX + name and wanted <= set(own))


def _list_buckets(samples: Samples, name: str) -> list[tuple[float, float]]:
    found = f"{_PREFIX}{name}_bucket"
    return sorted((float(dict(own)["le"]), value) for (one, own), value in samples.items() if one == found)


def compute_quantile(share: float, buckets: Sequence[tuple[float, float]]) -> float | None:
    """Compute a quantile as Prometheus' ``histogram_quantile`` does; ``None`` where nothing was counted.

    Args:
        share: Of the values.
        buckets: Upper bound and number of values up to it, in order.

    >>> compute_quantile(0.5, [(1.0, 0), (2.0, 4), (math.inf, 4)])
    1.5
    >>> compute_quantile(0.99, [(1.0, 1), (math.inf, 2)])
    1.0
    """
    total = buckets[-1][1] if buckets else 0
    if not total:
        return None
    rank, low, below = share * total, 0.0, 0.0
    for bound, count in buckets:
        if count >= rank:
            # Of values above the last bound nothing is known but that.
            return low if math.isinf(bound) else low + (bound - low) * (rank - below) / (count - below)
        low, below = bound, count
    return low


def measure_services(
    status: WeekJobStatus, seconds: float, sleep: Callable[[float], None] = time.sleep
) -> dict[str, Figures]:
    """Measure the gateways of a run on this machine, by the steps that they are.

    Args:
        status: Of the run.
        seconds: How long.
        sleep: Waits.

    Raises:
        PlatformError: The run serves nothing now.
    """
    serving = {one.name: one.endpoint for one in status.stages if one.phase is Phase.SERVING and one.endpoint}
    first = {name: page for name, url in serving.items() if (page := _read_page(url)) is not None}
    if not first:
        told = "; ".join(_SILENT.format(step=name, url=url).en for name, url in serving.items())
        raise PlatformError(
            Reason.UPSTREAM_UNAVAILABLE,
            told or "the run has no gateway that answers requests now",
            "start one: practicum serve MODEL, or look while the gateway of week 7 or 8 runs",
        )
    started_s = time.monotonic()
    sleep(seconds)
    second = {name: _read_page(serving[name]) for name in first}
    elapsed_s = time.monotonic() - started_s
    return {name: compute_figures(first[name], page, elapsed_s) for name, page in second.items() if page is not None}


def _read_page(url: str) -> Samples | None:
    """Read the metrics of a server; ``None`` where it does not answer or is no gateway."""
    try:
        with urllib.request.urlopen(f"{url}/metrics", timeout=_TIMEOUT_S) as answer:  # noqa: S310 - by the executor
            samples = read_samples(answer.read(_MAX_PAGE_BYTES).decode(errors="replace"))
    except (OSError, http.client.HTTPException):
        return None
    return samples if any(name.startswith(_PREFIX) for name, _ in samples) else None


def describe_figures(step: str, figures: Figures, language: Language = "en") -> str:
    """Describe the figures of one gateway."""
    rung = pick(RUNG_TITLES[Rung(figures.rung)], language) if figures.rung else pick(_NO_LADDER, language)
    rung += pick(_PINNED, language) if figures.is_pinned else ""
    shown = {
        "requests_per_s": f"{figures.requests_per_s:.2f}",
        "failed_share": _show(figures.failed_share, "{:.1%}"),
        "p95_s": _show(figures.p95_s, "{:.3f} s"),
        "first_byte_p95_s": _show(figures.first_byte_p95_s, "{:.3f} s"),
        "queue_p95_s": _show(figures.queue_p95_s, "{:.3f} s"),
        "now": f"{figures.num_open}, {figures.num_waiting}, {figures.num_held}",
        "rung": rung,
        "engines": f"{figures.num_engines}, {figures.num_left_out}",
        "tokens_per_s": f"{figures.tokens_per_s:.1f}",
    }
    title = pick(_TITLE, language).format(step=step, seconds=figures.seconds)
    return "\n".join([f"{title}:", *(f"  {pick(_NAMES[name], language)}: {text}" for name, text in shown.items())])


def list_figures(measured: Mapping[str, Figures]) -> dict[str, Any]:
    """Return the figures by step, for machines."""
    return {step: asdict(figures) for step, figures in measured.items()}


def _show(value: float | None, pattern: str) -> str:
    return "–" if value is None else pattern.format(value)
