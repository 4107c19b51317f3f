"""The known ways in which preference training fails, each planted in curves or answers."""

from __future__ import annotations

import pytest

from practicum_core.curves import Curves
from practicum_core.stages.training import CheckpointSample
from practicum_jobs.dpo.diagnosis import diagnose_preferences, find_preference_faults


def make_curves(chosen: tuple[float, float], margins: tuple[float, float], rewards: tuple[float, ...]) -> Curves:
    return Curves(
        {
            "eval_logps_chosen": [(0, chosen[0]), (20, chosen[1])],
            "eval_rewards_margins": [(0, margins[0]), (20, margins[1])],
            "rewards_chosen": list(enumerate(rewards, start=1)),
        }
    )


@pytest.mark.parametrize(
    ("curves", "expected"),
    [
        (make_curves((-20, -19), (0, 1.2), (0, 0.1)), []),
        (make_curves((-20, -20.9), (0, 1.2), (0, -0.09)), []),
        (make_curves((-20, -35), (0, 1.2), (0, -1.5)), ["chosen_less_likely"]),
        (make_curves((-20, -35), (0, -0.3), (0, -1.5)), []),  # no margin was won: another fault
        (make_curves((-20, -20), (0, 0), (0, 5e-5)), ["rewards_stuck"]),
        (Curves(), []),
    ],
)
def test_faults_of_the_curves_are_named(curves, expected):
    faults = find_preference_faults(curves, [])
    assert [fault.kind for fault in faults] == expected
    assert ("None of the known faults" in diagnose_preferences(faults)) == (not expected)


def test_repetition_counts_where_the_last_checkpoint_shows_it():
    loop = "refund refund refund refund refund refund refund"
    early = CheckpointSample(id="a", prompt="?", expected="refund", step=10, output=loop)
    late = early.model_copy(update={"step": 20, "output": "refund"})
    assert find_preference_faults(Curves(), [early, late]) == []
    swapped = [late.model_copy(update={"step": 10}), early.model_copy(update={"step": 20})]
    faults = find_preference_faults(Curves(), swapped)
    assert [(fault.kind, fault.where) for fault in faults] == [("repetition", "step 20")]
    assert "lower learning_rate" in diagnose_preferences(faults).lower()
