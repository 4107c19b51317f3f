"""The schedule of a load test: what is sent when. It is drawn from a seed, and saved with the result for a replay."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from practicum_core.atomic import write_text_atomic
from practicum_core.content_hash import hash_path
from practicum_core.errors import ConfigError, DataError, Reason
from practicum_core.problems import list_problems
from practicum_core.rows import Row
from practicum_core.stages.loadtest import PROMPTS, SCHEDULE, LoadProfile, LoadtestConfig
from practicum_jobs.load.arrivals import TraceArrival, draw_arrivals, read_trace, stretch_trace
from practicum_jobs.load.prompts import Prompt, build_row_prompts, draw_lengths, write_prompt

_PRECISION = 6


class RateStep(BaseModel):
    """The requests of one rate; lists of equal length, in order of time."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rate: float = Field(gt=0)
    warmup_s: float = Field(ge=0)
    duration_s: float = Field(gt=0, description="Of the warm-up and the measured part together.")
    at_s: list[float] = Field(description="From the start of the step.")
    prompts: list[int] = Field(description="Lines of prompts.jsonl, from 0.")
    max_tokens: list[int]

    def check(self, num_prompts: int) -> None:
        """Raise ``ValueError`` where the lists do not fit each other."""
        if not len(self.at_s) == len(self.prompts) == len(self.max_tokens):
            raise ValueError("at_s, prompts and max_tokens have different lengths")
        if self.at_s and (min(self.at_s) < 0 or any(np.diff(self.at_s) < 0)):
            raise ValueError("at_s must not fall")
        if self.prompts and not 0 <= min(self.prompts) <= max(self.prompts) < num_prompts:
            raise ValueError(f"it names prompts that are not among the {num_prompts}")
        if self.max_tokens and min(self.max_tokens) < 1:
            raise ValueError("max_tokens must be 1 or more")


class Schedule(BaseModel):
    """Everything that is sent, by rate."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: int = 1
    load: LoadProfile
    seed: int
    steps: list[RateStep]


class Plan:
    """A schedule that grows by rates, with its prompts.

    Args:
        config: Options of the test.
        prompts: What is sent, in turn.
        trace: Arrivals for ``load`` trace.

    Attributes:
        prompts: All prompts; a trace adds to them.
        steps: The rates so far.
        is_replay: Whether the rates are those of an earlier test.
    """

    def __init__(self, config: LoadtestConfig, prompts: Sequence[Prompt], trace: Sequence[TraceArrival] = ()) -> None:
        self._config = config
        self._trace = trace
        self._made = not config.split
        self.prompts = list(prompts)
        self.steps: list[RateStep] = []
        self.is_replay = False

    @classmethod
    def build(cls, config: LoadtestConfig, rows: Sequence[Row], trace: Path | None) -> Self:
        """Build the plan of a test, still without a rate.

        Raises:
            DataError: The trace cannot be read, or the split has no rows.
        """
        if config.split:
            if not rows:
                raise DataError(f"split '{config.split}' has no rows", "name a split that has rows")
            prompts = build_row_prompts(rows[: config.num_prompts])
        else:
            rng = np.random.default_rng([config.seed, 0])
            lengths = draw_lengths(config.prompt_tokens, config.prompt_spread, config.num_prompts, rng)
            prompts = [write_prompt(length, rng) for length in lengths]
        return cls(config, prompts, read_trace(trace) if trace else ())

    @classmethod
    def read(cls, config: LoadtestConfig, folder: Path) -> Self:
        """Read the plan of an earlier test, which has all of its rates.

        Raises:
            DataError: A file is missing or broken.
        """
        schedule, prompts = read_schedule(folder)
        plan = cls(config.model_copy(update={"load": schedule.load, "seed": schedule.seed}), prompts)
        plan.steps = schedule.steps
        plan.is_replay = True
        return plan

    def add_rate(self, rate: float) -> RateStep:
        """Draw the requests of one more rate. The same seed, rate and place give the same requests.

        Raises:
            ConfigError: The rate gives no request, or more than a test can hold.
        """
        config = self._config
        rng = np.random.default_rng([config.seed, 1, len(self.steps)])
        duration_s = config.warmup_s + config.rate_s
        try:
            arrivals = self._draw(rate, duration_s, rng)
        except ValueError as error:
            raise ConfigError(str(error), "use a lower rate or a shorter rate_s") from error
        if not any(one.at_s >= config.warmup_s for one in arrivals):
            raise ConfigError(
                f"{rate:g} requests/s: none falls into the {config.rate_s:g} s that are measured",
                "use a longer rate_s or a higher rate",
            )
        sent_before = sum(len(step.at_s) for step in self.steps)
        step = RateStep(
            rate=rate,
            warmup_s=config.warmup_s,
            duration_s=duration_s,
            at_s=[round(one.at_s, _PRECISION) for one in arrivals],
            prompts=[self._find_prompt(sent_before + place, one, rng) for place, one in enumerate(arrivals)],
            max_tokens=[one.max_tokens or config.max_tokens for one in arrivals],
        )
        self.steps.append(step)
        return step

    def _draw(self, rate: float, duration_s: float, rng: np.random.Generator) -> list[TraceArrival]:
        config = self._config
        if config.load == "trace":
            return stretch_trace(self._trace, rate, duration_s)
        shape = {"constant": None, "poisson": 1.0, "gamma": config.burstiness}[config.load]
        return [TraceArrival(float(at_s)) for at_s in draw_arrivals(shape, rate, duration_s, rng)]

    def _find_prompt(self, place: int, arrival: TraceArrival, rng: np.random.Generator) -> int:
        """Take the prompts in turn; a size that a trace asks for is written for that request."""
        if arrival.prompt_tokens is None or not self._made:
            return place % len(self.prompts)
        self.prompts.append(write_prompt(arrival.prompt_tokens, rng))
        return len(self.prompts) - 1

    def save(self, folder: Path) -> tuple[str, str]:
        """Write the schedule and the prompts; return the SHA-256 of each."""
        schedule = Schedule(load=self._config.load, seed=self._config.seed, steps=self.steps)
        write_text_atomic(folder / SCHEDULE, schedule.model_dump_json() + "\n")
        lines = (json.dumps(list(prompt.messages), ensure_ascii=False) for prompt in self.prompts)
        write_text_atomic(folder / PROMPTS, "".join(f"{line}\n" for line in lines))
        return hash_path(folder / SCHEDULE), hash_path(folder / PROMPTS)


def read_schedule(folder: Path) -> tuple[Schedule, list[Prompt]]:
    """Read what an earlier test saved.

    Args:
        folder: With ``schedule.json`` and ``prompts.jsonl``.

    Raises:
        DataError: A file is missing or broken.
    """
    fix = "give the folder stages/loadtest/artifacts of an earlier test"
    try:
        text = (folder / SCHEDULE).read_text(encoding="utf-8")
        lines = (folder / PROMPTS).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{folder}: {error}", fix, Reason.DATA_MISSING) from error
    try:
        schedule = Schedule.model_validate_json(text)
        prompts = [Prompt(tuple(_read_messages(json.loads(line)))) for line in lines]
        for step in schedule.steps:
            step.check(len(prompts))
    except ValidationError as error:
        raise DataError(f"{folder / SCHEDULE}: {list_problems(error)[0]}", fix) from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{folder}: {error}", fix) from error
    if not schedule.steps or not all(step.at_s for step in schedule.steps):
        raise DataError(f"{folder / SCHEDULE}: a rate without requests", fix)
    return schedule, prompts


def _read_messages(document: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - a line of a file
    if not isinstance(document, list) or not all(isinstance(turn, dict) for turn in document):
        raise ValueError("a line of prompts.jsonl is no list of messages")
    return document
