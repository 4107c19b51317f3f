"""The gold set, which earns nothing by position or length; the offline judge; known winners from a file."""

from __future__ import annotations

import json

import pytest

from answer_pairs import build_pairs, write_pairs
from practicum_core.errors import DataError
from practicum_core.stages.judge import SPEC
from practicum_core.stages.reveal import BlindSample
from practicum_jobs.judge.gold import build_canaries, build_gold, hash_gold
from practicum_jobs.judge.pairs import Pair
from practicum_jobs.judge.preference import Judged, draw_labels
from practicum_jobs.judge.reference_judge import name_better

SHA256 = {
    "en": "d8f596bf8fc75b80d0337d57fde52b01d7b56955e488f0c4cb9a41d3feee3055",
    "zh": "b0b1c3b91cece50eeb32760d9d84ef3df4e9b314a8ba5e338ea807312d95d25b",
}


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_gold_set_is_the_same_everywhere(language):
    assert hash_gold(build_gold(language)) == SHA256[language]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_neither_position_nor_length_earns_agreement(language):
    pairs = build_gold(language)
    winners = [pair.winner for pair in pairs]
    assert (len(pairs), winners.count("candidate"), winners.count("base")) == (60, 24, 24)
    decided = [pair for pair in pairs if pair.winner != "tie" and pair.length_gap]
    longer = sum((pair.length_gap > 0) == (pair.winner == "candidate") for pair in decided)
    assert 0.4 <= longer / len(decided) <= 0.6
    assert len({(pair.prompt, pair.base, pair.candidate) for pair in pairs}) == 60
    assert all(pair.base != pair.candidate for pair in pairs)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_canaries_are_no_gold_pairs(language):
    prompts = {pair.prompt for pair in build_gold(language)}
    canaries = build_canaries(language)
    assert len(canaries) == 8
    assert not prompts & {pair.prompt for pair in canaries}
    assert {pair.winner for pair in canaries} == {"base", "candidate", "tie"}


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_scorers_miss_what_they_cannot_see(language):
    """JSON inside sentences has no fields for them, and a right fact beside a wrong one is right."""
    missed = {pair.id.split("-", 3)[3] for pair in build_gold(language) if name_better(pair) != pair.winner}
    assert missed == {"chatty-wrong_amount", "exact-hedged"}


def test_the_offline_judge_is_calibrated_in_both_languages(stand):
    stand.path = write_pairs(stand.tmp_path / "both.jsonl", build_pairs(30))
    record = stand.run()
    assert record.is_calibrated
    assert record.preference == "candidate"
    metrics = {metric.name: metric for metric in record.metrics}
    assert metrics["judge_gold_pairs"].value == 120
    assert (metrics["judge_pairs"].value, metrics["judge_equal_pairs"].value) == (30, 2)
    assert metrics["judge_kappa"].low > 0.8
    assert "preferred the tuned model in 97% of the pairs" in SPEC.describe_result(metrics)


def test_the_scorers_do_not_correct_themselves(stand):
    record = stand.run()
    metrics = {metric.name: metric for metric in record.metrics}
    assert not record.is_independent
    assert "judge_win_rate" in metrics
    assert "judge_win_rate_debiased" not in metrics
    assert metrics["judge_labelled_pairs"].value == 0
    assert "judge_win_rate_debiased" not in {one.where for one in record.failures}


def test_two_equal_runs_write_equal_samples(stand):
    first = stand.run()
    content = stand.context.layout.samples.read_bytes()
    (stand.context.layout.root / "judgements.jsonl").unlink()
    second = stand.run()
    assert stand.context.layout.samples.read_bytes() == content
    assert first.metrics == second.metrics


def test_equal_answers_everywhere_ask_the_judge_about_the_gold_set_alone(stand):
    pairs = build_pairs(12, num_equal=12)
    stand.path = write_pairs(stand.tmp_path / "equal.jsonl", pairs)
    record = stand.run()
    assert (record.is_calibrated, record.preference) == (True, "none")


def write_labels(stand, lines):
    path = stand.tmp_path / "labels.jsonl"
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return f"file://{path}"


def test_known_winners_correct_the_win_rate(stand):
    """The labels say that the base model won every second pair that the judge gave to the candidate."""
    lines = [json.dumps({"id": f"test-{number}", "winner": "base"}) for number in range(0, 24, 2)]
    record = stand.run(labels=write_labels(stand, [*lines, '{"id": "other", "winner": "tie"}']))
    metrics = {metric.name: metric for metric in record.metrics}
    assert metrics["judge_labelled_pairs"].value == 12
    assert metrics["judge_win_rate_debiased"].value < metrics["judge_win_rate"].value - 0.4


def test_the_samples_of_an_opened_blind_test_are_known_winners(stand):
    """A blind test draws pairs that differ: they say nothing of the 24 equal ones, which are ties."""
    equal = [one.model_copy(update={"id": f"equal-{one.id}", "base": f"{one.candidate}\n"}) for one in stand.samples]
    stand.path = write_pairs(stand.tmp_path / "half.jsonl", [*stand.samples, *equal])
    lines = [BlindSample(id=f"test-{number}", preferred="candidate").model_dump_json() for number in range(12)]
    record = stand.run(labels=write_labels(stand, [*lines, '{"id": "equal-test-0", "winner": "base"}']))
    metrics = {metric.name: metric for metric in record.metrics}
    assert metrics["judge_equal_pairs"].value == 24
    assert metrics["judge_labelled_pairs"].value == 12
    assert metrics["judge_win_rate_debiased"].value == pytest.approx(0.75)
    assert metrics["judge_win_rate_debiased"].high <= 0.75


def test_the_scorers_label_only_pairs_that_differ():
    pairs = [
        Judged(Pair(str(number), "pair", "en", "", "", "a", "b" if number < 6 else "a", "a", None, ""), "candidate")
        for number in range(20)
    ]
    labels = draw_labels(pairs, 50, seed=1)
    assert len(labels) == 3
    assert labels.keys() < {str(number) for number in range(6)}


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (["{"], "line 1"),
        (['{"id": "test-1", "winner": "both"}'], "line 1: winner"),
        (['{"id": "test-1", "winner": "tie"}'] * 2, "line 2: the pair test-1 is there twice"),
        (['{"id": "elsewhere", "winner": "tie"}'], "none of its 1 labels"),
        ([], "none of its 0 labels"),
    ],
)
def test_labels_that_are_none_are_refused(stand, lines, told):
    with pytest.raises(DataError, match=told):
        stand.run(labels=write_labels(stand, lines))


def test_one_models_answers_are_refused(stand):
    one = build_pairs(1)[0].model_copy(update={"candidate": None})
    stand.path = write_pairs(stand.tmp_path / "one.jsonl", [one])
    with pytest.raises(DataError, match="one model only"):
        stand.run()
