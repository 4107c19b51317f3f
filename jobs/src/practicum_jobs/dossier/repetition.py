"""Repeated executions of one case: whether it fails each time, never, or now and then."""

from __future__ import annotations

from collections.abc import Callable

from practicum_core.dossier_files import Outcome, Reproduction, Symptom, Verdict
from practicum_jobs.dossier.execution import Trial


def repeat(execute: Callable[[], Trial], num_runs: int) -> Reproduction:
    """Execute a case several times.

    It is reproduced if every execution showed the symptom, not reproduced if none did, and flaky otherwise. Executions
    that end differently without the symptom, well and with another failure, are flaky too.
    """
    trials = [execute() for _ in range(num_runs)]
    return conclude(trials)


def conclude(trials: list[Trial]) -> Reproduction:
    """Sum up executions of one case.

    >>> bad, good = Trial(Outcome.BAD, None, 0.1), Trial(Outcome.GOOD, None, 0.1)
    >>> [conclude(trials).verdict.value for trials in ([bad, bad], [good, good], [good, bad])]
    ['reproduced', 'not_reproduced', 'flaky']
    """
    outcomes = {trial.outcome for trial in trials}
    verdict = Verdict.FLAKY
    if len(outcomes) == 1:
        verdict = Verdict.REPRODUCED if outcomes == {Outcome.BAD} else Verdict.NOT_REPRODUCED
    return Reproduction(
        verdict=verdict,
        num_runs=len(trials),
        num_bad=sum(trial.outcome is Outcome.BAD for trial in trials),
        seen=_list_others(trials),
    )


def _list_others(trials: list[Trial]) -> list[Symptom]:
    others: list[Symptom] = []
    for trial in trials:
        seen = trial.seen
        if trial.outcome is Outcome.UNCLEAR and seen and not any(seen.is_same_as(one) for one in others):
            others.append(seen)
    return others
