"""``practicum blind`` from samples to the result, and what it refuses."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from answer_pairs import build_pairs, write_pairs
from practicum_cli.main import main
from practicum_core.blind_files import CheckKind, Choice

OTHER = {"first": "second", "second": "first"}


@pytest.fixture(scope="module")
def sealed(tmp_path_factory):
    """Make a test once; return the folder of runs."""
    folder = tmp_path_factory.mktemp("sealed")
    samples = write_pairs(folder / "samples.jsonl", build_pairs())
    assert main(["blind", "make", str(samples), "--out", str(folder / "experiments")]) == 0
    return folder / "experiments"


@pytest.fixture
def made(sealed, tmp_path):
    """Return a copy of the folder of runs, the folder of the step that made the page, its record and its key."""
    out = tmp_path / "experiments"
    shutil.copytree(sealed, out)
    step = next(out.glob("blind/2*/stages/blind"))
    return out, step, json.loads((step / "record.json").read_text()), json.loads((step / "key.json").read_text())


def write_ratings(folder, record, key, label, num_wins=20, **changes):
    """Write the ratings of a rater who reads and who prefers the candidate in the first ``num_wins`` pairs."""
    answers, place = {}, 0
    for item in key["items"]:
        if item["check"]:
            answers[item["id"]] = Choice.TIE if item["check"] == CheckKind.IDENTICAL else item["candidate_side"]
            continue
        answers[item["id"]] = item["candidate_side"] if place < num_wins else OTHER[item["candidate_side"]]
        place += 1
    ratings = {
        "kind": "practicum-blind-ratings",
        "schema_version": 1,
        "key_sha256": record["key_sha256"],
        "items_sha256": record["items_sha256"],
        "rater": label,
        "language": "zh",
        "answers": answers,
        **changes,
    }
    path = folder / f"{label.strip()}-{len(list(folder.glob('*.json')))}.json"
    path.write_text(json.dumps(ratings))
    return path


def test_two_raters_who_agree_show_which_model_is_better(made, tmp_path, command):
    out, step, record, key = made
    page = (step.parents[1] / record["page"]).read_text()
    assert record["key_sha256"] in page
    assert key["salt"] not in page
    files = [write_ratings(tmp_path, record, key, f"rater-{number}", 18) for number in (1, 2)]
    assert command("blind", "import", *files, "--out", out)[0] == 0
    code, printed, _ = command("blind", "reveal", "--out", out)
    assert code == 0
    assert "Blind raters preferred the tuned model in 90% of the pairs" in printed
    run = next((out / "blind-reveal").glob("2*"))
    metrics = {one["name"]: one for one in json.loads((run / "stages/reveal/record.json").read_text())["metrics"]}
    assert metrics["rater_kappa"]["value"] == 1
    assert metrics["blind_win_rate"]["low"] > 0.5
    pack = (run / "evidence/index.html").read_text()
    assert "微调模型胜率" in pack
    assert "<img" not in pack
    code, _, said = command("blind", "import", files[0], "--out", out)
    assert code == 3
    assert "later ratings are not blind" in said


def test_an_inattentive_rater_is_named_and_left_out_and_one_alone_is_too_few(made, tmp_path, command):
    out, _, record, key = made
    lazy = {item["id"]: "first" for item in key["items"]}
    files = [write_ratings(tmp_path, record, key, "rater-1")]
    files.append(write_ratings(tmp_path, record, key, "rater-2", answers=lazy))
    assert command("blind", "import", *files, "--out", out)[0] == 0
    code, printed, _ = command("blind", "reveal", "--out", out, "--json")
    assert code == 1
    reveal = json.loads((Path(json.loads(printed)["path"]) / "stages/reveal/record.json").read_text())
    assert [(one["rater"], one["is_kept"]) for one in reveal["raters"]] == [("rater-1", True), ("rater-2", False)]
    kinds = [(one["kind"], one["where"]) for one in reveal["failures"]]
    assert kinds == [("inattentive_rater", "rater-2"), ("too_few_raters", "raters")]
    assert "rater_kappa" not in {one["name"] for one in reveal["metrics"]}


def test_the_test_is_made_again_bit_by_bit(made, command):
    code, printed, _ = command("verify", "latest:blind", "--out", made[0])
    assert code == 0
    assert "bit-equal" in printed


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"key_sha256": "0" * 64}, "ratings of another page"),
        ({"items_sha256": "0" * 64}, "it was edited"),
        ({"answers": {"item-01": "tie"}}, "incomplete: 23 of 24 items"),
        ({"answers": {"item-99": "tie"}}, "items that the test does not have: item-99"),
        ({"answers": {"item-01": "both"}}, "input should be 'first', 'second' or 'tie'"),
        ({"kind": "something-else"}, "no ratings of a blind test"),
        ({"rater": ""}, "no ratings of a blind test"),
    ],
)
def test_wrong_ratings_are_refused_in_one_sentence_and_nothing_is_taken_in(made, tmp_path, command, changes, expected):
    out, step, record, key = made
    good = write_ratings(tmp_path, record, key, "rater-1")
    bad = write_ratings(tmp_path, record, key, "rater-2", **changes)
    code, _, said = command("blind", "import", good, bad, "--out", out)
    assert code == 3
    assert expected in said
    assert not list(step.glob("ratings/*"))


@pytest.mark.parametrize("content", [b"", b"{", b"[" * 5000, b"\xff\xfe", b"x" * 1_000_001])
def test_a_file_that_is_no_json_is_refused(made, tmp_path, command, content):
    path = tmp_path / "broken.json"
    path.write_bytes(content)
    code, _, said = command("blind", "import", path, "--out", made[0])
    assert code == 3
    assert str(path) in said


def test_a_rater_counts_once_whatever_the_case_of_the_label(made, tmp_path, command):
    out, _, record, key = made
    assert command("blind", "import", write_ratings(tmp_path, record, key, "rater-1"), "--out", out)[0] == 0
    code, _, said = command("blind", "import", write_ratings(tmp_path, record, key, "Rater-1 "), "--out", out)
    assert code == 3
    assert "each rater counts once" in said


def test_a_key_that_was_edited_is_refused_by_import_and_reveal(made, tmp_path, command):
    out, step, record, key = made
    ratings = write_ratings(tmp_path, record, key, "rater-1")
    assert command("blind", "import", ratings, "--out", out)[0] == 0
    edited = (step / "key.json").read_text().replace('"first"', '"second"', 1)
    (step / "key.json").write_text(edited)
    for arguments in (("import", write_ratings(tmp_path, record, key, "rater-2")), ("reveal",)):
        code, _, said = command("blind", *arguments, "--out", out)
        assert code == 3
        assert "the key is not the one that was sealed" in said


def test_a_reveal_without_ratings_or_without_a_test_says_what_to_do(made, tmp_path, command):
    code, _, said = command("blind", "reveal", "--out", made[0])
    assert (code, "blind import" in said) == (3, True)
    code, _, said = command("blind", "reveal", "--out", tmp_path / "nothing")
    assert (code, "blind make" in said) == (2, True)


def test_models_with_equal_answers_leave_nothing_to_rate(tmp_path, command):
    samples = write_pairs(tmp_path / "samples.jsonl", build_pairs(6, num_equal=6))
    code, printed, _ = command("blind", "make", samples, "--out", tmp_path / "experiments")
    assert code == 0
    assert "there is nothing to rate" in printed


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", "no samples"),
        ("{}\n{}\n", "is there twice"),
        ('{"id": "a", "output": "x"}\n', "answer of one model only"),
        ('{"id": "a"', "line 1 is cut off"),
        ("[1]\n", "line 1"),
    ],
)
def test_samples_that_cannot_be_rated_are_refused(tmp_path, command, content, expected):
    path = tmp_path / "samples.jsonl"
    path.write_text(content)
    code, _, said = command("blind", "make", path, "--out", tmp_path / "experiments")
    assert code == 3
    assert expected in said
