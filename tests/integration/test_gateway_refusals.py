"""Requests with something wrong: one message each in OpenAI's shape that names the field, and nothing kept for them."""

from __future__ import annotations

import asyncio
import json

import aiohttp
import pytest

from fake_engine import MODEL, Settings
from gateway_stand import HELLO, NOW, build_stand
from practicum_core.api_keys import change_key_file

LIMIT = 100_000
MODEL_TOKENS = 4096
LONG = [{"role": "user", "content": "word " * 5000}]
CHAT, TEXT = "/v1/chat/completions", "/v1/completions"
COUNT = "expected a whole number of {} or more, and no more than 1000000000"
CASES = {
    "many choices": (CHAT, {"n": 17}, "too_many_choices", "n", "17 answers are asked for; 16 are allowed"),
    "absurd choices": (CHAT, {"n": 10**30}, "invalid_value", "n", COUNT.format(1)),
    "no choices": (CHAT, {"n": 0}, "invalid_value", "n", COUNT.format(1)),
    "a share of a choice": (CHAT, {"n": 1.5}, "invalid_value", "n", COUNT.format(1)),
    "choices of several prompts": (TEXT, {"prompt": ["a", "b", "c"], "n": 6}, "too_many_choices", "n", "18 answers"),
    "best of many": (TEXT, {"prompt": "a", "best_of": 100}, "too_many_choices", "n", "100 answers"),
    "absurd tokens": (CHAT, {"max_tokens": 10**12}, "invalid_value", "max_tokens", COUNT.format(0)),
    "fewer than no tokens": (CHAT, {"max_tokens": -1}, "invalid_value", "max_tokens", COUNT.format(0)),
    "tokens in words": (CHAT, {"max_tokens": "many"}, "invalid_value", "max_tokens", COUNT.format(0)),
    "absurd completion tokens": (
        CHAT,
        {"max_completion_tokens": 10**12},
        "invalid_value",
        "max_completion_tokens",
        COUNT.format(0),
    ),
    "more tokens than the model has": (
        CHAT,
        {"max_tokens": 10**6},
        "context_length",
        None,
        "maximum context length is 4096",
    ),
    "a prompt longer than the model": (
        CHAT,
        {"messages": LONG, "max_tokens": 1},
        "context_length",
        None,
        "maximum context length is 4096",
    ),
    "a stream of something else": (CHAT, {"stream": "yes"}, "invalid_value", "stream", "expected true or false"),
    "options of a stream that are none": (
        CHAT,
        {"stream_options": []},
        "invalid_value",
        "stream_options",
        "expected an object",
    ),
}
BODIES = {
    "no JSON": (b"hello", "the body is no JSON"),
    "half of a JSON": (b'{"model": "fake", ', "the body is no JSON"),
    "a list": (b"[]", "the body is no JSON object"),
    "nested deeply": (b'{"x": ' + b"[" * 100_000, "nested too deeply"),
    "no UTF-8": (b'{"model": "\xff"}', "not UTF-8 (byte 11)"),
    "nothing": (b"", "the body is no JSON"),
}


async def ask(session, stand, path, secret, **sent):
    headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {secret}"} if secret else {})
    async with session.post(stand.url + path, headers=headers, **sent) as answer:
        error = json.loads(await answer.read())["error"]
        assert set(error) == {"message", "type", "param", "code"}
        assert error["message"]
        assert "\n" not in error["message"]
        return answer.status, error


def check_all(folder, check, **limits):
    async def run():
        settings = Settings(max_model_tokens=MODEL_TOKENS)
        async with (
            build_stand(folder, settings, limits=limits) as stand,
            aiohttp.ClientSession() as session,
        ):
            await check(session, stand)
            await stand.wait_until_idle()
            assert not any(stand.count_left().values())
            assert stand.gateway.counters.totals.num_errors == 0

    asyncio.run(run())


def test_each_wrong_field_is_named(tmp_path):
    async def check(session, stand):
        for name, (path, fields, code, param, text) in CASES.items():
            body = {"model": MODEL, "messages": HELLO, **fields}
            status, error = await ask(session, stand, path, stand.secret, json=body)
            assert (status, error["code"], error["param"]) == (400, code, param), (name, error)
            assert text in error["message"], name
        for name, (body, text) in BODIES.items():
            status, error = await ask(session, stand, CHAT, stand.secret, data=body)
            assert (status, error["code"]) == (400, "invalid_json"), (name, error)
            assert text in error["message"], (name, error)

    check_all(tmp_path, check, tokens_per_minute=LIMIT)


def test_a_request_above_its_limit_is_refused_for_good(tmp_path):
    async def check(session, stand):
        body = {"model": MODEL, "messages": HELLO, "max_tokens": 2000}
        status, error = await ask(session, stand, CHAT, stand.secret, json=body)
        assert (status, error["code"], error["type"]) == (400, "request_above_limit", "rate_limit_error")
        assert "more than the 1000 a minute of this key: lower max_tokens" in error["message"]
        assert not stand.engine.bodies

    check_all(tmp_path, check, tokens_per_minute=1000)


@pytest.mark.parametrize("sent", ["", "another", "sk-practicum-" + "0" * 50, "x" * 600, None])
def test_a_key_that_is_missing_or_wrong_or_revoked_is_told_so(tmp_path, sent):
    async def check(session, stand):
        secret = stand.secret if sent is None else sent
        if sent is None:
            change_key_file(stand.keys, lambda file: file.revoke(stand.key_id, NOW))
            await asyncio.sleep(1.05)
        for path in (CHAT, TEXT, "/v1/embeddings"):
            status, error = await ask(session, stand, path, secret, json={"model": MODEL, "messages": HELLO})
            assert (status, error["type"]) == (401, "authentication_error")
            assert error["code"] == ("invalid_api_key" if secret else "missing_api_key")
            assert error["message"] == (
                "this key is wrong, was revoked or has ended"
                if secret
                else "send a key: Authorization: Bearer sk-practicum-..."
            )
            assert not secret or secret not in error["message"]
        assert not stand.engine.bodies
        # For the sums at the end, which ask by a key.
        if sent is None:
            stand.secret = stand.add_key()
            await asyncio.sleep(1.05)

    check_all(tmp_path, check)
