"""A recording that is replayed in place of experiments, and what the replays amount to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from practicum_core.errors import DataError
from practicum_core.stages.base import Failure
from practicum_core.stages.chaos import ChaosConfig
from practicum_core.stages.experiments import Experiment
from practicum_core.stages.replays import ReplayComparison, ReplayVerdict, Tolerances
from practicum_core.traffic import RECORDING, Recording
from practicum_jobs.chaos.files import check_activities
from practicum_jobs.chaos.recorder import RecordedTraffic
from practicum_jobs.chaos.traffic import Traffic
from practicum_jobs.context import StageContext
from practicum_jobs.load.prompts import Prompt
from practicum_jobs.load.recording import read_recording
from practicum_jobs.load.replay import build_replay, list_replayable
from practicum_jobs.load.sameness import Course, compare_courses
from practicum_jobs.load.schedule import RateStep


@dataclass(frozen=True)
class Recorded:
    """What is replayed.

    Attributes:
        uri: As the options name it.
        experiments: The recorded experiment, as often as it is replayed.
        recording: What was done.
        course: What the service did.
        step: The recorded requests.
        prompts: What is sent.
    """

    uri: str
    experiments: Sequence[tuple[str, Experiment]]
    recording: Recording
    course: Course
    step: RateStep
    prompts: Sequence[Prompt]

    def build_traffic(self, usual: Traffic) -> RecordedTraffic:
        """Build the load of a replay; what is sent after the recorded requests is drawn like the usual load."""
        return RecordedTraffic(
            usual.fleet, self.prompts, usual.rate, usual.max_tokens, usual.timeout_s, usual.seed, self.step
        )

    def compare(self, courses: Sequence[Course | None], tolerances: Tolerances, seed: int) -> list[ReplayComparison]:
        """Hold each replay against the recording; one whose fault was not made has no comparison."""
        return [
            compare_courses(self.course, course, tolerances, number=number, seed=seed)
            for number, course in enumerate(courses, start=1)
            if course is not None
        ]


def read_recorded(config: ChaosConfig, ctx: StageContext) -> Recorded | None:
    """Read what is replayed; ``None`` where experiments are made, and where none of them was recorded.

    Raises:
        DataError: The recording cannot be read, or its experiment does not fit this version.
        ConfigError: Its experiment names functions that this version has not.
    """
    if config.recording is None:
        return None
    folder = find_recording(Path(ctx.resolve_uri(config.recording, "data").removeprefix("file://")), config.replayed)
    if folder is None:
        return None
    recording, trace = read_recording(folder)
    try:
        experiment = Experiment.model_validate(recording.experiment)
    except ValidationError as error:
        raise DataError(f"{folder}: its experiment is not one of this version", "record it again") from error
    check_activities(str(folder), experiment)
    requests = list_replayable(trace.requests)
    step, prompts = build_replay(requests, config.max_tokens)
    course = Course.of_recording(recording, requests)
    experiments = [(recording.name, experiment)] * config.replays
    return Recorded(config.recording, experiments, recording, course, step, prompts)


def find_recording(folder: Path, name: str) -> Path | None:
    """Find a recording in a folder that is one itself, or has several; ``None`` where there is none."""
    if (folder / RECORDING).exists():
        return folder
    found = sorted(path.parent for path in folder.glob(f"*/{RECORDING}"))
    return next((one for one in found if one.name == name), found[0] if found else None)


_OF_STEPS = frozenset({"schedule", "arrivals", "fault_window", "steps", "step_times", "lost"})
"""Findings without which the ladder cannot be said to have taken the same steps."""


def count_replays(replays: Sequence[ReplayComparison], num_wanted: int) -> Mapping[str, int]:
    """Count what the replays came to; one that was not made is not the same, and took no steps.

    Where few requests fail, whether a breaker opens is decided by a single one of them: it may differ where the
    ladder's steps do not.
    """
    num_same = sum(one.verdict is ReplayVerdict.SAME for one in replays)
    num_alike = sum(all(each.is_met for each in one.findings if each.name in _OF_STEPS) for one in replays)
    return {
        "num_replays": num_wanted,
        "num_same_replays": num_same,
        "num_unlike_replays": num_wanted - num_same,
        "num_other_steps": num_wanted - num_alike,
    }


def list_replay_failures(replays: Sequence[ReplayComparison]) -> list[Failure]:
    """List the replays that were not the same, each with what differed."""
    found = []
    for one in replays:
        if one.verdict is not ReplayVerdict.SAME:
            missed = [f"{each.name}: {each.shown}, not {each.bound}" for each in one.findings if not each.is_met]
            found.append(Failure(kind=one.verdict, where=f"replay {one.number}", text="; ".join(missed)))
    return found


def build_replay_fields(
    recorded: Recorded | None, courses: Sequence[Course | None], config: ChaosConfig
) -> tuple[dict[str, Any], list[ReplayComparison]]:
    """Build the fields of a record that are about replays; none where nothing was replayed."""
    if recorded is None:
        return {}, []
    replays = recorded.compare(courses, config.tolerances, config.seed)
    print(*(describe_replay(one) for one in replays), sep="\n", flush=True)  # noqa: T201 - the step's log
    fields = {
        "recording": recorded.uri,
        "recorded": recorded.recording,
        "tolerances": config.tolerances,
        "replays": replays,
    }
    return fields, replays


def describe_replay(one: ReplayComparison) -> str:
    """Describe a comparison in one line."""
    counts = Counter(finding.is_met for finding in one.findings)
    missed = [f"{each.name} {each.shown}, not {each.bound}" for each in one.findings if not each.is_met]
    return "; ".join([f"replay {one.number}: {one.verdict}, {counts[True]} of {len(one.findings)} the same", *missed])
