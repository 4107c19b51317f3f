"""Finished spans on their way to a file or a collector: nothing grows without bound, and what is lost is counted."""

from __future__ import annotations

import json
import logging
import threading
import time

from manual_clock import ManualClock
from practicum_gateway import span_export
from practicum_gateway.otlp import build_frame
from practicum_gateway.span_export import SpanExport, SpanFile
from practicum_gateway.tracing import Traces

FRAME = build_frame("service", "scope")
SPAN = b'{"name":"a"}'


class Ended:
    """A trace of one span."""

    def encode(self):
        return SPAN

    def discard(self):
        """Nothing is held."""


class Broken(Ended):
    def encode(self):
        raise ValueError(5)


def count_spans(path):
    documents = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return sum(len(one["resourceSpans"][0]["scopeSpans"][0]["spans"]) for one in documents)


def test_a_file_ends_at_its_size_across_restarts_and_what_it_does_not_get_is_counted(tmp_path, caplog):
    path = tmp_path / "traces.jsonl"
    most = 2 * len(FRAME[0] + FRAME[1] + SPAN) + 10
    dropped = []
    with caplog.at_level(logging.WARNING, "practicum_gateway"):
        for _ in range(3):
            export = SpanExport(SpanFile(path, most), FRAME)
            export.add(Ended())
            export.close()
            dropped.append(export.dropped["file_full"])
    assert dropped == [0, 0, 1]
    assert count_spans(path) == 2
    assert path.stat().st_size <= most
    assert sum("ends here" in one.message for one in caplog.records) == 1


def test_a_line_that_was_cut_off_spoils_no_other(tmp_path, caplog):
    path = tmp_path / "traces.jsonl"
    path.write_bytes(FRAME[0])  # left by a gateway that was killed while it wrote its first line
    for left in (b"", FRAME[0], b""):
        with path.open("ab") as file:
            file.write(left)
        export = SpanExport(SpanFile(path), FRAME)
        export.add(Ended())
        export.close()
    assert count_spans(path) == 3
    assert sum("ended within a line" in one.message for one in caplog.records) == 2


def test_a_full_disk_costs_traces_and_one_line_in_the_log(tmp_path, caplog):
    path = tmp_path / "traces.jsonl"
    path.symlink_to("/dev/full")
    file = SpanFile(path)
    with caplog.at_level(logging.WARNING, "practicum_gateway"):
        assert [file.write(b"{}") for _ in range(3)] == [False, False, False]
    file.close()
    [line] = [one.message for one in caplog.records]
    assert "No space left" in line


def test_a_trace_that_cannot_be_encoded_costs_no_other(tmp_path, caplog):
    path = tmp_path / "traces.jsonl"
    export = SpanExport(SpanFile(path), FRAME)
    for trace in (Broken(), Ended(), Broken(), Ended()):
        export.add(trace)
    export.close()
    assert (export.dropped["fault"], count_spans(path)) == (2, 2)
    assert "ValueError" in caplog.text


class Stuck:
    """A sink that takes nothing until it is let go."""

    reason = "not_taken"

    def __init__(self):
        self.entered, self.gate, self.documents = threading.Event(), threading.Event(), []

    def write(self, document):
        self.entered.set()
        assert self.gate.wait(30)
        self.documents.append(document)
        return True

    def close(self):
        self.documents.append(b"closed")


def test_a_sink_that_is_too_slow_costs_traces_and_no_memory(monkeypatch):
    monkeypatch.setattr(span_export, "_MAX_QUEUED", 5)
    monkeypatch.setattr(span_export, "_EXPORT_S", 0.01)
    sink = Stuck()
    export = SpanExport(sink, FRAME)
    export.add(Ended())
    assert sink.entered.wait(30)
    for _ in range(8):
        export.add(Ended())
    assert export.dropped["queue_full"] == 3
    sink.gate.set()
    export.close()
    *documents, last = sink.documents
    assert last == b"closed"
    assert sum(one.count(SPAN) for one in documents) == 6
    [family] = export.collect()
    assert {one.labels["reason"]: one.value for one in family.samples} == {
        "queue_full": 3,
        "file_full": 0,
        "not_taken": 0,
        "no_key": 0,
        "fault": 0,
    }


class Refusing(Stuck):
    """A sink that fails once it is let go: first as nobody foresaw, then as a collector that is not there."""

    def write(self, document):
        super().write(document)
        if len(self.documents) == 1:
            raise ValueError(5)
        return False


def test_a_sink_that_fails_at_the_end_is_asked_no_second_time_and_each_trace_counts_once(monkeypatch):
    monkeypatch.setattr(span_export, "_EXPORT_S", 0.01)
    monkeypatch.setattr(span_export, "_BATCH", 2)
    sink = Refusing()
    export = SpanExport(sink, FRAME)
    for _ in range(7):
        export.add(Ended())
    assert sink.entered.wait(30)
    closing = threading.Thread(target=export.close)
    closing.start()
    while not export._is_ending:
        time.sleep(0.001)
    sink.gate.set()
    closing.join(30)
    assert export.dropped["not_taken"] == 7
    assert [one == b"closed" for one in sink.documents] == [False, True]


def test_a_document_that_fails_as_nobody_foresaw_costs_no_other(monkeypatch, caplog):
    monkeypatch.setattr(span_export, "_EXPORT_S", 0.01)
    sink = Refusing()
    sink.gate.set()
    export = SpanExport(sink, FRAME)
    export.add(Ended())
    assert sink.entered.wait(30)
    export.add(Ended())
    export.close()
    assert export.dropped["not_taken"] == 2
    assert "ValueError" in caplog.text


def test_requests_without_a_key_are_traced_within_a_budget_and_those_with_one_always(tmp_path):
    path = tmp_path / "traces.jsonl"
    export = SpanExport(SpanFile(path), FRAME)
    traces = Traces(export, 1.0, "latest", ManualClock())
    for number in range(1000):
        for key, status in (("", 401), ("0a1b2c3d", 429)):
            trace = traces.begin("POST", "/v1/chat/completions", {}, b"%d" % number)
            traces.end(trace, status, key)
    traces.close()
    assert export.dropped["no_key"] == 400
    assert count_spans(path) == 1600
