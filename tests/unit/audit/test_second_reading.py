"""The second reading of an audit: rows that were checked before are known by their lines, the others are checked."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from practicum_core.rows import Message, Row
from practicum_jobs.audit.analysis import Analyser, KnownRows, Shared
from practicum_jobs.audit.places import build_piece, read_id, write_place
from practicum_jobs.datasets.readers import Origin, Raw
from practicum_jobs.text.overlap import OverlapSettings

ANALYSER = Analyser(OverlapSettings(), 100, None)


def build_row(name, question, **rest):
    return Row(id=name, messages=[Message(role="user", content=question)], answer="Yes.", **rest)


def read(rows):
    origin = Origin(Path("a.jsonl"), "a.jsonl", "auto")
    return ANALYSER.analyse([Raw(origin, number, write_place(row)) for number, row in enumerate(rows)], Shared())


def read_again(lines, first):
    exact = np.sort(first.sketches.exact_N)
    known = KnownRows(exact, np.zeros(len(exact), np.uint32), np.sort(first.sound))
    pieces = [build_piece(line, number) for number, line in enumerate(lines)]
    return ANALYSER.analyse(pieces, Shared(known=known))


def test_a_row_without_findings_is_sound_and_one_with_a_finding_is_not():
    facts = read([build_row("a", "Is it late?"), build_row("b", "Call 13800138000"), build_row("c", "")])
    assert {(row, name) for row, name in facts.flags} >= {(1, "pii:cn_mobile"), (2, "empty_prompt")}
    assert len(facts.sound) == 1


def test_a_line_that_is_not_the_one_that_was_checked_is_checked_again():
    rows = [build_row("a", "Is it late?"), build_row("b", "Where is it?"), build_row("c", "Call 13800138000")]
    first = read(rows)
    lines = first.lines.splitlines(keepends=True)
    changed = lines[1].replace(b"Where is it?", b"Call 13900139001")
    again = read_again([lines[0], changed, lines[2]], first)
    assert again.flags == [(1, "pii:cn_mobile"), (2, "pii:cn_mobile")]
    assert again.lines == b""


def test_the_id_of_a_line_is_read_whatever_it_holds():
    for name in ("a", 'a"b\\', "订单 7", "", '{"id":"x"}', "\u2028"):
        assert read_id(write_place(build_row(name, "?", task="extract"))) == name
        assert read_id(write_place(build_row(name, "?", rejected="No."))) == name
