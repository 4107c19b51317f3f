import hashlib
import json
import re
import time
import tracemalloc
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from practicum_core.errors import ConfigError
from practicum_core.rows import Row
from practicum_jobs.datasets.phrases import CATEGORIES
from practicum_jobs.datasets.tickets import (
    MAX_ROWS,
    MIN_ROWS,
    PACKS,
    SPLITS,
    TicketOptions,
    build_rows,
    read_ticket_options,
)
from practicum_jobs.text.duplicates import find_duplicates
from practicum_jobs.text.overlap import find_overlap
from practicum_jobs.text.pii import find_pii
from practicum_jobs.text.secrets import find_secrets

BOTH = TicketOptions(rows=20_000, language="both")
TICKET_SPLITS = ("train", "validation", "test")
HELD_OUT = ("validation", "test")

GOLDEN = {
    ("", "train"): "1e45f96491a228a8491976d55d5f7b40e1e55ac9ab65bb58fffb3ab790e6bb7b",
    ("", "validation"): "ea53a1c3e803b48793adb0ea1b4587afaa7e70bf4b814d2fd27ecac36cfcaa65",
    ("", "test"): "e62d94866255236f239546fae7a43c1f607b340c6835656a34c1f0a7d443d926",
    ("", "control"): "611aa1980f5a0101cf36aa0d9c0bab9428435570b1e14dd7d6717596e88f59b4",
    ("language=both&rows=400", "train"): "3811afd537a3d539b060c35a2bd9a72159f99c92ee1ff523c1089ed16153c900",
    ("language=both&rows=400", "test"): "6e2bc224f234151dacaf3669289dcfe684f490260e8feac0d25f755c072f5dad",
    ("general_every=5", "train"): "8598f78d29c6af8153d001ec82ebb70b077c78845357a5ffd5663fa1c1e81d2f",
    ("rows=3000&language=zh&seed=11", "train"): "8b2ced50e0f8901647513d9009977bddf695994faaf88a2f0438e48231889188",
    ("rows=3000&language=zh&seed=11", "control"): "4c2c7c7085af635a2b9464224f1796c84cb9df2690e3401dbb80f4192aadbce3",
}
"""SHA-256 of the rows as JSON lines. A change here needs a new GENERATOR_VERSION."""


def get_text(row: Row) -> str:
    return row.messages[-1].content


@pytest.mark.parametrize(("query", "split"), GOLDEN)
def test_rows_are_the_same_on_every_machine(query, split):
    digest = hashlib.sha256()
    for row in build_rows(read_ticket_options(query), split):
        digest.update(row.model_dump_json().encode() + b"\n")
    assert digest.hexdigest() == GOLDEN[query, split]


def test_every_fifth_row_is_a_general_question_until_each_was_asked():
    options = read_ticket_options("general_every=5&language=both")
    rows = list(build_rows(options, "train"))
    general = [number for number, row in enumerate(rows) if row.id.startswith("general")]
    assert general == [4 + 5 * turn for turn in range(len(general))]
    assert len(rows) == options.rows
    assert len(general) == len({rows[number].user_text for number in general}) == 168
    assert [row for row in rows if not row.id.startswith("general")] == [
        row
        for number, row in enumerate(build_rows(read_ticket_options("language=both"), "train"))
        if number not in general
    ]
    control = [(row.id, row.user_text) for row in build_rows(options, "control")]
    shared = find_overlap(((rows[number].id, rows[number].user_text) for number in general), control)
    assert not any([shared.exact, shared.near, shared.ngram])


@pytest.mark.parametrize("split", HELD_OUT)
def test_no_general_question_is_in_a_split_that_is_scored(split):
    mixed, plain = (list(build_rows(read_ticket_options(query), split)) for query in ("general_every=2", ""))
    assert mixed == plain


def test_default_suits_a_laptop():
    options = read_ticket_options("")
    assert [options.count_rows(split) for split in SPLITS] == [2000, 200, 200, 100]
    assert {row.language for split in SPLITS for row in build_rows(options, split)} == {"en"}


@pytest.mark.parametrize("split", TICKET_SPLITS)
def test_answers_are_the_json_that_the_text_holds(split):
    for row in islice(build_rows(BOTH, split), 2000):
        if row.task != "extract":
            continue
        answer = json.loads(row.answer)
        assert list(answer) == ["category", "order", "amount", "urgent"]
        assert answer["category"] in CATEGORIES
        assert re.fullmatch(r"TK-[0-9]{6}", answer["order"])
        assert isinstance(answer["urgent"], bool)
        assert answer["order"] in get_text(row)
        assert f"{answer['amount']:.2f}" in get_text(row)
        assert row.messages[0].role == "system"
        assert row.group.startswith(f"{row.language}-{split}-{answer['category']}-")
        pool = PACKS[row.language].pools[split]
        assert any(get_text(row).endswith(end) for end in (pool.urgent if answer["urgent"] else pool.calm))


@pytest.mark.parametrize("split", TICKET_SPLITS)
def test_questions_are_answered_by_their_note(split):
    rows = [row for row in build_rows(BOTH, split) if row.task == "question"]
    assert len(rows) == BOTH.count_rows(split) // 10
    assert all(row.answer in get_text(row) for row in rows)


def iter_phrases(language: str, split: str):
    pool = PACKS[language].pools[split]
    for forms in pool.problems.values():
        yield from forms
    yield from (*pool.openings, *pool.amounts, *pool.urgent, *pool.calm, *pool.products, *pool.cities)
    for note in pool.notes:
        yield from (note.note, note.question)


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize(("one", "other"), [("train", "validation"), ("train", "test"), ("validation", "test")])
def test_no_phrase_or_name_is_shared_between_splits(language, one, other):
    shared = set(iter_phrases(language, one)) & set(iter_phrases(language, other))
    assert shared <= {""}


@pytest.mark.parametrize("language", ["en", "zh"])
def test_no_name_of_a_held_out_split_holds_or_is_held_by_a_name_in_train(language):
    train = PACKS[language].pools["train"]
    for split in HELD_OUT:
        pool = PACKS[language].pools[split]
        inside = [
            (name, known)
            for name in (*pool.products, *pool.cities)
            for known in (*train.products, *train.cities)
            if name in known or known in name
        ]
        assert inside == []


def collect_values(split: str) -> dict[str, set[str]]:
    values: dict[str, set[str]] = {"order": set(), "amount": set(), "number": set(), "group": set(), "text": set()}
    for row in build_rows(BOTH, split):
        values["group"].add(row.group)
        values["text"].add(get_text(row))
        if row.task == "extract":
            answer = json.loads(row.answer)
            values["order"].add(answer["order"])
            values["amount"].add(str(int(answer["amount"])))
        else:
            values["number"].update(re.findall(r"[0-9]+", get_text(row)))
    return values


def test_no_value_is_shared_between_splits():
    collected = {split: collect_values(split) for split in TICKET_SPLITS}
    for one, other in [("train", "validation"), ("train", "test"), ("validation", "test")]:
        for kind, values in collected[one].items():
            assert not values & collected[other][kind], (one, other, kind)


def test_control_items_are_no_tickets_and_do_not_repeat():
    for language in ("en", "zh", "both"):
        rows = list(build_rows(TicketOptions(rows=MAX_ROWS, language=language), "control"))
        texts = [get_text(row) for row in rows]
        assert len(set(texts)) == len(rows) == 200
        assert all(row.messages[0].role == "user" and row.task == "question" for row in rows)
        names = {name for pack in PACKS.values() for pool in pack.pools.values() for name in pool.cities}
        assert not [text for text in texts if "TK-" in text or any(name in text for name in names)]


def test_control_sums_are_right():
    for row in build_rows(TicketOptions(rows=4000), "control"):
        sum_of = re.fullmatch(r"What is (\d+) (plus|minus) (\d+)\? Answer with a number\.", get_text(row))
        if sum_of:
            left, right = int(sum_of[1]), int(sum_of[3])
            assert int(row.answer) == (left + right if sum_of[2] == "plus" else left - right)


@pytest.mark.parametrize("language", ["en", "zh", "both"])
def test_the_first_sixty_test_rows_are_balanced(language):
    rows = list(islice(build_rows(TicketOptions(language=language), "test"), 60))
    extract = [row for row in rows if row.task == "extract"]
    assert len(extract) == 54
    counts = [sum(f'"{category}"' in row.answer for row in extract) for category in CATEGORIES]
    assert max(counts) - min(counts) <= 1
    languages = [sum(row.language == name for row in rows) for name in ("en", "zh") if language in {name, "both"}]
    assert max(languages) - min(languages) <= 6
    assert len({row.group for row in extract}) >= 25


def test_a_prefix_of_a_larger_set_is_the_same():
    small = list(build_rows(TicketOptions(rows=300), "train"))
    large = list(islice(build_rows(TicketOptions(rows=5000), "train"), 300))
    assert small == large


def test_other_seeds_give_other_rows():
    one, other = (next(iter(build_rows(TicketOptions(seed=seed), "train"))) for seed in (1, 2))
    assert get_text(one) != get_text(other)


def test_rows_are_unlike_each_other():
    rows = [(row.id, f"{get_text(row)}\n{row.answer}") for row in build_rows(BOTH, "train")]
    clusters = find_duplicates(rows)
    assert clusters.exact == ()
    assert sum(len(group) - 1 for group in clusters.near) <= len(rows) // 1000


@pytest.mark.parametrize("split", ["validation", "test", "control"])
def test_no_row_stands_in_train(split):
    texts = {name: [(row.id, get_text(row)) for row in build_rows(BOTH, name)] for name in ("train", split)}
    assert find_overlap(texts["train"], texts[split]).is_empty


def test_nothing_looks_like_personal_data_or_a_secret():
    for split in SPLITS:
        for row in islice(build_rows(BOTH, split), 2000):
            text = f"{get_text(row)}\n{row.answer}"
            assert find_pii(text) == []
            assert find_secrets(text) == []


def test_generation_streams():
    options = TicketOptions(rows=MAX_ROWS)
    rows = build_rows(options, "train")
    tracemalloc.start()
    started = time.perf_counter()
    for _ in islice(rows, 20_000):
        pass
    seconds = time.perf_counter() - started
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2_000_000
    # About 100,000 rows a second without tracing; the bound leaves room for it and for a busy machine.
    assert seconds < 20


@given(st.integers(MIN_ROWS, MAX_ROWS), st.sampled_from(["en", "zh", "both"]), st.integers(0, 2**63))
def test_options_survive_their_query(rows, language, seed):
    options = TicketOptions(rows, language, seed)
    assert read_ticket_options(options.to_query()) == options


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("row=500", "did you mean 'rows'"),
        ("rows=199", "from 200 to 1000000"),
        ("rows=1000001", "from 200 to 1000000"),
        ("rows=many", "whole number"),
        ("rows=²³⁴", "whole number"),
        ("language=eng", "did you mean 'en'"),
        ("seed=-1", "seed must be"),
        ("rows=300&rows=400", "given twice"),
    ],
)
def test_wrong_options_are_explained(query, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        read_ticket_options(query)


def test_all_problems_come_at_once():
    with pytest.raises(ConfigError) as caught:
        read_ticket_options("rows=1&language=fr&sed=3")
    assert all(part in caught.value.detail for part in ("rows", "language", "did you mean 'seed'"))


def test_unknown_split():
    with pytest.raises(ConfigError, match="did you mean 'test'"):
        build_rows(TicketOptions(), "tests")
