"""The check that an engine processed the meant prompt tokens, on the ways in which engines are known to go wrong."""

from __future__ import annotations

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from practicum_core.stages.prompts import PromptCheck
from practicum_jobs.models.prompts import compare_prompts, describe_difference
from practicum_jobs.models.tokens import ChatTokenizer

WORDS = ["<unk>", "<s>", "user", "assistant", "where", "is", "my", "parcel"]
TEMPLATE = (
    "{% for m in messages %}{{ m.role }} {{ m.content }} {% endfor %}{% if add_generation_prompt %}assistant{% endif %}"
)
QUESTION = "where is my parcel"


@pytest.fixture
def tokenizer(tmp_path):
    raw = Tokenizer(models.WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token=WORDS[0]))
    raw.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    raw.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "chat_template.jinja").write_text(TEMPLATE)
    return ChatTokenizer(tmp_path)


def render(tokenizer, text):
    return tokenizer.render([{"role": "user", "content": text}], add_generation_prompt=True)


def test_equal_tokens_pass(tokenizer):
    meant = tokenizer.encode(render(tokenizer, QUESTION))
    check = compare_prompts([meant], [tuple(meant)])
    assert check.is_shown
    assert (check.num_same, check.num_different, check.first_difference) == (1, 0, "")


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (
            lambda tokenizer: tokenizer.encode(render(tokenizer, render(tokenizer, QUESTION))),
            "token 2 is 2 instead of 4",
        ),
        (lambda tokenizer: [1, *tokenizer.encode(render(tokenizer, QUESTION))], "1 token more at the start: 1"),
        (lambda tokenizer: tokenizer.encode(QUESTION), "token 1 is 4 instead of 2"),
        (lambda tokenizer: tokenizer.encode(render(tokenizer, QUESTION))[:-1], "cut after token 5"),
    ],
    ids=["template applied twice", "BOS added", "no template", "cut off"],
)
def test_other_tokens_are_counted_and_the_first_is_explained(tokenizer, fault, words):
    meant = tokenizer.encode(render(tokenizer, QUESTION))
    check = compare_prompts([meant, meant], [meant, fault(tokenizer)])
    assert (check.num_prompts, check.num_same, check.num_different, check.is_shown) == (2, 1, 1, False)
    assert check.first_difference.startswith("prompt 2: ")
    assert words in check.first_difference


def test_an_engine_that_shows_nothing_has_shown_nothing():
    check = compare_prompts([[1, 2], [3]], [None, [3]])
    assert (check.num_same, check.num_not_shown, check.num_different, check.is_shown) == (1, 1, 0, False)
    assert not PromptCheck().is_shown


def test_answers_of_another_number_of_prompts_are_a_fault_of_the_program():
    with pytest.raises(ValueError, match="zip"):
        compare_prompts([[1]], [])


def test_a_long_addition_is_shortened():
    assert describe_difference([5], [*range(10, 20), 5]).endswith("10 11 12 13 14 15 16 17 ...")
