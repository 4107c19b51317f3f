"""Overlap between two sides: equal, near, long runs."""

import random

from practicum_jobs.text.overlap import Overlap, OverlapSettings, find_overlap

RNG = random.Random(9)
WORDS = [f"v{number}" for number in range(2000)]


def make(length=60):
    return RNG.choices(WORDS, k=length)


def test_kinds_are_told_apart_in_english():
    train = [make() for _ in range(500)]
    near = list(train[3])
    near[30] = "changed"
    run = [*make(20), *train[5][10:23], *make(20)]
    short_run = [*make(20), *train[5][10:22], *make(20)]
    probe = {"exact": train[1], "near": near, "run": run, "short": short_run, "clean": make()}
    found = find_overlap(
        ((str(number), " ".join(row)) for number, row in enumerate(train)),
        ((name, " ".join(row)) for name, row in probe.items()),
    )
    assert found == Overlap(exact=("exact",), near=("near",), ngram=("run",))


def test_kinds_are_told_apart_in_chinese():
    characters = [chr(0x4E00 + number) for number in range(4000)]
    train = ["".join(RNG.choices(characters, k=120)) for _ in range(300)]
    fresh = "".join(RNG.choices(characters, k=120))
    probe = {
        "exact": train[0] + " ",
        "near": train[2][:60] + "改" + train[2][61:],
        "run": fresh[:50] + "，".join((train[4][20:32], train[4][32:44])) + fresh[50:],
        "short": fresh[:50] + train[4][60:83] + fresh[50:],
    }
    found = find_overlap(((str(number), row) for number, row in enumerate(train)), probe.items())
    assert found == Overlap(exact=("exact",), near=("near",), ngram=("run",))


def test_every_equal_probe_row_is_named():
    found = find_overlap([("r", "same text here")], [(str(number), "same text here") for number in range(700)])
    assert len(found.exact) == 700
    assert not found.is_empty


def test_empty_sides():
    assert find_overlap([], [("a", "x")]).is_empty
    assert find_overlap([("a", "x")], []).is_empty


def test_a_shorter_run_can_be_asked_for():
    reference = [("r", "one two three four five six seven")]
    probe = [("p", "zero three four five six nine ten eleven twelve")]
    assert find_overlap(reference, probe).is_empty
    assert find_overlap(reference, probe, OverlapSettings(ngram_words=4)).ngram == ("p",)
