"""Servers that are busy, refuse the key, serve another model or are no OpenAI server: one message each."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from practicum_core.errors import ConfigError, DataError, PlatformError
from practicum_core.rows import Message, Row
from practicum_core.scorers import ChoiceScorer
from practicum_jobs.adapters import answers_server
from practicum_jobs.adapters.answer_engine import ChoiceQuestion, ChoiceScores, EngineAnswer, Prompt
from practicum_jobs.adapters.answers_server import ServedModel, ServerAnswers
from practicum_jobs.evaluate.answering import Query, check_choice, check_prompt
from practicum_jobs.storage.answers import Answer

KEY = "not-a-real-key"


class Handler(BaseHTTPRequestHandler):
    """A chat server that answers with the last turn, and misbehaves as its class says."""

    fault = ""
    message = None
    num_busy = 0
    asked = None

    def do_GET(self):
        if self.path == "/v1/models":
            no_list = {"models": [], "request": dict(self.headers)}
            self.answer(200, {"data": [{"id": "tiny"}]} if self.fault != "no_list" else no_list)
        else:
            self.answer(404, {})

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.headers.get("Authorization") != f"Bearer {KEY}":
            self.answer(401, {"error": {"message": f"no key: {self.headers['Authorization']}"}})
        elif self.fault == "html":
            self.answer(200, f"<html>welcome {self.headers['Authorization']}</html>")
        elif self.fault == "teapot":
            self.answer(418, {"error": f"x{'y' * 240} {self.headers['Authorization']}"})
        elif self.fault == "prose":
            self.answer(200, {"answer": "yes", "request": dict(self.headers)})
        elif type(self).num_busy > 0:
            type(self).num_busy -= 1
            self.answer(503, {"error": {"message": f"busy: {self.headers['Authorization']}"}})
        else:
            assert request["temperature"] == 0
            if self.asked is not None:
                self.asked.append(request)
            message = self.message or {"content": request["messages"][-1]["content"]}
            choice = {"message": message, "finish_reason": "length"}
            self.answer(200, {"choices": [choice], "usage": {"completion_tokens": 3}})

    def answer(self, status, document):
        body = document.encode() if isinstance(document, str) else json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        """Write no line for each request."""


@pytest.fixture
def start(monkeypatch):
    monkeypatch.setattr(answers_server, "FIRST_PAUSE_S", 0.01)
    servers = []

    def start_server(**faults):
        server = ThreadingHTTPServer(("127.0.0.1", 0), type("Faulty", (Handler,), faults))
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}"

    yield start_server
    for server in servers:
        server.shutdown()
        server.server_close()


def ask(url, name="", key=KEY):
    engine = ServerAnswers(ServedModel(url, name, key, max_new_tokens=8, concurrency=4, timeout_s=5))
    prompts = [Prompt([number], [{"role": "user", "content": f"q{number}"}]) for number in range(9)]
    answers = {}
    try:
        for batch in engine.iter_answers(prompts):
            answers |= batch
    finally:
        engine.close()
    return engine, answers


def test_answers_come_back_to_their_prompts_and_prompts_that_are_not_shown_are_said_to_be(start):
    engine, answers = ask(start())
    assert {place: given.answer.text for place, given in answers.items()} == {place: f"q{place}" for place in range(9)}
    assert answers[0].answer == Answer("q0", 3, is_stopped=False)
    assert all(given.prompt_token_ids is None for given in answers.values())
    assert (engine.facts.device, engine.facts.version) == ("remote", "unknown server")
    row = Row(id="1", messages=[Message(role="user", content="q")], answer="x")
    checked = check_prompt(Query(Prompt([1], [turn.build_turn() for turn in row.messages])), answers[0])
    assert checked.is_prompt_shown is False


def test_a_server_is_asked_with_the_tools_of_a_row(start):
    asked = []
    tools = [{"type": "function", "function": {"name": "find_order"}}]
    engine = ServerAnswers(ServedModel(start(asked=asked), "", KEY, max_new_tokens=8, concurrency=1, timeout_s=5))
    turns = [{"role": "user", "content": "q"}]
    assert len([*engine.iter_answers([Prompt([1], turns, tools), Prompt([2], turns)])]) > 0
    engine.close()
    assert sorted(len(request.get("tools", ())) for request in asked) == [0, 1]
    assert tools in [request.get("tools") for request in asked]


def test_a_server_that_is_busy_for_a_moment_is_asked_again(start):
    _, answers = ask(start(num_busy=3))
    assert len(answers) == 9


@pytest.mark.parametrize(
    ("faults", "options", "error", "message"),
    [
        ({"fault": "html"}, {}, PlatformError, "which is no JSON"),
        ({"fault": "prose"}, {}, PlatformError, "which is no chat completion"),
        ({"fault": "teapot"}, {}, PlatformError, "answered 418"),
        ({"fault": "no_list"}, {}, PlatformError, "which is no list of models"),
        ({"num_busy": 10**6}, {}, PlatformError, "did not answer in 4 attempts .503"),
        ({}, {"key": f"{KEY}\n"}, PlatformError, "Illegal header value"),
        ({}, {"key": f"{KEY}-of-another"}, ConfigError, "refuses the key"),
        ({}, {"name": "large"}, ConfigError, "serves no model 'large'"),
    ],
)
def test_what_is_no_such_server_is_one_message_without_the_key(start, faults, options, error, message):
    with pytest.raises(error, match=message) as caught:
        ask(start(**faults), **options)
    assert caught.value.fix
    assert KEY not in f"{caught.value} {caught.value.fix}"


def test_a_served_model_does_not_show_its_key():
    assert KEY not in repr(ServedModel("http://x", "", KEY, 8, 4, 5))


@pytest.mark.parametrize("part", ["tool_calls", "reasoning_content", "reasoning"])
def test_an_answer_that_the_server_took_apart_is_no_empty_answer(start, part):
    with pytest.raises(ConfigError, match="gave tool calls or reasoning and no text") as caught:
        ask(start(message={"content": None, part: [{"function": {"name": "find"}}]}))
    assert "without a parser" in caught.value.fix


def test_a_model_that_wrote_nothing_gave_an_empty_answer(start):
    _, answers = ask(start(message={"content": None, "tool_calls": []}))
    assert {given.answer.text for given in answers.values()} == {""}


def test_nobody_listens(start):
    with pytest.raises(PlatformError, match="did not answer in 4 attempts"):
        ask("http://127.0.0.1:9")


def test_choices_need_an_engine_with_log_probabilities(start):
    engine = ServerAnswers(ServedModel(start(), "", KEY, 8, 4, 5))
    with pytest.raises(ConfigError, match="1 rows ask for log-probabilities"):
        list(engine.iter_choices([ChoiceQuestion([1], ([2], [3]))]))


def test_other_prompt_token_ids_are_refused_with_the_place():
    with pytest.raises(DataError, match="1 token more at the start: 1"):
        check_prompt(Query(Prompt([5, 6], ())), EngineAnswer(Answer("a", 1, is_stopped=True), [1, 5, 6]))


def test_a_choice_is_shown_only_if_the_engine_shows_the_prompt_with_every_choice():
    query = Query(Prompt([5], ()), ChoiceScorer(choices=("yes", "no")), ((6,), (7,)))
    shown = check_choice(query, ChoiceScores((-2.0, -1.0), ([5, 6], [5, 7])))
    assert shown == Answer("no", 0, is_stopped=True, is_prompt_shown=True)
    assert check_choice(query, ChoiceScores((-2.0, -1.0), ([5, 6], None))).is_prompt_shown is False
    with pytest.raises(DataError, match="1 token more at the start: 1"):
        check_choice(query, ChoiceScores((-2.0, -1.0), ([5, 6], [1, 5, 7])))
