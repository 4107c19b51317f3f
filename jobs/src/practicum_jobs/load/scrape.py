"""What servers and this machine say of themselves while a load test runs, read once a second."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import psutil

from practicum_core.stages.load_results import HTTP_OK, ServerMetrics

_PERIOD_S = 1.0
_TIMEOUT_S = 2.0
_MAX_PAGE_BYTES = 8 << 20
_LINE = re.compile(r"^([A-Za-z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)(?:\s+\d+)?$")
_LABEL = re.compile(r'([A-Za-z_]\w*)="((?:[^"\\]|\\.)*)"')
_LEFT_OUT = frozenset({"model_name", "engine"})
"""Labels that are the same in all series of an engine."""
_SKIPPED = ("_bucket", "_created")
_ENGINES = ("vllm:", "llamacpp:")
_GATEWAY = "practicum_gateway_"
_CGROUP = Path("/sys/fs/cgroup")
_OF_GROUP = {"nr_periods": "practicum_cpu_periods_total", "nr_throttled": "practicum_cpu_throttled_periods_total"}


def parse_metrics(page: str) -> dict[str, float]:
    r"""Read Prometheus' text format into numbers by name.

    Buckets of histograms are left out; series that differ only in the names of model and engine are added up.

    >>> parse_metrics('# TYPE a gauge\na{model_name="m",engine="0"} 2\nb_total{status="200"} 3\nb_bucket{le="1"} 4')
    {'a': 2.0, 'b_total{status=200}': 3.0}
    """
    values: dict[str, float] = {}
    for line in page.splitlines():
        found = _LINE.match(line)
        if found is None or found[1].endswith(_SKIPPED):
            continue
        try:
            value = float(found[3])
        except ValueError:
            continue
        if not abs(value) < float("inf"):  # NaN too: JSON has none of them
            continue
        labels = [(name, text) for name, text in _LABEL.findall(found[2] or "") if name not in _LEFT_OUT]
        shown = "{" + ",".join(f"{name}={text}" for name, text in labels) + "}" if labels else ""
        values[found[1] + shown] = values.get(found[1] + shown, 0.0) + value
    return values


def find_sources(url: str, page: str) -> list[str]:
    """Name what a page of metrics is of: a gateway, an engine, or nothing known.

    >>> find_sources("http://127.0.0.1:8000", "vllm:num_requests_running 1")
    ['engine:127.0.0.1:8000']
    """
    if _GATEWAY in page:
        return ["gateway"]
    return [f"engine:{urlsplit(url).netloc}"] if any(one in page for one in _ENGINES) else []


def read_processors() -> dict[str, float]:
    """Return the share of this machine's processors that is busy, and how this process's group was throttled."""
    values = {"busy_share": psutil.cpu_percent() / 100, "num_cpus": float(psutil.cpu_count() or 1)}
    with contextlib.suppress(OSError, ValueError, IndexError):
        group = Path("/proc/self/cgroup").read_text(encoding="utf-8").rpartition("::")[2].strip()
        text = (_CGROUP / group.lstrip("/") / "cpu.stat").read_text(encoding="utf-8")
        found = dict(line.split() for line in text.splitlines())
        values |= {name: float(found[key]) for key, name in _OF_GROUP.items() if key in found}
    with contextlib.suppress(OSError, ValueError, IndexError):
        some = Path("/proc/pressure/cpu").read_text(encoding="utf-8").split("avg10=")[1].split()[0]
        values["pressure_share"] = float(some) / 100
    return values


@dataclass(frozen=True)
class Page:
    """Where a page of metrics is, and the bearer token to read it with; empty for none."""

    url: str
    key: str = ""

    def __repr__(self) -> str:
        """Leave out the key: a trace may show this object."""
        return f"Page({self.url!r})"


async def watch(pages: Sequence[Page], zero_s: float, add: Callable[[ServerMetrics], None]) -> None:
    """Read the pages of metrics and this machine's processors once a second, until cancelled.

    A page that does not answer is left out in that second.

    Args:
        pages: Addresses of servers, without ``/metrics``.
        zero_s: Start of the test on the monotonic clock.
        add: Takes what was read.
    """
    timeout = aiohttp.ClientTimeout(total=_TIMEOUT_S)
    read_processors()  # the first call only starts the measurement
    async with aiohttp.ClientSession(timeout=timeout, trust_env=False) as session:
        due_s = time.monotonic()
        while True:
            await asyncio.gather(*(_read_page(session, page, zero_s, add) for page in pages))
            values = read_processors()
            add(ServerMetrics(at_s=round(time.monotonic() - zero_s, 3), source="cpu", values=values))
            due_s = max(due_s + _PERIOD_S, time.monotonic())
            await asyncio.sleep(due_s - time.monotonic())


async def _read_page(
    session: aiohttp.ClientSession, page: Page, zero_s: float, add: Callable[[ServerMetrics], None]
) -> None:
    headers = {"Authorization": f"Bearer {page.key}"} if page.key else {}
    url = f"{page.url}/metrics"
    try:
        async with session.get(url, headers=headers, allow_redirects=False) as answer:
            if answer.status != HTTP_OK:
                return
            text = (await answer.content.read(_MAX_PAGE_BYTES)).decode(errors="replace")
    except (aiohttp.ClientError, OSError):
        return
    at_s = round(time.monotonic() - zero_s, 3)
    values = parse_metrics(text)
    for source in find_sources(page.url, text):
        add(ServerMetrics(at_s=at_s, source=source, values=values))
