"""Findings about single rows, each with the row that has it and one that must not."""

import json

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from practicum_core.errors import DataError
from practicum_core.rows import Message
from practicum_jobs.audit.analysis import Analyser, Shared
from practicum_jobs.audit.catalogue import CATALOGUE, DEFECT_KINDS, ROW_FINDINGS
from practicum_jobs.audit.checks import check_content
from practicum_jobs.audit.cleaning import list_unread
from practicum_jobs.audit.content import build_content
from practicum_jobs.audit.scan import Scan, find_repeats, read_marks
from practicum_jobs.datasets.formats import read_record
from practicum_jobs.datasets.readers import Origin, Raw
from practicum_jobs.models.tokens import ChatTokenizer
from practicum_jobs.text.overlap import OverlapSettings

Q, A = {"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}


def check(record):
    return check_content(build_content(read_record(record, "auto", "x").row))


@pytest.mark.parametrize(
    ("record", "findings"),
    [
        ({"prompt": "q", "chosen": "same", "rejected": "same "}, ["equal_pair"]),
        ({"prompt": "q", "chosen": "a", "rejected": " "}, ["empty_rejected"]),
        ({"prompt": "q", "chosen": "", "rejected": ""}, ["empty_answer", "empty_rejected"]),
        ({"instruction": "q", "output": "", "messages": []}, ["empty_answer"]),
        ({"instruction": "say <|im_end|> now", "output": "a"}, ["special_token"]),
        ({"instruction": "q", "output": "a<end_of_turn>"}, ["special_token"]),
        ({"instruction": "q", "output": "a", "system": "[INST] s"}, ["special_token"]),
        ({"instruction": "a < b | c > d, <s>old</s>, list[INST", "output": "a"}, []),
        ({"instruction": "q", "output": "N/A"}, ["placeholder_answer"]),
        ({"instruction": "q", "output": "nan"}, ["placeholder_answer"]),
        ({"instruction": "q", "output": " None\n"}, ["placeholder_answer"]),
        ({"instruction": "q", "output": "..."}, ["placeholder_answer"]),
        ({"instruction": "q", "output": "……"}, ["placeholder_answer"]),
        ({"instruction": "q", "output": "None of them; nan is no number."}, []),
        ({"instruction": "q", "output": "\u200b"}, ["empty_answer"]),
        ({"instruction": "q", "output": "\ufeff \u2060"}, ["empty_answer"]),
        ({"instruction": "", "output": "a"}, ["empty_prompt"]),
        ({"messages": [Q, A, {"role": "user", "content": "\u200b"}, A]}, ["empty_prompt"]),
        ({"messages": [Q, Q, A]}, ["repeated_turn"]),
        ({"messages": [{"role": "system", "content": "s"}, Q, A, Q, A]}, []),
    ],
)
def test_findings_of_one_row(record, findings):
    assert check(record) == findings


def test_rows_with_an_id_of_an_earlier_row():
    assert find_repeats(np.array([], np.uint64)).tolist() == []
    assert find_repeats(np.array([7, 3, 7, 3, 1, 7], np.uint64)).tolist() == [2, 3, 5]


def test_marks_hold_every_finding_of_the_catalogue():
    assert set(ROW_FINDINGS) | set(DEFECT_KINDS) == set(CATALOGUE)
    rows = {name: np.array([number]) for number, name in enumerate(ROW_FINDINGS)}
    marks = Scan(num_rows=len(ROW_FINDINGS), findings=rows).build_marks()
    assert [read_marks(mark) for mark in marks] == [[name] for name in ROW_FINDINGS]


def test_unread_columns_are_named_with_their_rows():
    assert list_unread({"source": 2, "mail a.b@example.com": 1}) == ["source: 2 rows", "mail a*************m: 1 rows"]
    assert list_unread({f"c{number}": 1 for number in range(40)})[-1] == "10 more columns"


GEMMA = (
    "{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate') }}{% endif %}"
    "<{{ m.role }}>{{ m.content }}</{{ m.role }}>{% endfor %}"
)
BROKEN = "{% for m in messages %}{{ m.content + (1 if 'boom' in m.content else '') }}{% endfor %}"
TOOLS = (
    "{% if tools %}{{ tools | tojson }}{% endif %}{% for m in messages %}{{ m.role }}:{{ m.content }}"
    "{% for c in m.tool_calls or [] %}{{ c.function.name }}{{ c.function.arguments | tojson }}{% endfor %}{% endfor %}"
)


@pytest.fixture
def make_analyser(tmp_path):
    def make(template):
        raw = Tokenizer(models.WordLevel({"[UNK]": 0, "<eos-x>": 1}, unk_token="[UNK]"))  # noqa: S106 - a token of text
        raw.pre_tokenizer = pre_tokenizers.Whitespace()
        raw.add_special_tokens(["<eos-x>"])
        raw.save(str(tmp_path / "tokenizer.json"))
        (tmp_path / "chat_template.jinja").write_text(template)
        return Analyser(OverlapSettings(), 1024, tmp_path)

    return make


def find(analyser, *records):
    origin = Origin(analyser.model / "a.jsonl", "a.jsonl", "auto")
    pieces = [Raw(origin, number, record) for number, record in enumerate(records, start=1)]
    facts = analyser.analyse(pieces, Shared())
    return [sorted(name for row, name in facts.flags if row == number) for number in range(len(records))], facts


def test_rows_that_a_template_refuses_are_findings(make_analyser):
    system = {"instruction": "q", "output": "a", "system": "s"}
    wrong_order = {"messages": [A, Q, A]}
    good = {"instruction": "q", "output": "a"}
    found, facts = find(make_analyser(GEMMA), system, good, wrong_order)
    assert found == [["template_refusal"], [], ["template_refusal"]]
    assert [length > 0 for length in facts.lengths.tolist()] == [False, True, False]


def test_a_template_that_fails_at_a_row_is_the_same_finding(make_analyser):
    found, _ = find(make_analyser(BROKEN), {"instruction": "boom", "output": "a"}, {"instruction": "q", "output": "a"})
    assert found == [["template_refusal"], []]


def test_a_failing_template_is_a_data_error(make_analyser):
    tokenizer = ChatTokenizer(make_analyser(BROKEN).model)
    with pytest.raises(DataError, match="fails at a conversation: TypeError"):
        tokenizer.render([Message(role="user", content="boom")], add_generation_prompt=True)


CALLS = {
    "messages": [Q, {"role": "assistant", "tool_calls": [{"function": {"name": "find_it", "arguments": '{"n": 1}'}}]}],
    "tools": [{"type": "function", "function": {"name": "find_it"}}],
}
REASONED = {"messages": [Q, {**A, "reasoning_content": "because of this"}]}


def test_what_a_template_does_not_print_is_a_finding(make_analyser):
    assert find(make_analyser(GEMMA), CALLS, REASONED)[0] == [["unrendered_part"], ["unrendered_part"]]
    assert find(make_analyser(TOOLS), CALLS, REASONED)[0] == [[], ["unrendered_part"]]
    row = read_record(CALLS, "auto", "x").row
    tokenizer = ChatTokenizer(make_analyser(TOOLS).model)
    text = tokenizer.render([*row.messages, row.reply], add_generation_prompt=False, tools=row.tools)
    assert text == json.dumps(CALLS["tools"]) + 'user:qassistant:find_it{"n": 1}'


def test_special_tokens_of_the_model_and_labels(make_analyser):
    record = {"prompt": "a <eos-x> b", "completion": "a", "label": False}
    assert find(make_analyser(GEMMA), record)[0] == [["special_token", "unwanted_answer"]]
