"""What ``practicum serve`` prints when its service begins to answer."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from practicum_cli.announcement import Announcement, ask_model_name
from practicum_cli.console import JsonLines
from practicum_core.errors import Reason
from practicum_core.phases import Phase
from practicum_core.weekjob import StageStatus, WeekJobStatus


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        is_known = self.path == "/v1/models" and self.headers["Authorization"] == "Bearer sk-1"
        self.send_response(200 if is_known else 401)
        self.end_headers()
        self.wfile.write(b'{"data": [{"id": "small"}]}')

    def log_message(self, *words):
        """Write nothing."""


@pytest.fixture
def url():
    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def build_status(url, phase):
    stages = [
        StageStatus(name="serve", phase=Phase.SERVING, endpoint="http://127.0.0.1:1"),
        StageStatus(name="gateway", phase=phase, endpoint=url),
    ]
    return WeekJobStatus(phase=phase, reason=Reason.SERVING, stages=stages)


def announce(url, *, as_json):
    announcement = Announcement(JsonLines(), "gateway", "sk-1", as_json=as_json)
    with announcement:
        announcement.on_status(build_status(url, Phase.RUNNING))
        for _ in range(2):
            announcement.on_status(build_status(url, Phase.SERVING))


def test_the_address_is_told_once_when_the_service_answers(url, capsys):
    announce(url, as_json=True)
    assert json.loads(capsys.readouterr().out) == {"base_url": f"{url}/v1", "api_key": "sk-1", "model": "small"}


def test_a_person_is_shown_how_to_ask(url, capsys):
    announce(url, as_json=False)
    out = capsys.readouterr().out
    assert out.startswith(f"small answers at {url}/v1\n  key: sk-1\n")
    for shown in (
        f"curl -N {url}/v1/chat/completions",
        f'OpenAI(base_url="{url}/v1", api_key="sk-1")',
        'model="small"',
    ):
        assert out.count(shown) == 1


def test_a_service_that_does_not_tell_its_model_is_told_all_the_same(url):
    assert ask_model_name(url, "sk-2") == ""
    assert ask_model_name("http://127.0.0.1:9", "") == ""
