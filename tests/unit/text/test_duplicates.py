"""Near and exact duplicates against planted truth and against datasketch."""

import random

import numpy as np
import pytest
from datasketch import MinHash, MinHashLSH

from practicum_jobs.text import duplicates
from practicum_jobs.text.duplicates import find_duplicates
from practicum_jobs.text.shingles import compute_jaccard, normalise_text, shingle_texts
from practicum_jobs.text.sketches import SketchSettings, compute_minhashes

WORDS = [f"w{number}" for number in range(3000)]
IDEOGRAPHS = [chr(0x4E00 + number) for number in range(3000)]


def build_rows(num_rows, num_copies, join, vocabulary, length, seed=3):
    """Random rows, and copies in which one or two units are replaced; returns rows and the planted pairs."""
    rng = random.Random(seed)
    rows = {f"r{number}": rng.choices(vocabulary, k=length) for number in range(num_rows)}
    pairs = {}
    for number, source in enumerate(rng.sample(sorted(rows), num_copies)):
        copy = list(rows[source])
        for position in rng.sample(range(length), rng.choice([1, 2])):
            copy[position] = rng.choice(vocabulary)
        pairs[f"z{number}"] = source
        rows[f"z{number}"] = copy
    return {name: join.join(units) for name, units in rows.items()}, pairs


@pytest.mark.parametrize(("join", "vocabulary", "length"), [(" ", WORDS, 90), ("", IDEOGRAPHS, 150)])
def test_planted_near_duplicates_are_found_and_nothing_else(join, vocabulary, length):
    rows, pairs = build_rows(3000, 300, join, vocabulary, length)
    found = find_duplicates(rows.items())
    flagged = {member for group in found.near for member in group[1:]}
    similar = {
        copy
        for copy, source in pairs.items()
        if compute_jaccard(*(shingle_texts([rows[name]], 3, 5).hashes for name in (copy, source))) >= 0.8
    }
    assert len(similar) > 250
    assert len(flagged & similar) / len(similar) >= 0.98
    assert flagged <= set(pairs)
    assert found.exact == ()


def test_agrees_with_datasketch_on_the_same_shingles():
    rows, _ = build_rows(1500, 400, " ", WORDS, 80, seed=11)
    settings = SketchSettings()
    lsh = MinHashLSH(threshold=settings.threshold, num_perm=128, weights=(0.1, 0.9))
    hashes = {
        name: shingle_texts([text], settings.ngram_words, settings.ngram_chars).hashes for name, text in rows.items()
    }
    theirs = set()
    for name, values in hashes.items():
        minhash = MinHash(num_perm=128, seed=1)
        minhash.update_batch([value.tobytes() for value in values])
        theirs |= {tuple(sorted((name, other))) for other in lsh.query(minhash)}
        lsh.insert(name, minhash)
    theirs = {pair for pair in theirs if compute_jaccard(hashes[pair[0]], hashes[pair[1]]) >= settings.threshold}
    ours = {tuple(sorted((group[0], member))) for group in find_duplicates(rows.items()).near for member in group[1:]}
    assert len(theirs) > 250
    assert len(ours & theirs) / len(theirs) >= 0.98
    assert len(ours & theirs) / len(ours) >= 0.98


def test_minhashes_estimate_the_jaccard_similarity():
    texts = [" ".join(WORDS[start : start + 400]) for start in (0, 50, 200)]
    shingles = shingle_texts(texts, 3, 5)
    minhashes = compute_minhashes(shingles, 512, 7)
    for other in (1, 2):
        estimate = float((minhashes[0] == minhashes[other]).mean())
        assert estimate == pytest.approx(compute_jaccard(shingles.of(0), shingles.of(other)), abs=0.09)


def test_shingles_are_those_of_a_plain_loop():
    texts = ["Alpha, beta  gamma delta!", "", "订单 A12 已发货，请查收。", "x", "——", "tail ends here now"]
    shingles = shingle_texts(texts, 2, 4)
    counts = [len(shingles.of(row)) for row in range(len(texts))]
    assert counts == [3, 0, 6, 1, 0, 3]
    again = shingle_texts([f"zz {texts[0]} yy"], 2, 4)
    assert np.isin(shingles.of(0), again.of(0)).all()
    assert not np.isin(shingles.of(0), shingles.of(5)).any()


def test_full_width_and_case_do_not_hide_an_exact_duplicate():
    assert normalise_text("ＡＢＣ１２３") == normalise_text("abc123")
    found = find_duplicates([("a", "手机号１３８"), ("b", "其他内容一二三"), ("c", "手机号138"), ("d", "手机号138 ")])
    assert found.exact == (("a", "c", "d"),)


def test_a_large_group_is_found_whole():
    rng = random.Random(5)
    base = rng.choices(WORDS, k=100)
    rows = []
    for number in range(400):
        copy = list(base)
        copy[rng.randrange(100)] = f"only{number}"
        rows.append((str(number), " ".join(copy)))
    found = find_duplicates(rows)
    assert len(found.near) == 1
    assert len(found.near[0]) == 400


def test_empty_stream_and_rows_without_letters():
    assert find_duplicates([]).near == ()
    assert find_duplicates([("a", "!!"), ("b", "??")]).near == ()
    assert find_duplicates([("a", "!!"), ("b", "??")]).exact == ()


def test_bands_propose_pairs_at_the_threshold():
    for threshold in (0.5, 0.7, 0.8, 0.9, 0.95):
        settings = SketchSettings(threshold=threshold)
        recall = 1 - (1 - threshold**settings.rows_per_band) ** settings.num_bands
        assert recall >= 0.99


def test_signatures_that_stay_on_disk_give_the_same_groups(monkeypatch):
    generator = random.Random(6)
    words = [f"w{number}" for number in range(60)]
    texts = [" ".join(generator.choices(words, k=40)) for _ in range(80)]
    rows = [(f"{number}", text) for number, text in enumerate([*texts, *(f"{text} more" for text in texts[:40])])]
    held = find_duplicates(rows)
    monkeypatch.setattr(duplicates, "_MAX_HELD_BYTES", 0)
    assert find_duplicates(rows) == held
    assert len(held.near) >= 35
