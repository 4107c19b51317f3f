"""Weaknesses that are planted in a ladder: the verdict of the matching experiment finds each."""

from __future__ import annotations

import pytest

from manual_clock import ManualClock
from practicum_core.rungs import Rung, RungChange
from practicum_core.stages.experiments import Settings, Verdict
from practicum_gateway.ladder import Ladder, LadderSettings, Threshold
from practicum_gateway.signals import Reading, Signals
from practicum_jobs.chaos.outcome import decide_verdict, list_findings

TICK_S = 0.25
RUNGS = (Rung.FULL, Rung.SHORT, Rung.EXTRACT)


def play(ladder, clock, read, seconds):
    """Let the ladder decide for so long; return its steps as an experiment reads them."""
    for _ in range(round(seconds / TICK_S)):
        clock.now_s += TICK_S
        ladder.decide(read())
    return [RungChange(at_s=one.at_s, before=one.before, after=one.after, reason=one.reason) for one in ladder.changes]


def judge(ladder, changes, lowest):
    findings = list_findings([], changes, ladder.rung, Settings(lowest_rung=lowest))
    missed = {one.name for one in findings if not one.is_met}
    return decide_verdict(findings, was_steady=True, left_behind=[]), missed


@pytest.mark.parametrize(
    ("planted", "verdict", "missed"),
    [
        ({}, Verdict.HELD, set()),
        ({"queue_wait_s": Threshold(2.0, 1.99), "up_s": 0.25, "settle_s": 0.25}, Verdict.DEVIATED, {"returns"}),
        ({"up_s": 600.0}, Verdict.DEVIATED, {"ladder_back"}),
        ({"queue_wait_s": Threshold(1000.0, 0.5)}, Verdict.DEVIATED, {"ladder_down"}),
    ],
    ids=["none", "no hysteresis", "does not come back", "does not go down"],
)
def test_a_load_that_only_the_lower_rung_bears(planted, verdict, missed):
    clock = ManualClock()
    ladder = Ladder(LadderSettings(RUNGS, **planted), clock)
    play(ladder, clock, lambda: Reading(queue_wait_s=3.0 if ladder.rung is Rung.FULL else 1.0), 20)
    changes = play(ladder, clock, Reading, 80)
    assert judge(ladder, changes, Rung.SHORT) == (verdict, missed)


@pytest.mark.parametrize(
    ("has_probes", "verdict"), [(True, Verdict.HELD), (False, Verdict.DEVIATED)], ids=["probes", "the port only"]
)
def test_an_engine_that_hangs_while_its_port_answers(has_probes, verdict):
    clock = ManualClock()
    signals = Signals(5.0, 5, 2, clock)
    ladder = Ladder(LadderSettings(RUNGS), clock)

    def read():
        # Nothing ends in a hang, so nothing but a probe can tell.
        is_hung = 10 < clock.now_s < 40
        if has_probes and clock.now_s % 1 == 0:
            signals.observe_probe(None if is_hung else 0.1)
        return signals.read()

    changes = play(ladder, clock, read, 120)
    assert judge(ladder, changes, Rung.EXTRACT) == (verdict, set() if has_probes else {"ladder_down"})
