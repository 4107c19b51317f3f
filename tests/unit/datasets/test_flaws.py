import hashlib
import json
from collections import Counter, defaultdict

import pytest

from practicum_core.rows import Row
from practicum_jobs.datasets.draws import Draw
from practicum_jobs.datasets.flaws import DEFAULT_OPTIONS, GIANT_BYTES, PLANTS, ensure_flawed, write_flawed
from practicum_jobs.datasets.planted_values import PII, SECRETS
from practicum_jobs.datasets.readers import Defect, iter_rows
from practicum_jobs.datasets.tickets import TicketOptions, read_ticket_options
from practicum_jobs.text.duplicates import find_duplicates
from practicum_jobs.text.overlap import find_overlap
from practicum_jobs.text.pii import find_pii
from practicum_jobs.text.secrets import find_secrets

GOLDEN = {
    "": (
        "b7d685ad6d0c1913365c84a51554d227590811e38e8e1e9b4d0da174e72327c6",
        "0cc75e1bb36e5dc821391f4cc2eec815340c6b442b79f0eb79efcc17c0910803",
        "1c5533633f028fa0e69ca6b99eefb9160f11f564e30c7a576ef4e511b3240fbf",
    ),
    "rows=240&language=en&seed=5": (
        "955b5ea89e8e5ca7a8473c149b3155d7f690c4244bc6a579773a4b43dddcfa91",
        "9518d9e67e737fb2b6a110971c24fec435cc22d26fbcf7cd02237a9478ebff62",
        "acead3b039e640e1df2fbd9f12659b1a502507c65df025a51b4081f4e0c635af",
    ),
}
"""SHA-256 of train, test and truth. A change here needs a new GENERATOR_VERSION."""
GOLDEN_VALUES = "87361a1bb4c5af8c1730da15ddd5474d8245c76b82d92af2bb2277ff78104bbd"
"""SHA-256 of many values of each kind, which these small editions have not. Another needs a new GENERATOR_VERSION."""

DEFECT_CLASSES = {"broken_json", "invalid_utf8", "missing_column", "wrong_type", "row_too_long"}
CLASSES = {
    *("exact_duplicate", "near_duplicate", "leaked_row", "conflicting_answers", "mojibake", "over_long"),
    *(f"pii:{kind}" for kind in PII),
    *(f"secret:{kind}" for kind in SECRETS),
    *DEFECT_CLASSES,
}


class Edition:
    def __init__(self, folder):
        self.lines = (folder / "train.jsonl").read_bytes().splitlines()
        self.truth = [json.loads(line) for line in (folder / "truth.jsonl").read_text().splitlines()]
        read = list(iter_rows(folder / "train.jsonl"))
        self.rows = {row.id: row for row in read if isinstance(row, Row)}
        self.defects = [row for row in read if isinstance(row, Defect)]
        self.tests = {row.id: row for row in iter_rows(folder / "test.jsonl") if isinstance(row, Row)}
        self.validation = {row.id: row for row in iter_rows(folder / "validation.jsonl") if isinstance(row, Row)}
        self.by_class = defaultdict(set)
        for entry in self.truth:
            for name in entry["classes"]:
                self.by_class[name].add(entry["id"] or entry["line"])

    @property
    def clean(self):
        flawed = {entry["id"] for entry in self.truth}
        return {row_id: row for row_id, row in self.rows.items() if row_id not in flawed}


def get_prompt(row):
    return row.messages[-1].content


def get_both(row):
    return f"{get_prompt(row)}\n{row.answer}"


@pytest.fixture(scope="module")
def edition(tmp_path_factory):
    folder = tmp_path_factory.mktemp("flawed")
    write_flawed(TicketOptions(rows=4000, language="both"), folder)
    return Edition(folder)


@pytest.mark.parametrize("query", GOLDEN)
def test_editions_are_the_same_on_every_machine(query, tmp_path):
    write_flawed(read_ticket_options(query, DEFAULT_OPTIONS), tmp_path)
    found = [
        hashlib.sha256((tmp_path / f"{name}.jsonl").read_bytes()).hexdigest() for name in ("train", "test", "truth")
    ]
    assert tuple(found) == GOLDEN[query]


def test_planted_values_are_the_same_on_every_machine():
    values = [build(Draw(key)) for build in (*PII.values(), *SECRETS.values()) for key in range(2000)]
    assert hashlib.sha256("\n".join(values).encode()).hexdigest() == GOLDEN_VALUES


def test_every_class_is_planted_and_told(edition):
    assert set(edition.by_class) == CLASSES
    assert len(edition.lines) == 4000
    counts = Counter(name for entry in edition.truth for name in entry["classes"])
    assert counts["row_too_long"] == 1
    assert all(count >= 20 for name, count in counts.items() if name != "row_too_long")


@pytest.mark.parametrize("language", ["en", "zh", "both"])
def test_the_smallest_edition_holds_every_class(language, tmp_path):
    write_flawed(TicketOptions(rows=200, language=language), tmp_path)
    found = set(Edition(tmp_path).by_class)
    # One over-long row is the giant line; the second one comes with the next turn.
    assert found == CLASSES - {"over_long"}


def test_truth_names_each_line_once_and_ids_are_the_files(edition):
    lines = [entry["line"] for entry in edition.truth]
    assert len(set(lines)) == len(lines)
    for entry in edition.truth:
        assert entry["file"] == "train.jsonl"
        if entry["id"] is None:
            assert set(entry["classes"]) <= DEFECT_CLASSES
        else:
            assert json.loads(edition.lines[entry["line"] - 1])["id"] == entry["id"]


def test_unreadable_lines_are_exactly_the_planted_ones(edition):
    told = {(entry["line"], entry["classes"][0]) for entry in edition.truth if entry["id"] is None}
    assert {(defect.line, defect.kind) for defect in edition.defects} == told
    assert max(len(line) for line in edition.lines) > GIANT_BYTES


def test_repeats_are_what_truth_says(edition):
    for entry in edition.truth:
        classes = entry["classes"]
        if entry["of"] is None or entry["style"] == "first answer":
            continue
        copy = edition.rows[entry["id"]]
        first = (edition.tests if classes == ["leaked_row"] else edition.rows)[entry["of"]]
        if classes == ["exact_duplicate"] or entry["style"] == "copy":
            assert (copy.messages, copy.answer) == (first.messages, first.answer)
        elif "conflicting_answers" in classes:
            assert copy.messages == first.messages
            assert copy.answer != first.answer
        else:
            assert get_prompt(copy) != get_prompt(first)
            assert copy.answer == first.answer
        if classes != ["leaked_row"]:
            assert entry["of"] < entry["id"]


def test_each_row_is_repeated_once_at_most(edition):
    counts = Counter(entry["of"] for entry in edition.truth if entry["of"] and entry["style"] != "first answer")
    assert max(counts.values()) == 1


def test_detectors_agree_with_truth_on_duplicates_and_leaks(edition):
    clusters = find_duplicates((row_id, get_both(row)) for row_id, row in edition.rows.items())
    exact = {row_id for group in clusters.exact for row_id in group[1:]}
    near = {row_id for group in clusters.near for row_id in group[1:]}
    assert exact == edition.by_class["exact_duplicate"]
    told = edition.by_class["near_duplicate"]
    assert len(near & told) >= 0.95 * max(len(near), len(told))
    leaks = find_overlap(
        ((row_id, get_both(row)) for row_id, row in edition.tests.items()),
        ((row_id, get_both(row)) for row_id, row in edition.rows.items()),
    )
    assert {*leaks.exact, *leaks.near} == edition.by_class["leaked_row"]


def test_clean_rows_are_clean(edition):
    rows = {**edition.clean, **edition.tests, **edition.validation}
    assert len(edition.clean) > 2500
    for row in rows.values():
        assert find_pii(get_both(row)) == []
        assert find_secrets(get_both(row)) == []
    clusters = find_duplicates((row_id, get_both(row)) for row_id, row in rows.items())
    assert (clusters.exact, clusters.near) == ((), ())


def test_splits_share_no_long_run_of_words(edition):
    texts = {
        name: [(row_id, get_prompt(row)) for row_id, row in rows.items()]
        for name, rows in (("train", edition.clean), ("validation", edition.validation), ("test", edition.tests))
    }
    for one, other in (("train", "validation"), ("train", "test"), ("validation", "test")):
        assert find_overlap(texts[one], texts[other]).is_empty


def test_personal_data_is_written_in_every_way(edition):
    styles = defaultdict(set)
    for entry in edition.truth:
        kind, _, detail = entry["classes"][0].partition(":")
        if kind == "pii":
            styles[detail].add(entry["style"])
    expected = {"ordinary", "ordinary, glued to Chinese", "full-width digits", "full-width digits, glued to Chinese"}
    assert all(expected <= found for found in styles.values())
    assert {"groups", "groups, glued to Chinese"} <= styles["bank_card"] & styles["cn_mobile"]


def test_garbled_rows_can_be_read_back(edition):
    for row_id in edition.by_class["mojibake"]:
        text = get_prompt(edition.rows[row_id])
        if edition.rows[row_id].language == "zh":
            assert "订单" in text.encode("latin-1").decode() or "资料" in text.encode("latin-1").decode()
        else:
            assert any(mark in text for mark in ("â€™", "Ã©", "â€œ"))


def test_an_edition_is_made_once(tmp_path):
    options = TicketOptions(rows=200)
    folder = ensure_flawed(options, tmp_path)
    before = {file.name: file.stat().st_mtime_ns for file in folder.iterdir()}
    assert set(before) == {"train.jsonl", "validation.jsonl", "test.jsonl", "truth.jsonl"}
    assert ensure_flawed(options, tmp_path) == folder
    assert {file.name: file.stat().st_mtime_ns for file in folder.iterdir()} == before
    assert ensure_flawed(TicketOptions(rows=200, seed=8), tmp_path) != folder


def test_plants_hold_every_kind():
    assert {f"pii:{kind}" for kind in PII} | {f"secret:{kind}" for kind in SECRETS} <= set(PLANTS)
    assert len(PLANTS) <= 50
