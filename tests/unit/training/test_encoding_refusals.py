"""Rows that supervised training cannot use are named before anything is trained."""

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from practicum_core.errors import ConfigError, Reason
from practicum_core.rows import Message, Row, ToolCall
from practicum_jobs.models.tokens import ChatTokenizer
from practicum_jobs.training.encoding import encode_rows

GEMMA = (
    "{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for m in messages %}{{ m.role + m.content + (1 if 'boom' in m.content else '') }} {% endfor %}"
)


@pytest.fixture
def tokenizer(tmp_path):
    raw = Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))  # noqa: S106 - a token of text
    raw.pre_tokenizer = pre_tokenizers.Whitespace()
    raw.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "chat_template.jinja").write_text(GEMMA)
    return ChatTokenizer(tmp_path)


def make(name, user="q", **fields):
    turns = [Message(role="user", content=user)]
    if fields.pop("system", None):
        turns.insert(0, Message(role="system", content="s"))
    return Row(id=name, messages=turns, answer="a", **fields)


def test_every_row_that_cannot_be_trained_on_is_counted_and_named(tokenizer):
    call = Message(role="assistant", content="a", tool_calls=(ToolCall(name="find_it", arguments="{}"),))
    rows = [
        make("good"),
        *[make(f"s{number}", system=True) for number in range(7)],
        make("e1", user="boom"),
        make("c1", answer_turn=call),
        make("k1", label=False),
        make("k2", label=True),
    ]
    with pytest.raises(ConfigError) as caught:
        encode_rows(rows, tokenizer, 64)
    assert caught.value.reason is Reason.PREFLIGHT_FAILED
    for words in (
        "7 rows: the chat template refuses a conversation: System role not supported (s0, s1, s2, s3, s4 and 2 more)",
        "1 rows: the chat template fails at a conversation: TypeError",
        "does not print the tool calls of the answer (c1)",
        "marks the answer as unwanted (label false), which supervised training would teach (k1)",
    ):
        assert words in caught.value.detail
    assert "practicum audit" in caught.value.fix


def test_rows_that_can_be_trained_on_are_encoded(tokenizer):
    assert [row.row.id for row in encode_rows([make("a"), make("b", label=True)], tokenizer, 64)] == ["a", "b"]
