"""Images on their way to the node of a bare cluster: what is tried again, and what is not."""

from __future__ import annotations

import sys

import pytest

from practicum_cluster.bare import BareCluster
from practicum_cluster.shipping import Shipment

_IMAGE = Shipment("localhost/made-up:dev", {}, ())
_CTR = """
import pathlib, sys
tries = pathlib.Path({tries!r})
tries.write_text(tries.read_text() + "x" if tries.exists() else "x")
sys.stdin.buffer.read()
if len(tries.read_text()) <= {refusals}:
    sys.exit({sentence!r})
"""


def ship(tmp_path, monkeypatch, refusals: int, sentence: str) -> int:
    """Ship to a node whose `ctr` refuses so often; returns the number of tries."""
    tries = tmp_path / "tries"
    cluster = BareCluster(tmp_path / "run", tmp_path / "store")
    monkeypatch.setattr(cluster.sandbox, "enter", lambda *_: "")
    code = _CTR.format(tries=str(tries), refusals=refusals, sentence=sentence)
    monkeypatch.setattr(cluster.sandbox, "build_entrance", lambda: [sys.executable, "-c", code])
    try:
        cluster.ship(_IMAGE)
    finally:
        counted = len(tries.read_text())
    return counted


def test_a_layer_that_was_collected_meanwhile_is_unpacked_again(tmp_path, monkeypatch):
    assert ship(tmp_path, monkeypatch, 2, "parent snapshot sha256:1 does not exist: not found") == 3


@pytest.mark.parametrize(("sentence", "tries"), [("parent snapshot sha256:1 does not exist", 3), ("no space left", 1)])
def test_a_refusal_that_stays_or_is_another_is_told(tmp_path, monkeypatch, sentence, tries):
    with pytest.raises(RuntimeError, match=f"made-up:dev: not imported: {sentence}"):
        ship(tmp_path, monkeypatch, 9, sentence)
    assert (tmp_path / "tries").read_text() == "x" * tries
