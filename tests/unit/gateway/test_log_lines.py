"""The gateway's log: one line for each request, joined by its id with the engine's, and no word of its content."""

from __future__ import annotations

import asyncio
import io
import json
import logging

import openai
import pytest

from gateway_stand import build_stand
from practicum_core.rungs import Rung
from practicum_gateway.log_lines import JsonLines, configure_log

PROMPT = "the prompt that nobody shall read in a log"


def run_requests(tmp_path, *, has_requests, headers=(), **more):
    """Send requests of several kinds; return the lines that were logged, and the text of all."""
    stream = io.StringIO()
    logger = logging.getLogger("practicum_gateway")
    before = logger.handlers, logger.propagate
    configure_log(stream, has_requests=has_requests)

    async def run():
        options = {"ladder": True, "knowledge": "builtin:tickets", **more}
        async with build_stand(tmp_path, **options) as stand:
            chat = stand.client().chat.completions
            messages = [{"role": "user", "content": PROMPT}]
            await chat.create(
                model="fake",
                messages=messages,
                max_tokens=3,
                extra_headers={"x-request-id": "the-first", **dict(headers)},
            )
            async for _ in await chat.create(model="fake", messages=messages, max_tokens=3, stream=True):
                pass
            stand.gateway.degradation.ladder.pin(Rung.EXTRACT)
            await chat.create(model="fake", messages=[{"role": "user", "content": "How long does a refund take?"}])
            with pytest.raises(openai.AuthenticationError):
                await stand.client("sk-practicum-wrong").chat.completions.create(model="fake", messages=messages)
            return [
                {name.lower(): value for name, value in headers.items()}.get("x-request-id")
                for headers in stand.engine.headers
            ]

    try:
        ids = asyncio.run(run())
    finally:
        logger.handlers, logger.propagate = before
        logging.getLogger("practicum_gateway.requests").setLevel(logging.NOTSET)
    text = stream.getvalue()
    return [json.loads(line) for line in text.splitlines()], text, ids


def test_each_request_gets_a_line_without_its_content(tmp_path):
    lines, text, engine_ids = run_requests(tmp_path, has_requests=True)
    whole, streamed, extract, refused = [line for line in lines if line["event"] == "request"]
    assert (whole["request_id"], whole["status"], whole["completion_tokens"]) == ("the-first", 200, 3)
    assert whole["request_id"] in engine_ids
    assert streamed["request_id"] in engine_ids
    assert 0 < streamed["first_byte_s"] <= streamed["engine_s"] <= streamed["total_s"]
    assert (extract["rung"], extract["reason"], extract["status"]) == ("extract", "manual", 200)
    assert (refused["status"], "key" in refused) == (401, False)
    assert PROMPT not in text
    assert "refund" not in text
    assert "sk-practicum" not in text


def test_requests_are_not_logged_unless_asked_for_and_steps_of_the_ladder_are(tmp_path):
    lines, _, _ = run_requests(tmp_path, has_requests=False)
    assert [line["event"] for line in lines] == ["the ladder goes from full to extract: manual"]
    assert lines[0]["level"] == "warning"


def test_a_line_names_the_trace_of_its_request(tmp_path):
    parent = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
    lines, _, _ = run_requests(tmp_path, has_requests=True, headers=parent, traces=True)
    whole, *others = [line for line in lines if line["event"] == "request"]
    assert whole["trace_id"] == "0af7651916cd43dd8448eb211c80319c"
    assert len({line["trace_id"] for line in others}) == len(others)


def test_an_exception_is_one_line():
    error = ValueError("of several\nlines")
    record = logging.LogRecord("a", logging.ERROR, "b", 1, "request %s", ("x",), (type(error), error, None))
    line = JsonLines().format(record)
    assert "\n" not in line
    assert json.loads(line)["trace"].endswith("of several\nlines")
