"""Experiments one after another: an error in one of them leaves what the others found."""

from __future__ import annotations

import time
import traceback
from collections import Counter
from dataclasses import dataclass

from practicum_core.errors import PracticumError, Stopped
from practicum_core.stages.experiments import Experiment, ExperimentResult
from practicum_core.stages.load_results import LoadSample
from practicum_jobs.chaos.outcome import Outcome, classify, decide_verdict, list_findings
from practicum_jobs.chaos.recorder import Recorder
from practicum_jobs.chaos.runner import Course, Runner
from practicum_jobs.load.sameness import Course as RecordedCourse


@dataclass(frozen=True)
class Trial:
    """An experiment and how it went.

    Attributes:
        name: Of the experiment.
        course: What was seen of it.
        result: What came out of it.
        seen: What the gateway recorded of it, where that is wanted.
        not_recorded: Why there is no recording although one is wanted; empty where there is one.
    """

    name: str
    course: Course
    result: ExperimentResult
    seen: RecordedCourse | None = None
    not_recorded: str = ""


@dataclass
class Laboratory:
    """Makes experiments and records them.

    Attributes:
        runner: Runs one.
        recorder: Takes its recording; ``None`` where none is wanted.
        zero_s: Start of the stage on the monotonic clock.
    """

    runner: Runner
    recorder: Recorder | None
    zero_s: float
    _is_interrupted: bool = False

    async def make(self, number: int, name: str, experiment: Experiment, repeat: str) -> Trial:
        """Make one experiment.

        Args:
            number: Of the experiment, from 0.
            name: Its name.
            experiment: What is done.
            repeat: Command that does it again.

        Raises:
            Stopped: A stop was requested.
            PracticumError: It could not be made, nothing was found before that could be lost, and nothing is left.
        """
        course = self.runner.begin()
        try:
            if self._is_interrupted:
                # The client processes may still send what nobody waits for.
                await self.runner.traffic.fleet.restart()
                self._is_interrupted = False
            await self.runner.follow(number, experiment, course)
        except Stopped:
            raise
        except Exception as error:
            if number == 0 and not course.left_behind:
                raise
            course.error = _describe(error)
            self._is_interrupted = True
        end_s = round(time.monotonic() - self.zero_s, 3)
        result = build_result(name, experiment, course, end_s, repeat)
        if self.recorder is None or course.error:
            return Trial(name, course, result)
        try:
            return Trial(name, course, result, await self.recorder.take(name, experiment, course))
        except Exception as error:  # noqa: BLE001 - the experiment was made, whatever became of its recording
            return Trial(name, course, result, not_recorded=_describe(error))


def _describe(error: Exception) -> str:
    """Return what a person should know of an error; one that nobody foresaw goes to the step's log as a whole."""
    if isinstance(error, PracticumError):
        return error.detail
    traceback.print_exception(error)
    return f"{type(error).__name__}: {error}"


def build_result(name: str, experiment: Experiment, course: Course, end_s: float, repeat: str) -> ExperimentResult:
    """Build what came out of an experiment, with the command that repeats it."""
    outcomes = Counter(classify(sample) for sample in course.samples)
    findings = list(course.probed)
    if course.was_steady and not course.error:
        findings = [
            *list_findings(course.samples, course.changes, course.last_rung, experiment.configuration),
            *findings,
        ]
    downs = [one for one in course.changes if one.after.depth > one.before.depth]
    ups = [one for one in course.changes if one.after.depth == 0]
    return ExperimentResult(
        name=name,
        title_en=experiment.names.en,
        title_zh=experiment.names.zh,
        verdict=decide_verdict(
            findings, was_steady=course.was_steady, left_behind=course.left_behind, is_broken_off=bool(course.error)
        ),
        hypothesis=course.hypothesis,
        method=[one.name for one in experiment.method],
        start_s=course.start_s,
        fault_s=course.fault_s,
        undone_s=course.undone_s,
        end_s=end_s,
        findings=findings,
        num_requests=len(course.samples),
        num_full=outcomes[Outcome.FULL],
        num_degraded=outcomes[Outcome.DEGRADED],
        num_errors=outcomes[Outcome.ERROR],
        num_lost=outcomes[Outcome.LOST],
        failures=dict(sorted(Counter(_name_failure(one) for one in course.samples if not one.is_ok).items())),
        changes=course.changes,
        down_s=_subtract(downs[0].at_s if downs else None, course.fault_s),
        back_s=_subtract(ups[-1].at_s if ups else None, course.undone_s),
        left_behind=course.left_behind,
        error=course.error,
        repeat=repeat,
    )


def _subtract(later_s: float | None, earlier_s: float | None) -> float | None:
    return None if later_s is None or earlier_s is None else round(max(later_s - earlier_s, 0.0), 3)


def _name_failure(sample: LoadSample) -> str:
    """Name a failed request by its kind, and whether it was an error of the API's shape."""
    return sample.error if classify(sample) is Outcome.ERROR else f"{sample.error} (lost)"


def explain(result: ExperimentResult) -> str:
    """Say what came out of an experiment in one sentence."""
    missed = [f"{one.name}: {one.shown}, not {one.bound}" for one in result.findings if not one.is_met]
    counts = (
        f"{result.num_requests} requests: {result.num_full} in full, {result.num_degraded} by lower rungs, "
        f"{result.num_errors} errors, {result.num_lost} lost"
    )
    return "; ".join([*([result.error] if result.error else []), *result.left_behind, *missed, counts])
