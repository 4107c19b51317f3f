"""The progress that a stage publishes: its share, and how long the rest takes once that can be told."""

from __future__ import annotations

import json

import pytest

from practicum_jobs.context import StageContext


@pytest.mark.parametrize(
    ("fraction", "remaining_s"),
    [(0.0, None), (0.02, None), (0.05, 190.0), (0.5, 10.0), (1.0, 0.0), (1.5, 0.0), (-1.0, None)],
)
def test_the_remaining_time_is_told_once_a_twentieth_is_done(tmp_path, monkeypatch, fraction, remaining_s):
    context = StageContext(tmp_path, "audit", "audit")
    context.layout.root.mkdir(parents=True)
    monkeypatch.setattr(StageContext, "elapsed_s", 10.0)
    context.progress(fraction, "reading")
    told = json.loads(context.layout.progress.read_text())
    assert (told["fraction"], told["message"]) == (min(max(fraction, 0), 1), "reading")
    assert told["eta_s"] == (None if remaining_s is None else pytest.approx(remaining_s))
