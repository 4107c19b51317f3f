"""The degradation ladder: when it goes down and comes back, that it never flaps, and what a decision costs."""

from __future__ import annotations

import itertools
import timeit
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manual_clock import ManualClock
from practicum_core.rungs import RUNG_TITLES, Rung
from practicum_gateway.ladder import Ladder, LadderSettings
from practicum_gateway.signals import Reading, Signals, WindowedMean

CALM = Reading()
BUSY = Reading(queue_wait_s=1.0)
BAD = Reading(queue_wait_s=3.0)
OUT = Reading(is_engine_out=True, is_small_out=True)
TICK_S = 0.25
ALL = tuple(Rung)


def build(clock, rungs=ALL, **options):
    return Ladder(LadderSettings(rungs, **options), clock)


def play(ladder, clock, readings, seconds):
    """Show the readings in turn, one a tick, for so long; return the rungs."""
    shown = []
    for reading in itertools.islice(itertools.cycle(readings), round(seconds / TICK_S)):
        clock.now_s += TICK_S
        shown.append(ladder.decide(reading))
    return shown


@pytest.fixture
def clock():
    return ManualClock(1000.0)


def test_it_goes_down_step_by_step_under_load_and_comes_back_the_same_way(clock):
    ladder = build(clock)
    play(ladder, clock, [BAD], 5)
    assert ladder.rung is Rung.EXTRACT
    assert ladder.reason == "queue_wait_s"
    play(ladder, clock, [CALM], 30)
    assert ladder.rung is Rung.FULL
    assert ladder.reason == ""
    steps = [(change.before, change.after, change.reason) for change in ladder.changes]
    down = [(*pair, "queue_wait_s") for pair in itertools.pairwise(ALL[:4])]
    up = [(*pair, "calm") for pair in itertools.pairwise(reversed(ALL[:4]))]
    assert steps == down + up


def test_between_the_thresholds_it_stays_where_it_is(clock):
    ladder = build(clock)
    assert set(play(ladder, clock, [BUSY], 60)) == {Rung.FULL}
    play(ladder, clock, [BAD], 1)
    assert set(play(ladder, clock, [BUSY], 300)) == {Rung.SHORT}


def test_an_engine_that_is_out_takes_it_to_the_first_rung_that_needs_none_at_once(clock):
    ladder = build(clock)
    assert ladder.decide(OUT) is Rung.EXTRACT
    assert build(clock).decide(Reading(is_engine_out=True)) is Rung.SMALL
    assert build(clock, (Rung.FULL, Rung.SHORT, Rung.APOLOGY)).decide(OUT) is Rung.APOLOGY
    assert build(clock).decide(Reading(is_engine_out=True, is_small_out=True, is_retrieval_out=True)) is Rung.FAQ
    # The rung was just taken, and yet the next engine fails too.
    ladder = build(clock)
    ladder.decide(Reading(is_engine_out=True))
    assert ladder.decide(OUT) is Rung.EXTRACT


def test_it_does_not_come_back_to_an_engine_that_is_still_out(clock):
    ladder = build(clock)
    play(ladder, clock, [OUT], 100)
    assert ladder.rung is Rung.EXTRACT
    assert len(ladder.changes) == 1


def test_a_small_engine_that_fails_is_left_for_what_needs_none(clock):
    ladder = build(clock)
    play(ladder, clock, [BAD], 3)
    assert ladder.rung is Rung.SMALL
    assert ladder.decide(Reading(is_small_out=True)) is Rung.EXTRACT


def test_on_its_way_up_it_passes_over_extracts_of_what_cannot_be_searched(clock):
    rungs = (Rung.FULL, Rung.SHORT, Rung.EXTRACT, Rung.FAQ)
    ladder = build(clock, rungs)
    assert ladder.decide(Reading(is_engine_out=True, is_small_out=True, is_retrieval_out=True)) is Rung.FAQ
    shown = play(ladder, clock, [Reading(is_retrieval_out=True)], 20)
    assert list(dict.fromkeys(shown)) == [Rung.FAQ, Rung.SHORT, Rung.FULL]


def test_a_person_pins_a_rung_and_lets_go(clock):
    ladder = build(clock, (Rung.FULL, Rung.SHORT, Rung.EXTRACT, Rung.APOLOGY))
    ladder.pin(Rung.SMALL)
    assert set(play(ladder, clock, [CALM, BAD], 20)) == {Rung.EXTRACT}
    assert ladder.reason == "manual"
    ladder.pin(None)
    play(ladder, clock, [CALM], 20)
    assert ladder.rung is Rung.FULL


def test_a_load_that_only_the_lower_rung_bears_makes_it_go_up_once_a_settling_time(clock):
    ladder = build(clock, (Rung.FULL, Rung.SHORT), settle_s=60)
    for _ in range(round(600 / TICK_S)):
        clock.now_s += TICK_S
        ladder.decide(BAD if ladder.rung is Rung.FULL else CALM)
    returns = [change.at_s for change in ladder.changes if change.reason == "calm"]
    # The first return was a mistake; each later one comes after a settling time of calm.
    assert 2 <= len(returns) <= 11
    assert min(later - earlier for earlier, later in itertools.pairwise(returns)) >= 60


SHOWN = [CALM, BUSY, BAD, Reading(first_token_s=9), Reading(error_share=0.5), OUT, Reading(kv_use=1)]
READINGS = st.sampled_from(SHOWN)


@settings(deadline=None, max_examples=50)
@given(fault=st.lists(st.tuples(READINGS, st.integers(1, 19)), min_size=1, max_size=20))
def test_a_fault_without_a_calm_pause_brings_one_return_from_each_rung_and_then_the_best_one(fault):
    clock = ManualClock()
    ladder = build(clock, up_s=5)
    for reading, ticks in fault:
        play(ladder, clock, [reading], ticks * TICK_S)
        # Less than up_s of calm in a row.
        play(ladder, clock, [BUSY], TICK_S)
    play(ladder, clock, [CALM], 120)
    assert ladder.rung is Rung.FULL
    returns = Counter(change.before for change in ladder.changes if change.reason == "calm")
    assert max(returns.values(), default=0) <= 1


@settings(deadline=None, max_examples=50)
@given(readings=st.lists(READINGS, min_size=1, max_size=300))
def test_whatever_it_sees_steps_keep_their_distance(readings):
    clock = ManualClock()
    ladder = build(clock, down_s=2, up_s=5, settle_s=30)
    for reading in readings:
        play(ladder, clock, [reading], TICK_S)
    for earlier, later in itertools.pairwise(ladder.changes):
        if later.reason != "engine_out":
            assert later.at_s - earlier.at_s >= (5 if later.reason == "calm" else 2)
    returns = {}
    for change in ladder.changes:
        if change.reason == "calm":
            assert change.at_s - returns.get(change.before, -100) >= 30
            returns[change.before] = change.at_s


def test_a_decision_with_its_signals_takes_no_more_than_20_microseconds():
    clock = ManualClock()
    ladder = build(clock)
    signals = Signals(5.0, 5, 2, clock)
    for number in range(1000):
        clock.now_s += 0.001
        signals.queue_wait.observe(number / 1000)
    runs = timeit.repeat(lambda: ladder.decide(signals.read()), repeat=20, number=500)
    assert min(runs) / 500 <= 20e-6


@given(values=st.lists(st.tuples(st.floats(0, 5), st.floats(0, 100)), max_size=50))
def test_a_windowed_mean_is_the_mean_of_what_is_left_in_the_window(values):
    clock = ManualClock()
    mean = WindowedMean(10.0, clock)
    seen = []
    for step_s, value in values:
        clock.now_s += step_s
        mean.observe(value)
        seen.append((clock.now_s, value))
    newest = [value for at_s, value in seen if int(at_s) > int(clock.now_s) - 10]
    assert mean.count == len(newest)
    assert mean.read() == pytest.approx(sum(newest) / len(newest) if newest else 0.0)
    clock.now_s += 100
    assert mean.read() == 0.0


def test_few_requests_prove_no_errors_and_probes_in_a_row_prove_an_outage():
    clock = ManualClock()
    signals = Signals(5.0, 3, 2, clock)
    signals.observe_end(has_failed=True)
    signals.observe_end(has_failed=True)
    assert signals.read().error_share == 0.0
    signals.observe_end(has_failed=False)
    assert signals.read().error_share == pytest.approx(2 / 3)
    signals.observe_probe(None)
    assert not signals.read().is_engine_out
    signals.observe_probe(None)
    assert signals.read().is_engine_out
    signals.observe_probe(0.2)
    assert signals.read().first_token_s == pytest.approx(0.2)
    assert not signals.read().is_engine_out
    assert signals.read(are_all_left_out=True).is_engine_out


def test_a_fault_that_hits_every_third_request_brings_one_return_however_few_requests_there_are():
    clock = ManualClock()
    signals = Signals(5.0, 5, 2, clock)
    ladder = build(clock, (Rung.FULL, Rung.SHORT), up_s=3, settle_s=10)
    for tick in range(round(90 / TICK_S)):
        clock.now_s += TICK_S
        # Two requests in three seconds, and the fault lasts for forty.
        if tick % 6 == 0:
            signals.observe_end(has_failed=clock.now_s < 40 and tick % 18 == 0)
            signals.observe_end(has_failed=clock.now_s < 40 and tick % 12 == 0)
        ladder.decide(signals.read())
    assert ladder.rung is Rung.FULL
    assert [change.after for change in ladder.changes] == ["short", "full"]


def test_a_fault_that_hits_every_second_probe_brings_no_return_before_its_end():
    clock = ManualClock()
    signals = Signals(5.0, 5, 2, clock)
    ladder = build(clock, (Rung.FULL, Rung.SHORT, Rung.EXTRACT), up_s=3, settle_s=10)
    for _ in range(round(40 / TICK_S)):
        clock.now_s += TICK_S
        if clock.now_s.is_integer():
            # Two probes fail at first, which takes the ladder to a rung where no request proves anything.
            second = round(clock.now_s)
            is_missed = second in (1, 2) or (second < 20 and second % 2 == 0)
            signals.observe_probe(None if is_missed else 0.1)
        ladder.decide(signals.read())
    assert [(change.after, change.at_s >= 20) for change in ladder.changes] == [
        (Rung.EXTRACT, False),
        (Rung.SHORT, True),
        (Rung.FULL, True),
    ]


def test_every_rung_has_a_title():
    assert set(RUNG_TITLES) == set(Rung)
