"""What is read of a request's body, and what of an answer's events."""

from __future__ import annotations

import contextlib
import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from practicum_gateway.errors import ApiError
from practicum_gateway.event_stream import EventStream, Usage, read_body_usage
from practicum_gateway.inspection import insert_fields, inspect_body

CHAT = ("max_tokens", "max_completion_tokens")


def inspect(document, bounds=CHAT):
    return inspect_body(json.dumps(document).encode(), 16, bounds)


def test_what_a_request_can_use_at_most():
    seen = inspect({"messages": [], "max_tokens": 10, "max_completion_tokens": 20, "n": 3, "stream": True})
    assert (seen.max_new_tokens, seen.num_answers, seen.is_streamed) == (20, 3, True)
    assert seen.count_tokens(20, None) == seen.prompt_bound + 60
    assert seen.count_tokens(20, 8) == 24


@pytest.mark.parametrize(
    ("prompt", "count"), [("text", 1), ([1, 2, 3], 1), (["a", "b"], 2), ([[1], [2], [3]], 3), (None, 1), ([], 1)]
)
def test_each_prompt_of_a_list_is_answered(prompt, count):
    assert inspect({"prompt": prompt}).num_answers == count
    assert inspect({"prompt": prompt, "best_of": 4}).num_answers == 4 * count


def test_as_many_texts_are_embedded_as_openai_embeds_and_no_more():
    assert inspect({"input": ["x"] * 2048}, bounds=()).num_answers == 2048
    assert inspect({"input": [None, "x"]}, bounds=()).num_answers == 2
    with pytest.raises(ApiError, match="more than 2048 prompts"):
        inspect({"input": ["x"] * 2049}, bounds=())


@pytest.mark.parametrize("unit", [b"{},", b"[],", b"1,", b'"",', b"[[]],"])
@pytest.mark.parametrize("field", [b"messages", b"prompt", b"other"])
def test_a_long_body_takes_little_of_the_time_that_all_requests_share(field, unit):
    body = b'{"' + field + b'":[' + unit * ((4 << 20) // len(unit)) + b"0]}"
    started_s = time.process_time()
    with contextlib.suppress(ApiError):
        inspect_body(body, 16, CHAT, 512)
    # With json, lists and objects took 0.3 to 1 s.
    assert time.process_time() - started_s < 0.15


def test_a_name_that_is_written_with_escapes_bounds_as_any_other():
    seen = inspect_body(rb'{"max_\u0074okens": 9, "n": 2, "\u006e": 3}', 16, CHAT)
    assert (seen.max_new_tokens, seen.num_answers) == (9, 3)


def test_what_begins_alike_has_the_same_beginning():
    first, second = ({"temperature": rate, "model": "m", "messages": ["a" * 600]} for rate in (0, 1))
    other = {"model": "n", "messages": ["a" * 600]}
    found = [inspect_body(json.dumps(one).encode(), 16, CHAT, 100).beginning for one in (first, second, other)]
    assert found[0] == found[1] != found[2]
    assert len(found[0]) == 102
    assert inspect(first).beginning == b""


def test_each_text_that_is_embedded_may_be_as_long_as_the_model_allows():
    seen = inspect({"input": ["x" * 1000] * 40}, bounds=())
    assert (seen.num_answers, seen.max_new_tokens) == (40, 0)
    assert seen.count_tokens(0, 512) == 40 * 512
    assert inspect({"input": [1, 2, 3]}, bounds=()).count_tokens(0, 8) == 8


def test_a_field_that_the_engine_does_not_read_bounds_nothing():
    assert inspect({"prompt": "x", "max_completion_tokens": 1}, bounds=("max_tokens",)).max_new_tokens is None


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "no JSON"),
        (b"[]", "no JSON object"),
        (b"{", "no JSON"),
        (b"\xff{}", "not UTF-8"),
        (b'{"a":' + b"[" * 100_000, "nested too deeply"),
        (b"[" * 100_000, "no JSON object"),
        (b'{"n": true}', "n: expected"),
        (b'{"n": 0}', "n: expected"),
        (b'{"n": 17}', "17 answers"),
        (b'{"n": 1e3}', "n: expected"),
        (b'{"n": 1' + b"0" * 4299 + b', "prompt": ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"]}', "n: expected"),
        (b'{"max_tokens": 1000000001}', "max_tokens: expected"),
        (b'{"max_tokens": "5"}', "max_tokens: expected"),
        (b'{"max_tokens": -1}', "max_tokens: expected"),
        (b'{"max_completion_tokens": 1.5}', "max_completion_tokens: expected"),
        (b'{"stream": "true"}', "stream: expected"),
        (b'{"stream": 1}', "stream: expected"),
        (b'{"stream_options": []}', "stream_options: expected"),
    ],
)
def test_a_senseless_body_is_refused_with_its_reason(body, said):
    with pytest.raises(ApiError, match=said) as refused:
        inspect_body(body, 16, CHAT)
    assert refused.value.status == 400


def test_added_fields_leave_the_others_as_they_are():
    body = b'{"model": "m", "x": 1e-05, "y": 12345678901234567890123, "model": "again"}\n'
    added = insert_fields(body, {"stream_options": {"include_usage": True}})
    assert added.startswith(body.rstrip()[:-1])
    assert json.loads(added)["stream_options"] == {"include_usage": True}
    assert insert_fields(b" { } ", {"a": 1}) == b' {"a":1}'
    assert insert_fields(body, {}) == body


def build_events(end=b"\n\n"):
    chunks = [{"choices": [{"index": 0, "delta": {"content": f"t{n} \u4f60"}}]} for n in range(5)]
    usage = {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}}
    events = [b"data: " + json.dumps(one, ensure_ascii=False).encode() for one in (*chunks, usage)]
    return end.join([b": comment", *events, b"data: [DONE]"]) + end, end.join(
        [b": comment", *events[:-1], b"data: [DONE]"]
    ) + end


@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n"])
@given(st.lists(st.integers(1, 60), min_size=1))
def test_events_pass_however_they_are_cut(end, sizes):
    whole, without_usage = build_events(end)
    for hides_usage, expected in ((False, whole), (True, without_usage)):
        stream, passed, rest = EventStream(hides_usage=hides_usage), b"", whole
        for size in sizes:
            passed, rest = passed + stream.feed(rest[:size]), rest[size:]
        passed += stream.feed(rest) + stream.finish()
        assert passed == expected
        assert (stream.usage, stream.is_complete, stream.num_events) == (Usage(7, 5), True, 6)


def test_each_event_passes_when_it_is_whole():
    stream = EventStream(hides_usage=True)
    assert stream.feed(b"data: {}\n") == b""
    assert stream.feed(b"\ndata: {") == b"data: {}\n\n"


def test_an_event_without_end_is_refused():
    stream = EventStream(hides_usage=True)
    stream.feed(b"x" * (8 << 20))
    with pytest.raises(ValueError, match="longer than"):
        stream.feed(b"x")


def test_the_text_usage_inside_an_answer_is_no_usage():
    stream = EventStream(hides_usage=True)
    event = b'data: {"choices":[{"delta":{"content":"say \\"usage\\": {}"}}],"usage":null}\n\n'
    assert stream.feed(event) == event
    assert stream.usage is None


@pytest.mark.parametrize(
    ("body", "usage"),
    [
        (b'{"usage":{"prompt_tokens":3,"total_tokens":3}}', Usage(3, 0)),
        (b'{"usage":{"prompt_tokens":"3"}}', None),
        (b"<html>", None),
        (b"[1]", None),
    ],
)
def test_usage_of_an_answer_in_one_piece(body, usage):
    assert read_body_usage(body) == usage
