"""What of a record becomes part of its row: nothing that it carries is left out without a word."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from practicum_core.rows import Message, Row, ToolCall
from practicum_jobs.audit.checks import check_content
from practicum_jobs.audit.content import build_content
from practicum_jobs.audit.places import read_row, write_place
from practicum_jobs.datasets.formats import read_record
from practicum_jobs.datasets.readers import Defect, iter_pieces, iter_rows, read_place


def read(record):
    return read_record(record, "auto", "x").row


def simplify(row):
    turns = [(message.role, message.content) for message in row.messages]
    return (turns, row.answer) if row.rejected is None else (turns, row.answer, row.rejected)


Q, A = {"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}
U1, A1, U2 = (
    {"role": "user", "content": "Q1"},
    {"role": "assistant", "content": "A1"},
    {"role": "user", "content": "Q2"},
)
GOOD, BAD = {"role": "assistant", "content": "good"}, {"role": "assistant", "content": "bad"}
CONVERSATIONS = [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}]
S = ("system", "客户手机 13900139001")
HH_START = "\n\nHuman: Hello there\n\nAssistant: Hi.\n\nHuman: Why?\n\nAssistant:"

RECORDS = {
    # A system prompt of its own column, in every format.
    "sharegpt-system": ({"conversations": CONVERSATIONS, "system": S[1]}, ([S, ("user", "q")], "a")),
    "messages-system": ({"messages": [Q, A], "system": S[1]}, ([S, ("user", "q")], "a")),
    "alpaca-system": ({"instruction": "q", "output": "a", "system": S[1]}, ([S, ("user", "q")], "a")),
    "pair-system": (
        {"system": S[1], "question": "q", "chosen": "good", "rejected": "bad"},
        ([S, ("user", "q")], "good", "bad"),
    ),
    "system-that-stands-there": (
        {"messages": [{"role": "system", "content": S[1]}, Q, A], "system": S[1]},
        ([S, ("user", "q")], "a"),
    ),
    # Earlier turns.
    "history": (
        {"instruction": "继续", "output": "a", "history": [["q", "邮箱 user0@example.com"]]},
        ([("user", "q"), ("assistant", "邮箱 user0@example.com"), ("user", "继续")], "a"),
    ),
    "query-history-system": (
        {"query": "q2", "response": "a2", "history": [["q", "a"]], "system": "s"},
        ([("system", "s"), ("user", "q"), ("assistant", "a"), ("user", "q2")], "a2"),
    ),
    # An answer column counts only where the turns end with the user.
    "answer-behind-an-answer": (
        {"messages": [Q, {"role": "assistant", "content": "Thinking... X"}], "answer": "40"},
        ([("user", "q")], "Thinking... X"),
    ),
    "answer-behind-a-question": ({"messages": [Q], "answer": "40"}, ([("user", "q")], "40")),
    # What both sides of a pair start with is the prompt.
    "pair-turns": (
        {"prompt": "Q1", "chosen": [U1, A1, U2, GOOD], "rejected": [U1, A1, U2, BAD]},
        ([("user", "Q1"), ("assistant", "A1"), ("user", "Q2")], "good", "bad"),
    ),
    "pair-turns-behind-the-prompt": (
        {"prompt": [{"role": "system", "content": "s"}, U1], "chosen": [U1, A1, U2, GOOD],
         "rejected": [U1, A1, U2, BAD]},
        ([("system", "s"), ("user", "Q1"), ("assistant", "A1"), ("user", "Q2")], "good", "bad"),
    ),
    "pair-prompt-is-the-last-question": (
        {"prompt": "Q2", "chosen": [U1, A1, U2, GOOD], "rejected": [U1, A1, U2, BAD]},
        ([("user", "Q1"), ("assistant", "A1"), ("user", "Q2")], "good", "bad"),
    ),
    "pair-texts-that-repeat-the-prompt": (
        {"prompt": HH_START, "chosen": f"{HH_START} good", "rejected": f"{HH_START} bad"},
        ([("user", "Hello there"), ("assistant", "Hi."), ("user", "Why?")], "good", "bad"),
    ),
    "pair-transcripts": (
        {"chosen": f"{HH_START} good", "rejected": f"{HH_START} bad"},
        ([("user", "Hello there"), ("assistant", "Hi."), ("user", "Why?")], "good", "bad"),
    ),
    "pair-long-prompt-repeated": (
        {"prompt": "What is the capital of France?", "chosen": "What is the capital of France? Paris",
         "rejected": "What is the capital of France? Rome"},
        ([("user", "What is the capital of France?")], "Paris", "Rome"),
    ),
    "pair-that-starts-like-its-prompt-by-chance": (
        {"prompt": "Hi", "chosen": "Hi! How are you?", "rejected": "Hi."},
        ([("user", "Hi")], "Hi! How are you?", "Hi."),
    ),
    "pair-objects": (
        {"conversations": CONVERSATIONS[:1], "chosen": {"from": "gpt", "value": "good"},
         "rejected": {"from": "gpt", "value": "bad"}},
        ([("user", "q")], "good", "bad"),
    ),
    "pair-instruction": (
        {"instruction": "q", "input": "x", "chosen": "good", "rejected": "bad"},
        ([("user", "q\nx")], "good", "bad"),
    ),
    "pair-as-two-outputs": (
        {"instruction": "q", "input": "", "output": ["good", "bad"]},
        ([("user", "q")], "good", "bad"),
    ),
    # Other names of prompt and answer.
    "completion": ({"prompt": "q", "completion": "a"}, ([("user", "q")], "a")),
    "completion-turns": ({"prompt": [Q], "completion": [A]}, ([("user", "q")], "a")),
    "question": ({"question": "q", "answer": "a"}, ([("user", "q")], "a")),
    "query": ({"query": "q", "response": "a"}, ([("user", "q")], "a")),
    "problem": ({"problem": "q", "solution": "a"}, ([("user", "q")], "a")),
    "dolly": ({"instruction": "q", "context": "x", "response": "a"}, ([("user", "q\nx")], "a")),
    "input-output": ({"input": "q", "output": "a"}, ([("user", "q")], "a")),
    # A null or empty column is no column.
    "null-conversations": ({"instruction": "q", "output": "a", "conversations": None}, ([("user", "q")], "a")),
    "empty-messages": ({"messages": [], "prompt": "q", "completion": "a", "chosen": None}, ([("user", "q")], "a")),
    # Shapes of the list of turns.
    "struct-of-lists": (
        {"messages": {"role": ["user", "assistant"], "content": ["q", "a"]}},
        ([("user", "q")], "a"),
    ),
    "turns-as-json": ({"messages": json.dumps([Q, A])}, ([("user", "q")], "a")),
    "developer": ({"messages": [{"role": "developer", "content": "s"}, Q, A]}, ([("system", "s"), ("user", "q")], "a")),
}  # fmt: skip


@pytest.mark.parametrize("name", RECORDS)
def test_what_a_record_says_is_in_its_row(name):
    record, expected = RECORDS[name]
    row = read(record)
    assert simplify(row) == expected
    assert read_row(write_place(row)) == row
    assert Row.model_validate_json(row.model_dump_json()) == row


def test_labels_of_unpaired_answers():
    assert read({"prompt": "q", "completion": "a", "label": False}).label is False
    assert read({"messages": [Q, A], "kto_tag": True}).label is True
    assert read({"prompt": "q", "completion": "a"}).label is None
    reading = read_record({"prompt": "q", "completion": "a", "label": 3}, "auto", "x")
    assert (reading.row.label, reading.unread) == (None, ("label",))


CALL = {"id": "c1", "type": "function", "function": {"name": "mail", "arguments": '{"to": "zhang.san@example.com"}'}}
RESULT = {"role": "tool", "tool_call_id": "c1", "content": "sent"}


@pytest.mark.parametrize("content", [None, ""])
def test_tool_calls_are_part_of_an_answer(content):
    row = read({"messages": [Q, {"role": "assistant", "content": content, "tool_calls": [CALL]}], "tools": "[]"})
    assert row.reply.tool_calls == (ToolCall(id="c1", name="mail", arguments='{"to": "zhang.san@example.com"}'),)
    assert check_content(build_content(row)) == ["pii:email"]
    assert read_row(write_place(row)) == row


def test_tool_calls_and_results_are_part_of_a_prompt():
    call = {"function": {"name": "find", "arguments": {"phone": "13800138000"}}}
    tools = [{"type": "function", "function": {"name": "find"}}]
    turns = [Q, {"role": "assistant", "tool_calls": [call]}, {**RESULT, "content": {"n": 1}}, A]
    row = read({"messages": turns, "tools": tools})
    assert row.messages[1].tool_calls[0].arguments == '{"phone": "13800138000"}'
    assert row.messages[2] == Message(role="tool", content='{"n": 1}', tool_call_id="c1")
    assert row.tools == tuple(tools)
    assert check_content(build_content(row)) == ["pii:cn_mobile"]
    assert read_row(write_place(row)) == row


def test_tool_calls_of_sharegpt():
    value = json.dumps({"name": "mail", "arguments": {"to": "\u5f20"}})
    turns = [
        {"from": "human", "value": "q"},
        {"from": "function_call", "value": value},
        {"from": "observation", "value": "sent"},
        {"from": "gpt", "value": "a"},
    ]
    row = read({"conversations": turns, "tools": "[]"})
    assert [message.role for message in row.messages] == ["user", "assistant", "tool"]
    assert row.messages[1].tool_calls == (ToolCall(name="mail", arguments='{"to": "张"}'),)
    turns[1]["value"] = "mail(张)"  # no JSON: the text is what the assistant said
    assert read({"conversations": turns}).messages[1].content == "mail(张)"


def test_older_function_calls_and_escaped_arguments():
    turn = {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": '{"m": "\\u5f20@a.cn"}'}}
    row = read({"messages": [Q, turn]})
    assert row.reply.tool_calls[0].name == "f"
    assert "张@a.cn" in build_content(row).dialogue


@pytest.mark.parametrize("key", ["reasoning_content", "reasoning", "thinking"])
def test_reasoning_is_part_of_a_turn(key):
    row = read({"messages": [Q, {"role": "assistant", "content": "40", key: "mail a.b@example.com"}]})
    assert (row.answer, row.reply.reasoning_content) == ("40", "mail a.b@example.com")
    assert check_content(build_content(row)) == ["pii:email"]
    lone = read({"messages": [Q, {"role": "assistant", "content": None, key: "hm"}]})
    assert check_content(build_content(lone)) == ["empty_answer"]


@pytest.mark.parametrize(
    ("record", "unread"),
    [
        ({"messages": [Q, A], "answer": "40", "source": "web", "note": None, "tags": []}, ("answer", "source")),
        ({"messages": [Q, {**A, "weight": 0}]}, ("messages[].weight",)),
        ({"messages": [Q, A], "conversations": CONVERSATIONS}, ("conversations",)),
        ({"instruction": "q", "output": "a", "id": 1.5, "task": 3}, ("id", "task")),
        ({"prompt": "q", "chosen": "a", "rejected": "b", "chosen_score": 3.5}, ("chosen_score",)),
        ({"prompt": "q", "question": "r", "completion": "a", "response": "b"}, ("question", "response")),
        (
            {"messages": [{"role": "user", "content": [{"type": "text", "text": "q", "cache": 1}]}, A]},
            ("messages[].content[].cache",),
        ),
        (
            {"messages": [Q, {"role": "assistant", "content": None, "tool_calls": [{**CALL, "index": 0}]}]},
            ("messages[].tool_calls[].index",),
        ),
    ],
)
def test_what_a_row_does_not_hold_is_named(record, unread):
    assert read_record(record, "auto", "x").unread == unread


def test_a_file_may_mix_formats(tmp_path):
    records = [
        {"messages": [Q, A]},
        {"instruction": "q", "output": "a", "conversations": None},
        {"prompt": "q", "chosen": "good", "rejected": "bad"},
    ]
    path = tmp_path / "mixed.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    assert [row.answer for row in iter_rows(path)] == ["a", "a", "good"]
    parquet = tmp_path / "mixed.parquet"
    columns = dict.fromkeys(name for record in records for name in record)
    pq.write_table(pa.Table.from_pylist([dict(columns) | record for record in records]), parquet)
    places = [read_place(piece) for piece in iter_pieces(parquet)]
    assert [place.content.answer for place in places] == ["a", "a", "good"]
    assert [place.unread for place in places] == [(), (), ()]


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ('{"instruction": "q", "output": "a", "output": "b"}', "duplicate_key"),
        ('{"messages": [{"role": "user", "content" : "q", "content":"r"}, {"role": "assistant", "content": "a"}]}',
         "duplicate_key"),
        ('{"instruction": "q", "output": "a", "tools": "[{\\"n\\": \\"\\\\ud800\\"}]"}', "invalid_utf8"),
        ('{"prompt": "q", "chosen": [{"role": "user", "content": "x"}], "rejected": "b"}', "wrong_type"),
        ('{"instruction": "q", "output": "a", "history": [["q"]]}', "wrong_type"),
        ('{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "tool_calls": 3}]}', "wrong_type"),
        ('{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "tool_calls": [{}]}]}', "wrong_type"),
    ],
)  # fmt: skip
def test_what_is_ambiguous_or_broken_is_no_row(line, kind, tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text(line + "\n")
    (defect,) = iter_rows(path)
    assert isinstance(defect, Defect)
    assert defect.kind == kind


def test_a_key_that_stands_twice_with_one_value_is_read(tmp_path):
    (tmp_path / "rows.jsonl").write_text('{"instruction": "q", "output": "a", "output": "a"}')
    assert [row.answer for row in iter_rows(tmp_path / "rows.jsonl")] == ["a"]


def test_fields_that_a_row_does_not_have_are_not_written():
    row = Row(id="x", messages=[Message(role="user", content="q")], answer='{"a":1}')
    assert row.model_dump_json() == (
        '{"id":"x","messages":[{"role":"user","content":"q"}],"answer":"{\\"a\\":1}","rejected":null,"task":"",'
        '"language":"","group":""}'
    )
