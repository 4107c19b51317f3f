"""A judge behind HTTP that is slow, down, busy or strict; the resumption of a stopped step; the hidden key."""

from __future__ import annotations

import socket
import threading
import time

import pytest

from judge_server import JudgeServer, Reply, good
from practicum_core.errors import ConfigError, PlatformError, Stopped
from practicum_core.stages.judge import JudgeConfig
from practicum_jobs.judge import http_judge
from practicum_jobs.judge.gold import build_gold
from practicum_jobs.judge.http_judge import HttpJudge, HttpOptions
from practicum_jobs.judge.pairs import Question

KEY = "sk-made-up-and-secret"
# anyio/_core/_sockets.py, connect_tcp: an attempt to connect that is cancelled before it began is never awaited.
pytestmark = [
    pytest.mark.filterwarnings("ignore:coroutine 'connect_tcp.*was never awaited:RuntimeWarning"),
    pytest.mark.filterwarnings("ignore:.*connect_tcp:pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    monkeypatch.setattr(http_judge, "_FIRST_PAUSE_S", 0.01)


def test_a_judge_that_times_out_is_named_and_nothing_finished_is_lost(stand):
    """It answers fifty questions and then no more; when it is back, the resumed step asks only for the rest."""
    with JudgeServer(good) as server:
        server.behaviour = lambda question, number: good(question, number) if number < 50 else Reply(pause_s=5)
        with pytest.raises(PlatformError, match=r"no answer to 5 questions in a row") as raised:
            stand.ask(server, timeout_s=5, concurrency=5)
        assert raised.value.exit_code == 75
        assert "finished judgements are kept" in raised.value.fix
        server.behaviour = good
        num_before = len(server.requests)
        record = stand.ask(server, concurrency=2)
    assert record.num_cached == 50
    assert record.is_calibrated
    # The canaries are asked once more, because the judge may have changed in between.
    assert [one.name for one in record.canaries] == ["start", "resumed-1", "middle", "end"]
    assert len(server.requests) - num_before == record.num_asked - 50
    assert any("50 answers of the judge are of an earlier attempt" in note for note in record.notes)


def test_a_judge_that_changed_while_the_step_was_stopped_is_caught(stand):
    with JudgeServer(good) as server:
        server.behaviour = lambda question, number: good(question, number) if number < 120 else Reply(status=503)
        with pytest.raises(PlatformError):
            stand.ask(server, concurrency=1)
        server.behaviour = lambda *_: '{"verdict": "A"}'
        record = stand.ask(server)
    assert "judge_canary_changes" in {one.name for one in record.checks if not one.is_passed}
    assert next(one.where for one in record.failures if one.kind == "judge_changed") == "resumed-1"


def test_a_stop_keeps_what_is_finished_and_waits_for_no_slow_answer(stand):
    with JudgeServer(good) as server:

        def behave(question, number):
            if number == 60:
                stand.context.request_stop()
                return Reply(pause_s=30)
            return good(question, number)

        server.behaviour = behave
        started_s = time.monotonic()
        with pytest.raises(Stopped):
            stand.ask(server, concurrency=4)
        assert time.monotonic() - started_s < 20
        server.behaviour = good
        record = stand.ask(server)
    assert record.num_cached >= 55
    assert record.is_calibrated


def test_a_kill_in_the_middle_of_a_line_costs_that_line(stand):
    with JudgeServer(good) as server:
        stand.ask(server)
        path = stand.context.layout.root / "judgements.jsonl"
        content = path.read_bytes()
        path.write_bytes(content[:-20])
        record = stand.ask(server)
        assert record.num_cached == content.count(b"\n") - 1
        assert stand.ask(server).num_cached >= record.num_cached


def test_a_busy_judge_is_asked_again(stand):
    with JudgeServer(good) as server:
        busy = set()

        def behave(question, number):
            key = question["A"] + question["B"]
            if len(busy) < 30 and key not in busy:
                busy.add(key)
                return Reply(status=429, headers={"Retry-After": "0"}) if number % 2 else Reply(status=500)
            return good(question, number)

        server.behaviour = behave
        record = stand.ask(server, retries=2)
    assert record.unusable == {}
    assert record.is_calibrated


def test_a_judge_that_is_not_there(stand):
    with JudgeServer(good) as server:
        pass
    with pytest.raises(PlatformError, match="no answer to 5 questions"):
        stand.ask(server)


def test_an_answer_that_trickles_in_is_cut_off_by_the_time_limit(stand):
    """Each byte arrives in time, and the whole does not."""
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]

    def trickle(connection):
        with connection:
            connection.recv(65536)
            for letter in b"HTTP/1.1 200 OK\r\n" + b"X-Slow: yes\r\n" * 100:
                try:
                    connection.sendall(bytes([letter]))
                except OSError:
                    return
                time.sleep(0.02)

    def serve():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=trickle, args=(connection,), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    started_s = time.monotonic()
    with pytest.raises(PlatformError, match="no answer"):
        stand.run(url=f"http://127.0.0.1:{port}/v1", model_name="m", timeout_s=0.5, retries=0, concurrency=4)
    assert time.monotonic() - started_s < 20
    listener.close()


@pytest.mark.parametrize(
    ("status", "fix"), [(401, "judge.key_variable"), (404, "judge.url"), (400, "judge.response_format")]
)
def test_a_refused_request_is_one_clear_message_at_once(stand, monkeypatch, status, fix):
    monkeypatch.setenv("PRACTICUM_JUDGE_KEY", KEY)
    body = f'{{"error": {{"message": "wrong key {KEY} or model"}}}}'.encode()
    with JudgeServer(lambda *_: Reply(status=status, body=body)) as server:
        with pytest.raises(ConfigError, match=f"HTTP {status}") as raised:
            stand.ask(server, retries=3, concurrency=1)
        assert len(server.requests) == 1
    assert fix in raised.value.fix
    assert KEY not in str(raised.value)


def test_the_key_is_sent_and_stands_nowhere(stand, monkeypatch, capfd):
    monkeypatch.setenv("CLASS_KEY", KEY)
    with JudgeServer(
        lambda question, number: f"{KEY} is wrong here" if number == 3 else good(question, number)
    ) as server:
        record = stand.ask(server, key_variable="CLASS_KEY")
    assert {one["Authorization"] for one in server.headers} == {f"Bearer {KEY}"}
    files = [path for path in stand.tmp_path.rglob("*") if path.is_file()]
    assert len(files) >= 3
    assert not [path for path in files if KEY in path.read_text(encoding="utf-8")]
    assert KEY not in record.model_dump_json() + repr(http_judge.HttpOptions("u", "m", KEY))
    assert KEY not in "".join(capfd.readouterr())


def ask_directly(server, **options):
    """Ask about four gold pairs without the stage."""
    questions = [Question(pair, is_base_first=True) for pair in build_gold("en")[:4]]
    return dict(HttpJudge(HttpOptions(server.url, "judge-1", retries=0, **options)).judge(questions))


def test_no_key_is_sent_where_none_is_set():
    with JudgeServer(good) as server:
        ask_directly(server)
    assert len(server.headers) == 4
    assert not [one for one in server.headers if "Authorization" in one]


@pytest.mark.parametrize("form", ["json_schema", "json_object", "none"])
def test_the_form_of_the_answer_is_asked_for_as_told(form):
    with JudgeServer(good) as server:
        judgements = ask_directly(server, response_format=form)
    assert {one.get("response_format", {}).get("type", "none") for one in server.requests} == {form}
    assert len([one for one in judgements.values() if one.verdict]) == 4


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"url": "http://user:word@host/v1", "model_name": "m"}, "key_variable"),
        ({"url": "http://host/v1?api_key=1", "model_name": "m"}, "key_variable"),
        ({"url": "file:///etc/passwd", "model_name": "m"}, "http://"),
        ({"url": "http://host/v1"}, "name the judge model"),
        ({"url": "http://host/v1", "model_name": "m", "local_model": "builtin:smollm2-135m"}, "name one judge"),
        ({"key_variable": "a b"}, "key_variable"),
        ({"min_gold_pairs": 10}, "greater than or equal to 50"),
    ],
)
def test_options_that_make_no_judge_are_refused(options, told):
    with pytest.raises(ValueError, match=told):
        JudgeConfig(**options)
