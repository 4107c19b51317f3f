"""The load beside experiments: requests at a rate, from the client processes of a load test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from practicum_core.stages.load_results import LoadSample
from practicum_jobs.load.fleet import Fleet
from practicum_jobs.load.measurement import build_samples
from practicum_jobs.load.prompts import Prompt
from practicum_jobs.load.schedule import RateStep


@dataclass(frozen=True)
class Traffic:
    """What is sent.

    Attributes:
        fleet: The client processes.
        prompts: Sent in turn.
        rate: Requests per second; times between them are exponential.
        max_tokens: Of an answer.
        timeout_s: For a request.
        seed: Of the times.
    """

    fleet: Fleet
    prompts: Sequence[Prompt]
    rate: float
    max_tokens: int
    timeout_s: float
    seed: int

    async def start(self) -> LoadSample:
        """Send one request and return what came of it: client processes take seconds to be there.

        Raises:
            PlatformError: A client process died.
        """
        one = RateStep(
            rate=self.rate, warmup_s=0.0, duration_s=0.1, at_s=[0.0], prompts=[0], max_tokens=[self.max_tokens]
        )
        sending = await self.fleet.send_rate(0, one, self.prompts, self.timeout_s)
        return build_samples(0, one, sending)[0]

    async def send(self, number: int, seconds: float, part: int = 0) -> list[LoadSample]:
        """Send requests for so long, and wait for their ends.

        Args:
            number: Of the experiment.
            seconds: How long.
            part: Of its load.

        Raises:
            PlatformError: A client process died.
        """
        step = self.build_step(number, seconds, part)
        sending = await self.fleet.send_rate(number, step, self.prompts, self.timeout_s)
        samples = build_samples(number, step, sending)
        return [one.model_copy(update={"id": f"{number}-{part}-{one.id.partition('-')[2]}"}) for one in samples]

    def build_step(self, number: int, seconds: float, part: int = 0) -> RateStep:
        """Build the requests of a part of one experiment: the same for the same seed and numbers."""
        rng = np.random.default_rng([self.seed, number, part])
        gaps = rng.exponential(1 / self.rate, int(3 * self.rate * seconds) + 10)
        times = [round(float(at_s), 6) for at_s in np.cumsum(gaps) if at_s < seconds] or [0.0]
        return RateStep(
            rate=self.rate,
            warmup_s=0.0,
            duration_s=seconds,
            at_s=times,
            prompts=[place % len(self.prompts) for place in range(len(times))],
            max_tokens=[self.max_tokens] * len(times),
        )
