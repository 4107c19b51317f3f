from __future__ import annotations

import itertools
from types import SimpleNamespace

import pytest
import torch

from greedy_answers import encode, generate_greedy
from practicum_core.errors import ConfigError, DataError, Reason, Stopped
from practicum_core.rows import Message
from practicum_jobs.adapters import choice_scores, generation
from practicum_jobs.adapters.answer_engine import ChoiceQuestion
from practicum_jobs.adapters.choice_scores import iter_choice_scores
from practicum_jobs.adapters.generation import (
    LoadedModel,
    find_stop_ids,
    generate_answers,
    iter_answers,
    load_causal_lm,
    pad_left,
)


@pytest.fixture(scope="module")
def tiny(tiny_model_dir) -> LoadedModel:
    """The tiny model with larger random weights: as it is saved, it repeats one token for every row."""
    loaded = load_causal_lm(tiny_model_dir)
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(5)
        for parameter in loaded.model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(0, 0.4)
    return loaded


CONVERSATIONS = [
    [Message(role="user", content=text)]
    for text in ("short", "order 4711 is late", "退款", "a much longer ticket about an order " * 4, "x 12.50", "why?")
]


def generate_reference(loaded: LoadedModel, conversation: list[Message], max_new_tokens: int) -> list[int]:
    """One row alone through transformers' own `generate`."""
    ids = loaded.tokenizer.apply_chat_template(
        [turn.model_dump() for turn in conversation],
        add_generation_prompt=True,
        return_tensors="pt",
        return_dict=False,
    )
    output = loaded.model.generate(
        input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=max_new_tokens, do_sample=False
    )
    return output[0, ids.shape[1] :].tolist()


@pytest.mark.parametrize("batch_size", [1, 4, 16])
def test_batched_answers_equal_single_rows_of_transformers_generate(tiny, batch_size):
    answers = generate_answers(tiny, encode(tiny, CONVERSATIONS), 12, batch_size)
    for conversation, answer in zip(CONVERSATIONS, answers, strict=True):
        expected = generate_reference(tiny, conversation, 12)
        assert answer.text == tiny.tokenizer.decode(expected, skip_special_tokens=True)
        assert answer.num_tokens == len(expected)


def test_rows_that_stop_early_leave_the_batch_and_others_go_on_unchanged(tiny):
    full = [generate_reference(tiny, conversation, 12) for conversation in CONVERSATIONS]
    # Tokens that some rows say early on become stop tokens, so that rows end at different steps.
    stops = frozenset({full[0][1], full[1][3], full[2][3]}) | tiny.stop_ids
    loaded = LoadedModel(tiny.model, tiny.tokenizer, stops)
    answers = generate_answers(loaded, encode(loaded, CONVERSATIONS), 12, 16)
    for tokens, answer in zip(full, answers, strict=True):
        ended = next((number for number, token in enumerate(tokens, 1) if token in stops), len(tokens))
        assert answer.num_tokens == ended
        assert answer.is_stopped == (tokens[ended - 1] in stops)
        assert answer.text == tiny.tokenizer.decode(tokens[:ended], skip_special_tokens=True)
    assert len({answer.num_tokens for answer in answers}) > 2


def test_answers_do_not_depend_on_the_order_of_rows(tiny):
    expected = generate_greedy(tiny, CONVERSATIONS, 8, 4)
    for order in itertools.islice(itertools.permutations(range(len(CONVERSATIONS))), 0, 720, 97):
        shuffled = generate_greedy(tiny, [CONVERSATIONS[row] for row in order], 8, 4)
        assert shuffled == [expected[row] for row in order]


def test_a_stop_request_between_batches_ends_the_generation(tiny):
    seen = []

    def stop_after_two(done: int, total: int) -> None:
        seen.append((done, total))
        if done >= 4:
            raise Stopped

    with pytest.raises(Stopped):
        generate_greedy(tiny, CONVERSATIONS, 4, 2, stop_after_two)
    assert seen == [(2, 6), (4, 6)]


def test_stop_tokens_come_from_generation_config_and_tokenizer(tiny):
    model = SimpleNamespace(generation_config=SimpleNamespace(eos_token_id=[7, 9]))
    assert find_stop_ids(model, tiny.tokenizer) == {7, 9, tiny.tokenizer.eos_token_id}
    assert tiny.stop_ids == {tiny.tokenizer.convert_tokens_to_ids("<|im_end|>")}


def test_a_conversation_longer_than_the_context_is_a_data_error(tiny):
    with pytest.raises(DataError, match="do not fit the model's 1024 positions; the first is row 1"):
        generate_greedy(tiny, [CONVERSATIONS[0], [Message(role="user", content="z " * 1024)]], 4)


def test_broken_weights_are_one_clear_error(tiny_model_dir, tmp_path):
    for file in tiny_model_dir.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(ConfigError, match="cannot be loaded") as caught:
        load_causal_lm(tmp_path)
    assert caught.value.reason is Reason.MODEL_MISSING


def test_no_rows_give_no_answers(tiny):
    assert generate_greedy(tiny, [], 4) == []


def pad_left_with_one_more(prompts, pad_id, device):
    """Stands for a fault between the prompt and the model: one token more in front of each text."""
    return pad_left([[3, *ids] for ids in prompts], pad_id, device)


@pytest.mark.parametrize("more", [[], [3]])
def test_the_prompts_that_are_shown_are_those_that_the_model_was_given(tiny, monkeypatch, more):
    if more:
        monkeypatch.setattr(generation, "pad_left", pad_left_with_one_more)
        monkeypatch.setattr(choice_scores, "pad_left", pad_left_with_one_more)
    prompts = encode(tiny, CONVERSATIONS)
    shown = {row: given.prompt_token_ids for batch in iter_answers(tiny, prompts, 3, 4) for row, given in batch.items()}
    assert shown == {row: more + ids for row, ids in enumerate(prompts)}
    questions = [ChoiceQuestion(ids, ([5, 6], [7])) for ids in prompts]
    scores = {place: one for batch in iter_choice_scores(tiny, questions, 5) for place, one in batch.items()}
    for place, ids in enumerate(prompts):
        assert scores[place].token_ids == [[*more, *ids, 5, 6], [*more, *ids, 7]]
