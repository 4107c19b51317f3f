"""The lines of the sheet from measurements that are given: scores by task, clusters, what was not measured."""

from __future__ import annotations

import pytest

from practicum_core.errors import DataError
from practicum_core.rows import Message, Row
from practicum_core.scorers import ChoiceScorer, UnitTestScorer
from practicum_core.stages.quantcheck import ORIGINAL, group_samples
from practicum_core.stages.quantize import Fidelity, FidelityText
from practicum_jobs.quantcheck.measurement import Measurement, Rate
from practicum_jobs.quantcheck.processes import Probed
from practicum_jobs.quantcheck.samples import list_samples
from practicum_jobs.quantcheck.sheet import Question, Questions, build_rows

ANSWERS = ["yes", "no", "it is yes, I think"]


class Codes:
    """A tokenizer in which a token is one of three answers."""

    def encode_prompt(self, row):
        return list(row.messages[0].content.encode())

    def decode(self, ids):
        return ANSWERS[ids[0]]


def build_row(number, group=""):
    return Row(id=f"r{number}", messages=[Message(role="user", content="?")], answer="yes", group=group)


def build_questions():
    scored = [Question("question", build_row(number, group=f"g{number // 10}")) for number in range(40)]
    control = [Question("control", build_row(100 + number, group="kind"), is_control=True) for number in range(40)]
    return Questions([*scored, *control], Codes())


def build_measurement(answers, distance):
    fidelity = Fidelity(engine="vllm", num_tokens=9, kl_mean=distance, top1_agreement=1.0, perplexity={"en": 2.0})
    rates = [Rate(concurrency=32, num_requests=80, num_tokens=160, seconds=2.0)]
    return Measurement(
        answers=[[one] for one in answers],
        conversation_token_ids=[list(b"?")] * 16,
        fidelity=fidelity,
        rates=rates,
        prompt_token_ids=[list(b"?")] * 80,
    )


def build_sheet(probed):
    sizes = {name: 100 * (number + 1) for number, name in enumerate(reversed(probed))}
    return build_rows(probed, dict.fromkeys(probed), sizes, build_questions(), 0.1)


def test_a_control_row_is_right_where_it_names_the_answer_and_counts_for_itself():
    both = {ORIGINAL: Probed(build_measurement([0] * 80, 0.0)), "int8": Probed(build_measurement([2] * 80, 0.5))}
    original, int8 = build_sheet(both)
    assert original.tasks == []
    question, control = int8.tasks
    assert (question.task, question.artifact, question.verdict, question.num_clusters) == ("question", 0, "worse", 4)
    assert (control.task, control.artifact, control.verdict, control.num_clusters) == ("control", 1, "equivalent", 40)
    assert int8.tokens_per_s == {"32": 80.0}
    assert (original.is_on_front, int8.is_on_front) == (True, True)


@pytest.mark.parametrize("measurement", [None, Measurement(kernel="k", load_s=1.0)])
def test_what_did_not_answer_has_no_figures_and_says_why(measurement):
    probed = {ORIGINAL: Probed(build_measurement([0] * 80, 0.0)), "awq": Probed(measurement, "stopped after 9 s")}
    _, awq = build_sheet(probed)
    assert (awq.tokens_per_s, awq.tasks, awq.fidelity, awq.prompts.num_prompts) == ({}, [], None, 0)
    assert awq.notes == ["stopped after 9 s"]


def test_rows_that_only_one_answers_right_become_samples_before_the_farthest_texts():
    measured = [build_measurement([0, 1, 0, 1] * 20, 0.0), build_measurement([0, 0, 1, 1] * 20, 0.1)]
    distances = {"r1": 0.5, "extra:t1": 0.7}
    measured[1] = measured[1].model_copy(
        update={"fidelity": measured[1].fidelity.model_copy(update={"kl_by_text": distances})}
    )
    probed = {ORIGINAL: Probed(measured[0]), "int8": Probed(measured[1]), "awq": Probed(None, "stopped after 9 s")}
    texts = [FidelityText(id=name, language="en", token_ids=[1], prompt="?", expected="yes") for name in distances]
    samples = list_samples(build_sheet(probed), texts, probed, build_questions())
    assert len(samples) == 42
    assert [(one.id, one.flip, one.kl) for one in samples[:2]] == [("r1", "gained", 0.5), ("r2", "lost", None)]
    assert [(one.id, one.original, one.answer) for one in samples[-2:]] == [
        ("extra:t1", None, None),
        ("r1", "no", "yes"),
    ]
    groups = group_samples(samples)
    assert [(group.title.en, group.tone, len(group.samples)) for group in groups] == [
        ("Right with the original, wrong with int8", "bad", 20),
        ("Wrong with the original, right with int8", "good", 20),
        ("Farthest from the original: int8", "plain", 2),
    ]
    assert [len(one.list_texts()) for one in (samples[0], samples[1], samples[-2])] == [5, 4, 3]


def test_nothing_is_compared_with_an_original_that_did_not_answer():
    probed = {ORIGINAL: Probed(None, "did not load"), "int8": Probed(build_measurement([0] * 80, 0.1))}
    _, int8 = build_sheet(probed)
    assert int8.tasks == []
    assert int8.tokens_per_s


@pytest.mark.parametrize("is_control", [False, True])
@pytest.mark.parametrize(
    ("scorer", "words"),
    [
        (ChoiceScorer(choices=("yes", "no")), "row r7: its scorer 'choice' compares log-probabilities"),
        (UnitTestScorer(tests="assert yes"), "row r7: its scorer 'unit_test' runs the answer as code"),
    ],
)
def test_rows_that_generated_text_cannot_answer_are_refused_before_anything_is_measured(scorer, words, is_control):
    row = build_row(7).model_copy(update={"scorer": scorer})
    with pytest.raises(DataError, match=words) as refused:
        Questions([Question("question", build_row(1)), Question("question", row, is_control=is_control)], Codes())
    assert "practicum compare" in refused.value.fix
