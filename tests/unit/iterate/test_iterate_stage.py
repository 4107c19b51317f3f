"""The stage ``iterate`` on failures that the stage ``analyze`` found in answers to tickets and control questions."""

from __future__ import annotations

import json

import pytest

from answer_pairs import write_pairs
from practicum_core.errors import DataError, Reason
from practicum_core.rows import Message, Row
from practicum_core.stages.analyze import AnalyzeConfig
from practicum_core.stages.compare import ItemSlice
from practicum_core.stages.evaluate import EvaluationSample
from practicum_core.stages.iterate import SPEC, IterateConfig, NewRow, RepairSample, group_samples
from practicum_core.stages.repair import Decision
from practicum_core.stages.snapshot import SnapshotConfig
from practicum_core.units.iterate import ITERATE
from practicum_jobs import analyze, iterate, snapshot
from practicum_jobs.context import StageContext
from practicum_jobs.datasets.general_items import LANGUAGES, iter_general_rows
from practicum_jobs.datasets.row_records import write_rows
from practicum_jobs.datasets.sources import open_source, read_strictly
from practicum_jobs.datasets.tickets import TicketOptions, build_rows
from practicum_jobs.iterate.variants import build_variants, find_ticket_numbers
from practicum_jobs.scoring.answers import score_answer

DATA = "builtin:tickets?rows=400"
OPTIONS = TicketOptions(rows=400)
NUM_SEEN = 40


def answer(row, wrong):
    """Return a sample of a row that week 3's model answered rightly, or with ``wrong``."""
    said = row.answer if wrong is None else wrong
    split = row.id.partition("-")[0]
    is_right = score_answer(row.task, row.answer, said).is_exact
    return EvaluationSample(
        id=row.id,
        split=split,
        task=row.task,
        group=row.group,
        prompt=row.messages[-1].content,
        expected=row.answer,
        base="",
        candidate=said,
        base_correct=False,
        candidate_correct=is_right,
        base_mentioned=False,
        candidate_mentioned=is_right,
    )


def confuse(row):
    """Return the reference with another category: the failure that SmolLM2-135M makes."""
    document = json.loads(row.answer)
    other = "billing" if document["category"] != "billing" else "refund"
    return row.answer.replace(f'"{document["category"]}"', f'"{other}"')


def write_week_four(folder, wrong, rows=None):
    """Write samples and failures as week 4 leaves them; ``wrong`` gives the wrong answer to a row by its number."""
    test, control = (list(build_rows(OPTIONS, split)) for split in ("test", "control"))
    scored = [answer(row, wrong(number, row)) for number, row in enumerate((rows or test)[:NUM_SEEN])]
    asked = [answer(row, wrong(number, row)) for number, row in enumerate(control[:8])]
    folder.mkdir(parents=True, exist_ok=True)
    samples = write_pairs(folder / "samples.jsonl", [*scored, *asked])
    context = StageContext(folder / "exp/evaluate/one", "analyze", "analyze", cache_dir=folder / "cache")
    record = analyze.run(AnalyzeConfig(samples=f"file://{samples}", train_split=None), context)
    return samples, context.run.root / record.failures_file


def repair(folder, files, **options):
    samples, failures = files
    context = StageContext(folder / "exp/iterate/one", "iterate", "iterate", cache_dir=folder / "cache")
    config = {"data": DATA, "samples": f"file://{samples}", "failures": f"file://{failures}"} | options
    return iterate.run(IterateConfig.model_validate(config), context), context


def fail_some(number, row):
    if row.task == "extract":
        return confuse(row) if number % 4 == 0 else None
    return "no idea" if row.id.startswith("control") and number < 5 else None


@pytest.fixture(scope="module")
def repaired(tmp_path_factory):
    folder = tmp_path_factory.mktemp("repair")
    return repair(folder, write_week_four(folder, fail_some), train_rows=100)


def read_split(ctx, split, folder="data"):
    source = open_source(str(ctx.layout.artifacts / folder), ctx.cache_dir)
    return list(read_strictly(source, split))


def read_lineage(ctx):
    lines = (ctx.layout.artifacts / "lineage.jsonl").read_text().splitlines()
    return [NewRow.model_validate_json(line) for line in lines]


def get_values(record):
    return {metric.name: metric.value for metric in record.metrics}


def read_decision(ctx, name):
    return Decision.model_validate_json((ctx.layout.artifacts / f"{name}.json").read_bytes())


def test_every_new_row_names_a_failure_that_was_read(repaired):
    record, ctx = repaired
    train, pairs = (
        read_split(ctx, "train"),
        [*read_split(ctx, "train", "pairs"), *read_split(ctx, "validation", "pairs")],
    )
    known = {row.id for row in build_rows(OPTIONS, "train")}
    links = {link.id: link for link in read_lineage(ctx)}
    assert {row.id for row in train if row.id not in known} | {pair.id for pair in pairs} == set(links)
    assert [row.id for row in train if row.id in known] == [f"train-{number:07d}" for number in range(100)]
    failed = {json.loads(line)["id"] for line in open_failures(ctx)}
    assert {link.failure.partition("/")[2] for link in links.values()} == failed
    values = get_values(record)
    assert (values["unlinked_rows"], values["repaired_failures"]) == (0, len(failed))
    counts = {f"{one.split}/{one.id}": (one.num_rows, one.num_pairs) for one in record.origins}
    kinds = [(link.failure, link.kind == "pair") for link in links.values()]
    assert counts == {key: (kinds.count((key, False)), kinds.count((key, True))) for key in dict(kinds)}
    assert values["new_rows"] == len(train) - 100
    assert values["num_pairs"] == len(pairs) == sum(link.kind == "pair" for link in links.values())


def open_failures(ctx):
    return (ctx.run.root.parent.parent / "evaluate/one/stages/analyze/failures.jsonl").read_text().splitlines()


def test_no_control_question_is_trained_on_and_general_rows_ask_for_other_things(repaired):
    _, ctx = repaired
    asked = {row.messages[-1].content for row in build_rows(TicketOptions(rows=4000), "control")}
    train = read_split(ctx, "train")
    assert not asked & {row.messages[-1].content for row in train}
    general = [row for row in train if row.id.startswith("added-general")]
    assert len(general) == 2 * 5
    words = {tuple(text.split()[:4]) for text in asked}
    assert not words & {tuple(row.messages[-1].content.split()[:4]) for row in general}


def test_variants_ask_for_the_numbers_that_they_answer_with(repaired):
    _, ctx = repaired
    rows = [row for row in read_split(ctx, "train") if row.id.startswith("repair")]
    variants = [row for row in rows if "-v" in row.id]
    assert len(variants) == 3 * (len(rows) - len(variants))
    for row in variants:
        document = json.loads(row.answer)
        assert document["order"] in row.messages[-1].content
        assert f"{document['amount']:.2f}" in row.messages[-1].content
    assert len({row.messages[-1].content for row in rows}) == len(rows)


def test_pairs_prefer_the_reference_to_the_models_own_answer(repaired):
    record, ctx = repaired
    failures = {json.loads(line)["id"]: json.loads(line) for line in open_failures(ctx)}
    train, held_out = read_split(ctx, "train", "pairs"), read_split(ctx, "validation", "pairs")
    for pair in (*train, *held_out):
        failure = failures[pair.id.removeprefix("pair-")]
        assert (pair.answer, pair.rejected) == (failure["expected"], failure["output"])
    assert not {pair.group for pair in train} & {pair.group for pair in held_out}
    assert record.verdict == "pass"
    assert read_decision(ctx, "prefer").is_yes


def test_the_fresh_split_and_the_control_set_do_not_leak_and_the_looked_at_rows_do(repaired, tmp_path):
    _, ctx = repaired
    seen = {row.messages[-1].content for row in read_split(ctx, "test")}
    fresh = read_split(ctx, "fresh")
    assert len(seen) == NUM_SEEN
    assert not seen & {row.messages[-1].content for row in fresh}
    step = next(step for step in ITERATE.steps if step.stage == "snapshot")
    options = dict(step.config) | {"data": str(ctx.layout.artifacts / "data")}
    context = StageContext(tmp_path / "run", "snapshot", "snapshot", cache_dir=ctx.cache_dir)
    record = snapshot.run(SnapshotConfig.model_validate(options), context)
    assert get_values(record)["unwaived_leaks"] == 0
    assert {leak.name.partition(":")[2] for leak in record.leaks if leak.num_rows} == {"train-test"}
    with pytest.raises(DataError, match="exact:train-test") as caught:
        snapshot.run(SnapshotConfig.model_validate(options | {"waive_leakage": []}), context)
    assert caught.value.reason is Reason.DATA_LEAKAGE


def test_the_slice_is_named_by_the_templates_of_the_failures(repaired):
    record, ctx = repaired
    part = ItemSlice.model_validate_json((ctx.layout.artifacts / "slice.json").read_bytes())
    groups = {json.loads(line)["group"] for line in open_failures(ctx) if json.loads(line)["split"] == "test"}
    assert part == ItemSlice(groups=sorted(groups))
    assert get_values(record)["slice_rows"] == sum(row.group in groups for row in read_split(ctx, "fresh")) > 0
    assert [(claim.split, claim.is_clean) for claim in record.claims] == [
        ("fresh", True),
        ("test", False),
        ("control", True),
    ]
    assert "10 of its rows" in record.claims[1].title_en


def test_samples_show_the_failure_beside_the_new_row(repaired):
    _, ctx = repaired
    samples = [RepairSample.model_validate_json(line) for line in ctx.layout.samples.read_text().splitlines()]
    groups = group_samples(samples)
    assert [len(group.samples) for group in groups] == [10, 10, 30, 10]
    labels = [text.label.en for text in groups[0].samples[0].list_texts()]
    assert labels[0] == "Comes from the failure"
    assert labels[-2:] == ["Chosen", "Rejected: the model's own answer"]


def test_nothing_failed_means_nothing_to_repair(tmp_path):
    record, ctx = repair(tmp_path, write_week_four(tmp_path, lambda _, row: row.answer))
    assert record.notes == ["no answer failed: there is nothing to repair"]
    assert SPEC.describe_result({metric.name: metric for metric in record.metrics}) == (
        "Nothing to repair: no answer failed."
    )
    assert not read_decision(ctx, "retrain").is_yes
    assert not read_decision(ctx, "prefer").is_yes
    assert read_split(ctx, "train") == list(build_rows(OPTIONS, "train"))
    assert record.pairs == ""
    assert get_values(record)["slice_rows"] == 0


def test_failures_of_the_control_set_alone_are_told_where_no_general_question_is_left(tmp_path):
    files = write_week_four(tmp_path, lambda _, row: "no idea" if row.id.startswith("control") else None)
    record, ctx = repair(tmp_path, files, data=f"{DATA}&general_every=1")
    assert len({row.user_text for row in read_split(ctx, "train") if row.id.startswith("general")}) > 100
    assert (record.failures_read, record.unrepaired_failures, get_values(record)["new_rows"]) == (8, 8, 0)
    assert record.notes[0].startswith("8 failures of the control split gave no row")
    assert SPEC.describe_result({metric.name: metric for metric in record.metrics}) == (
        "Nothing was repaired: 8 failures gave no row."
    )


@pytest.mark.parametrize(
    ("wrong", "finding"),
    [(lambda _: "", "empty_rejected"), (lambda row: row.answer.replace(",", ", "), "label_noise")],
)
def test_unusable_pairs_are_named_left_out_and_speak_against_dpo(tmp_path, wrong, finding):
    samples, failures = write_week_four(tmp_path, fail_some)
    cases = [json.loads(line) for line in failures.read_text().splitlines()]
    rows = {row.id: row for row in build_rows(OPTIONS, "test")}
    scored = [case for case in cases if case["split"] == "test"]
    for case in scored[:3]:
        case["output"] = wrong(rows[case["id"]])
    failures.write_text("".join(f"{json.dumps(case)}\n" for case in cases))
    record, ctx = repair(tmp_path, (samples, failures))
    found = {one.name: one for one in record.findings}
    assert found[finding].samples == [f"pair-{case['id']}" for case in scored[:3]]
    assert (found[finding].level, record.num_rows - record.num_clean_rows) == ("fail", 3)
    decision = read_decision(ctx, "prefer")
    assert [reason.title_en for reason in decision.list_reasons()] == [
        "Usable preference pairs",
        "Pairs left out: empty, equal, wrong or repeated",
    ]


def test_equal_sides_are_found(tmp_path):
    samples, failures = write_week_four(tmp_path, fail_some)
    cases = [json.loads(line) for line in failures.read_text().splitlines()]
    scored = next(case for case in cases if case["split"] == "test")
    scored["output"] = f"{scored['expected']} "
    failures.write_text("".join(f"{json.dumps(case)}\n" for case in cases))
    record, _ = repair(tmp_path, (samples, failures))
    assert {one.name: one.num_rows for one in record.findings if one.num_rows} == {"equal_pair": 1}


def test_answers_that_are_regularly_longer_speak_against_dpo(tmp_path):
    record, ctx = repair(
        tmp_path,
        write_week_four(
            tmp_path, lambda n, row: f"{confuse(row)} Sure, here you are! {n} " * 2 if "{" in row.answer else None
        ),
    )
    assert get_values(record)["length_gap"] > 1
    assert [reason.title_en for reason in read_decision(ctx, "prefer").list_reasons()] == [
        "Difference in length of both sides, median"
    ]


@pytest.mark.parametrize(("num_groups", "are_others"), [(2, False), (3, True)])
def test_pairs_held_out_are_of_other_templates_only_where_there_are_enough(tmp_path, num_groups, are_others):
    groups = sorted({row.group for row in build_rows(OPTIONS, "test") if row.task == "extract"})[:num_groups]
    files = write_week_four(tmp_path, lambda _, row: confuse(row) if row.group in groups else None)
    _, ctx = repair(tmp_path, files)
    trained, held_out = ({row.group for row in read_split(ctx, split, "pairs")} for split in ("train", "validation"))
    assert held_out.isdisjoint(trained) is are_others
    titles = [one.title_en for one in read_decision(ctx, "prefer").criteria]
    assert ("Pairs of other templates, held out for validation" in titles) is are_others
    assert any("of the same few templates" in title for title in titles) is not are_others


def test_files_that_do_not_belong_together_are_refused(tmp_path):
    files = write_week_four(tmp_path, fail_some)
    with pytest.raises(DataError, match=r"40 of 40 evaluated rows are not in its split test") as caught:
        repair(tmp_path, files, data="builtin:tickets?rows=400&seed=8")
    assert caught.value.fix == "give the data that was evaluated"
    with pytest.raises(DataError, match=r"nothing\.jsonl: No such file"):
        repair(tmp_path, (files[0], tmp_path / "nothing.jsonl"))
    files[1].write_text('{"id": 3}\n')
    with pytest.raises(DataError, match=r"failures\.jsonl: line 1: "):
        repair(tmp_path, files)
    other = {"id": "test-9999999", "split": "test", "cause": "field", "causes": ["field"], "difference": 1}
    files[1].write_text(f"{json.dumps(other)}\n")
    with pytest.raises(DataError, match="failures that no sample is about: test-9999999"):
        repair(tmp_path, files)


def write_own_data(folder, num_test, **more):
    splits = {split: list(build_rows(OPTIONS, split)) for split in ("train", "validation", "test", "control")}
    splits["test"] = splits["test"][:num_test]
    for split, rows in (splits | more).items():
        write_rows(folder / f"{split}.jsonl", rows)
    return str(folder)


def test_own_data_is_held_out_by_what_week_four_did_not_answer(tmp_path):
    files = write_week_four(tmp_path, fail_some)
    _, ctx = repair(tmp_path, files, data=write_own_data(tmp_path / "more", NUM_SEEN + 8))
    test = [row.messages for row in build_rows(OPTIONS, "test")]
    fresh = read_split(ctx, "fresh")
    assert 0 < len(fresh) <= 8
    assert all(row.messages in test[NUM_SEEN : NUM_SEEN + 8] for row in fresh)
    with pytest.raises(DataError, match="no row is left that nobody looked at") as caught:
        repair(tmp_path, files, data=write_own_data(tmp_path / "less", NUM_SEEN))
    assert "fresh.jsonl" in caught.value.fix
    given = [Row(id="mine", messages=[Message(role="user", content="Is it new?")], answer="yes", task="question")]
    _, ctx = repair(tmp_path, files, data=write_own_data(tmp_path / "given", NUM_SEEN, fresh=given))
    assert [row.answer for row in read_split(ctx, "fresh")] == ["yes"]


def test_own_data_without_a_failure_passes_although_all_rows_were_looked_at(tmp_path):
    files = write_week_four(tmp_path, lambda _, row: row.answer)
    record, ctx = repair(tmp_path, files, data=write_own_data(tmp_path / "own", NUM_SEEN))
    assert len(read_split(ctx, "fresh")) == NUM_SEEN
    assert "nothing was repaired" in record.claims[0].title_en
    assert (record.claims[0].split, record.claims[0].is_clean) == ("fresh", False)


TICKET = '{"category":"refund","order":"TK-100200","amount":10.50,"urgent":false}'


def build_row(prompt, answer=TICKET):
    return Row(id="r", messages=[Message(role="user", content=prompt)], answer=answer)


@pytest.mark.parametrize(
    ("prompt", "answer"),
    [
        ("Ann has 12 apples and buys 15 more. How many?", "12 + 15 = 27"),
        ("The invoice of 2026-11-27 is due in 30 days. When?", "2026-12-27, 30 days later"),
        ("The file is from 2026-11-27. Which date?", '{"date":"2026-11-27"}'),
        ("TK-100200 cost 10.50.", TICKET.replace("}", ',"year":2026}')),
        ("TK-100200 cost 10.50 before.", TICKET.replace("10.50", "12.60")),
        ("TK-100200 cost 10.50: 12 pieces.", TICKET),
        ("TK-100200-7 cost 10.50.", TICKET),
        ("TK-100200 cost 10.50.", "none"),
    ],
)
def test_a_row_whose_numbers_may_depend_on_each_other_has_no_variants(prompt, answer):
    assert build_variants(build_row(prompt, answer), 4, seed=1) == []


def test_a_variant_changes_order_and_amount_alone():
    row = build_row("On 2026-10-50, at 10:50, TK-100200 cost $10.50. AB-100200 is another. Cancel TK-100200, 7 times.")
    variants = build_variants(row, 4, seed=1)
    assert len({variant.answer for variant in (row, *variants)}) == 5
    for variant in variants:
        document = json.loads(variant.answer)
        order, amount = document["order"], f"{document['amount']:.2f}"
        assert variant.user_text == (
            f"On 2026-10-50, at 10:50, {order} cost ${amount}. AB-100200 is another. Cancel {order}, 7 times."
        )
        assert (len(order), len(amount), order != "TK-100200", amount != "10.50") == (9, 5, True, True)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_built_in_ticket_can_be_varied(language):
    rows = list(build_rows(TicketOptions(rows=1000, language=language), "test"))
    assert {find_ticket_numbers(row) is None for row in rows if row.task == "extract"} == {False}
    assert {find_ticket_numbers(row) is None for row in rows if row.task == "question"} == {True}


@pytest.mark.parametrize("language", LANGUAGES)
def test_general_questions_are_all_different(language):
    rows = list(iter_general_rows([language], 7))
    assert len({row.messages[-1].content for row in rows}) == len(rows) > 40
