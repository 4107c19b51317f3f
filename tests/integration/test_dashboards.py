"""Dashboards and alerts against live series: a real Prometheus that reads a gateway, an engine and the controller."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import importlib.util
import subprocess
import time
from pathlib import Path

import openai
import pytest
import yaml
from aiohttp import web

from dashboard_queries import FILES, find_silent, list_panel_queries, list_rule_queries, read_rules
from gateway_stand import HELLO, build_stand
from practicum_controller import metrics
from prometheus_server import require_program, serve_prometheus

ROOT = Path(__file__).parents[2]
SPEC = importlib.util.spec_from_file_location("build_dashboards", ROOT / "tools" / "build_dashboards.py")
BUILD = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(BUILD)
CASES = ROOT / "tests/cases/alerts.test.yaml"
LIVE = "PracticumLadderBelowFull"
"""The alert that fires and resolves here; promtool tests the others with the times that they have."""
OPTIONS = {
    "ladder": True,
    "knowledge": "builtin:tickets",
    "ladder_up_s": 0.5,
    "ladder_settle_s": 1.0,
    "ladder_window_s": 1.0,
    "breaker_open_s": 0.5,
    "breaker_window_s": 2.0,
    "breaker_min_requests": 4,
    "probe_s": 0.3,
}


@pytest.mark.parametrize("name", sorted(BUILD.build_files()))
def test_dashboard_is_current(name):
    assert (ROOT / name).read_text(encoding="utf-8") == BUILD.build_files()[name], "run `make docs`"


def shorten_waits(folder):
    """Write the rules as they are, but for how long a condition must hold and how often it is looked at."""
    document = yaml.safe_load((FILES / "rules.yaml").read_text(encoding="utf-8"))
    for group in document["groups"]:
        group.pop("interval", None)
        for rule in group["rules"]:
            rule.pop("for", None)
    path = folder / "rules.yaml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return path


def fill_the_controllers_series():
    """Set what only a class would: a series with labels is there once it has a value."""
    metrics.set_phases({"Running": 2})
    metrics.GPU_HOURS.labels("llm-10", "student-01").set(1.5)
    metrics.set_progress({("student-01", "week-08", "availability"): 0.5})
    metrics.count_fault("test")
    metrics.REPORTS.labels("200").inc()
    metrics.IS_LEADER.set(1)


@contextlib.asynccontextmanager
async def serve_controllers_page():
    async def tell(request):
        return web.Response(body=metrics.render(), content_type="text/plain")

    app = web.Application()
    app.router.add_get("/metrics", tell)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def send_requests(stand):
    """Send requests, streamed and whole in turn, until cancelled."""
    chat, number = stand.client().chat.completions, 0
    while True:
        number += 1
        with contextlib.suppress(openai.APIStatusError):
            answer = await chat.create(model="fake", messages=HELLO, max_tokens=4, stream=number % 2 == 0)
            if number % 2 == 0:
                with contextlib.suppress(openai.APIError):
                    async for _ in answer:
                        pass
        await asyncio.sleep(0.05)


async def wait_until(holds, what, timeout_s=40.0):
    deadline_s = time.monotonic() + timeout_s
    while not await asyncio.to_thread(holds):
        assert time.monotonic() < deadline_s, what
        await asyncio.sleep(0.2)


async def watch_a_fault(folder, rules):
    """Break the engine and mend it under load; return what asks Prometheus, after all of it."""
    async with build_stand(folder, **OPTIONS) as stand, serve_controllers_page() as controller:
        targets = {
            "practicum-gateway": f"127.0.0.1:{stand.port}",
            "practicum-engine": stand.gateway.pool.upstreams[0].url.removeprefix("http://"),
            "practicum-controller": controller,
        }
        with contextlib.ExitStack() as stack:
            prometheus = await asyncio.to_thread(stack.enter_context, serve_prometheus(folder, targets, rules))
            sending = asyncio.create_task(send_requests(stand))
            await wait_until(lambda: prometheus.query("practicum:failed_requests:ratio_rate5m"), "no first series")
            assert LIVE not in prometheus.list_firing()
            stand.engine.fault = "broken"
            await wait_until(lambda: LIVE in prometheus.list_firing(), f"{LIVE} did not fire")
            stand.engine.fault = None
            await wait_until(lambda: LIVE not in prometheus.list_firing(), f"{LIVE} did not resolve")
            sending.cancel()
            return await asyncio.to_thread(collect_silence, prometheus)


def collect_silence(prometheus):
    """Return the expressions without a series, and the same once a metric has another name."""
    queries = [*list_panel_queries(), *list_rule_queries(read_rules())]
    ask = functools.cache(prometheus.query)
    silent = find_silent(queries, ask)
    metric = "practicum_gateway_ladder_rung"
    renamed = [(where, expression.replace(metric, f"{metric}_index")) for where, expression in queries]
    return silent, find_silent(renamed, ask)


def test_an_alert_fires_and_resolves_and_every_expression_returns_a_series(tmp_path):
    require_program("prometheus")
    fill_the_controllers_series()
    silent, renamed = asyncio.run(watch_a_fault(tmp_path, shorten_waits(tmp_path)))
    assert silent == []
    assert [where.split(":")[0] for where in renamed] == ["gateway", LIVE], "a renamed metric would not be noticed"


def test_rules_fire_and_resolve_when_promtool_plays_series_to_them():
    command = [require_program("promtool"), "test", "rules", str(CASES)]
    done = subprocess.run(command, cwd=CASES.parent, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_a_case_in_which_it_fires_and_one_in_which_it_does_not():
    expected = {}
    for case in yaml.safe_load(CASES.read_text(encoding="utf-8"))["tests"]:
        for check in case["alert_rule_test"]:
            expected.setdefault(check["alertname"], set()).add(bool(check.get("exp_alerts")))
    alerts = {rule["alert"] for rule in read_rules() if "alert" in rule}
    assert expected == {name: {True, False} for name in alerts}


def test_alerts_say_what_and_what_to_do_in_both_languages():
    for rule in read_rules():
        if "alert" in rule:
            assert rule["annotations"].keys() == {"summary", "summary_zh", "action"}, rule["alert"]
            assert rule["labels"]["severity"] in {"page", "ticket"}
