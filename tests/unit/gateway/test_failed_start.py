"""A gateway whose start fails leaves nothing open."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest
import uvicorn

from gateway_stand import Context, find_port
from practicum_core.stages.gateway import GatewayConfig
from practicum_core.trace_names import TRACE_FILE
from practicum_core.traffic import TRAFFIC
from practicum_gateway.app import Gateway
from practicum_gateway.stage import build_server_config, serve
from practicum_gateway.tracing import build_traces


def test_what_a_failed_start_opened_is_closed(tmp_path):
    (tmp_path / "a file").touch()
    engines = [{"name": "engine", "url": "http://127.0.0.1:9"}]
    config = GatewayConfig(upstreams=engines, traffic=True, traces=True, drain_s=1)
    gateway = Gateway(config, [], traffic_file=tmp_path / "a file" / TRAFFIC)
    gateway.traces = build_traces(config, tmp_path / TRACE_FILE, time.monotonic)
    server = uvicorn.Server(build_server_config(gateway, config, "127.0.0.1", find_port()))
    with pytest.raises(FileExistsError, match="a file"):
        asyncio.run(serve(gateway, server, Context()))
    assert gateway.pages.session.closed
    assert not [one for one in threading.enumerate() if one.name == "span-export"]
