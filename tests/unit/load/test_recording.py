"""Recorded traffic: read whole or not at all, masked, and made into the same schedule again."""

from __future__ import annotations

import json

import pytest

from practicum_core.errors import DataError
from practicum_core.stages.load_results import LoadSample
from practicum_core.traffic import RECORDING, TRAFFIC, Recording, TraceEvent, TraceHeader, TraceRequest
from practicum_jobs.load.masking import Masker
from practicum_jobs.load.recording import (
    Trace,
    Window,
    parse_lines,
    parse_trace,
    read_recording,
    read_trace_file,
    write_recording,
)
from practicum_jobs.load.replay import build_prompt, build_replay, build_seen

HEADER = TraceHeader(started_s=1000.0)
ASKED = [{"role": "user", "content": "mail zhang.san@example.com"}]


def build_request(at_s, **fields):
    usual = {"path": "/v1/chat/completions", "status": 200, "total_s": 0.5, "prompt_hash": "00ff", "prompt_chars": 40}
    return TraceRequest(at_s=at_s, **{**usual, **fields})


def build_trace():
    requests = [build_request(1.0), build_request(2.5, prompt_hash="aa11", prompt_tokens=7, max_tokens=9)]
    event = TraceEvent(at_s=2.0, what="ladder", subject="ladder", before="full", after="short", reason="queue_wait_s")
    return Trace(HEADER, requests, [event])


def test_a_file_that_is_cut_in_the_middle_is_told_with_its_line(tmp_path):
    path = tmp_path / TRAFFIC
    build_trace().write(path)
    assert read_trace_file(path) == build_trace()
    content = path.read_bytes()
    path.write_bytes(content[:-30])
    with pytest.raises(DataError, match=r"traffic.jsonl: line 4 is cut off: the file does not end with a whole line"):
        read_trace_file(path)
    lines = content.split(b"\n")
    path.write_bytes(b"\n".join([lines[0], lines[1][:50], *lines[2:]]))
    with pytest.raises(DataError, match="line 2 is no JSON"):
        read_trace_file(path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no requests"),
        (b'{"at_s": 1}\n', "line 1 is no line of a trace"),
        (b"[1]\n", "line 1 is no line of a trace"),
        (build_request(1.0).model_dump_json().encode() + b"\n", "line 1 comes before the header"),
        (HEADER.model_dump_json().encode() + b'\n{"kind":"request","at_s":1}\n', r"line 2: path"),
        (HEADER.model_dump_json().encode() + b"\n", "no requests"),
    ],
)
def test_what_is_no_trace_is_told_with_its_line(content, said):
    with pytest.raises(DataError, match=said):
        parse_trace(content, "trace")


def test_after_a_restart_times_go_on():
    second = HEADER.model_copy(update={"started_s": 1010.0})
    lines = [HEADER, build_request(1.0), second, build_request(0.5)]
    content = "".join(f"{one.model_dump_json()}\n" for one in lines).encode()
    assert [one.at_s for one in parse_trace(content, "trace").requests] == [1.0, 10.5]


def test_a_window_is_cut_out_with_times_from_its_start():
    cut = build_trace().cut(1001.5, 1.0)
    assert [one.at_s for one in cut.requests] == [1.0]
    assert [one.at_s for one in cut.events] == [0.5]
    assert cut.header.started_s == 1001.5


def test_of_a_long_file_only_a_window_is_kept_and_broken_lines_are_told_all_the_same():
    second = HEADER.model_copy(update={"started_s": 1010.0})
    lines = [HEADER, build_request(1.0), build_request(5.0), second, build_request(0.5), build_request(9.0)]
    content = [f"{one.model_dump_json()}\n".encode() for one in lines]
    trace = parse_lines(iter(content), "trace", Window(1004.0, 1011.0))
    assert [one.at_s for one in trace.requests] == [5.0, 10.5]
    assert parse_lines(iter(content), "trace", Window(0.0, 1.0)).requests == []
    with pytest.raises(DataError, match="line 7 is no JSON"):
        parse_lines(iter([*content, b"{\n"]), "trace", Window(0.0, 1.0))


def test_a_recording_is_read_as_it_was_written(tmp_path):
    recording = Recording(
        name="errors", experiment={"title": "x"}, fault_s=1, undone_s=2, duration_s=3, changes=[], num_masked=1
    )
    write_recording(tmp_path / "errors", recording, build_trace())
    assert read_recording(tmp_path / "errors") == (recording, build_trace())
    (tmp_path / "errors" / RECORDING).write_text("{")
    with pytest.raises(DataError, match=r"recording.json: "):
        read_recording(tmp_path / "errors")
    with pytest.raises(DataError, match="No such file"):
        read_recording(tmp_path / "hang")


def test_personal_data_and_secrets_are_masked_wherever_they_stand():
    masker = Masker()
    secret = "sk-proj-" + "aB3dE5fG7hJ9kL1mN3pQ5rS7tU9vW1xY"
    prompt = [*ASKED, {"role": "user", "content": [{"type": "text", "text": f"call 13800138000, {secret}"}], "n": 1}]
    [masked, kept] = masker.mask([build_request(1.0, prompt=prompt), build_request(2.0)])
    text = json.dumps(masked.prompt)
    assert "zhang.san" not in text
    assert "13800138000" not in text
    assert secret not in text
    assert masked.prompt[1]["n"] == 1
    assert (masked.prompt_hash, kept.prompt) == ("00ff", None)
    assert masker.num_masked == 3


def test_the_schedule_is_the_same_and_prompts_have_the_same_size():
    again = build_request(4.0, max_tokens=2)
    refused = build_request(3.0, status=401, prompt_hash="")
    step, prompts = build_replay([*build_trace().requests, refused, again], 16)
    assert step.at_s == [1.0, 2.5, 4.0]
    assert step.prompts == [0, 1, 0]
    assert step.max_tokens == [16, 9, 2]
    assert [prompt.num_words for prompt in prompts] == [8, 7]
    assert build_replay(build_trace().requests)[1] == prompts[:2]
    step.check(len(prompts))


def test_a_recorded_prompt_is_sent_itself():
    assert build_prompt(build_request(1.0, prompt=ASKED)).messages == tuple(ASKED)
    assert build_prompt(build_request(1.0, prompt="how?")).messages == ({"role": "user", "content": "how?"},)
    with pytest.raises(DataError, match="no request"):
        build_replay([build_request(1.0, status=413)])


def test_what_a_client_saw_has_the_form_of_a_trace():
    sample = {"load": 0, "rate": 1, "scheduled_s": 5.0, "sent_s": 5.01, "ended_s": 6.0}
    kinds = [
        LoadSample(**sample, status=200, first_token_s=5.5),
        LoadSample(**sample, status=200, rung="extract"),
        LoadSample(**sample, status=503, error="http_503"),
        LoadSample(**sample, status=200, error="in_stream"),
        LoadSample(**sample, status=200, error="timeout"),
    ]
    seen = build_seen(kinds, 4.0)
    assert [one.outcome for one in seen] == ["full", "degraded", "error", "error", "gone"]
    assert seen[0].at_s == pytest.approx(1.01)
    assert seen[0].first_byte_s == pytest.approx(0.49)
