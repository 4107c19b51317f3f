"""One experiment: the steady state, the load, the fault and its end, and everything undone, however it ends."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from practicum_core.errors import ConfigError, PlatformError, Stopped
from practicum_core.rungs import Rung, RungChange
from practicum_core.stages.experiments import Activity, Experiment, Finding, Settings
from practicum_core.stages.load_results import LoadSample
from practicum_jobs.chaos.actions import act
from practicum_jobs.chaos.files import get_hypothesis
from practicum_jobs.chaos.probes import PROBES, is_within
from practicum_jobs.chaos.traffic import Traffic
from practicum_jobs.chaos.undo import Undo
from practicum_jobs.chaos.world import World

_POLL_S = 0.1
_ASK_AGAIN_S = 1.0
_PART_S = 5.0


@dataclass
class Course:
    """How an experiment went. Times are seconds from the start of the stage.

    Attributes:
        start_s: When it began.
        was_steady: Whether the hypothesis held before the fault.
        fault_s: When its first action was done; ``None`` where it did not come so far.
        undone_s: When its last action was taken back.
        probed: What the hypothesis found, before a fault that was not made, or at the end.
        left_behind: What could not be undone.
        samples: Its requests.
        changes: Steps of the ladder since its start.
        last_rung: The rung at its end; ``None`` where the server has no ladder.
        hypothesis: Title of its steady state.
        error: What ended it before its time; empty where nothing did.
    """

    start_s: float
    was_steady: bool = False
    fault_s: float | None = None
    undone_s: float | None = None
    probed: list[Finding] = field(default_factory=list)
    left_behind: list[str] = field(default_factory=list)
    samples: list[LoadSample] = field(default_factory=list)
    changes: list[RungChange] = field(default_factory=list)
    last_rung: Rung | None = None
    hypothesis: str = ""
    error: str = ""


@dataclass(frozen=True)
class Runner:
    """Runs experiments, one after another.

    Attributes:
        world: The service.
        traffic: The load beside them.
        steady_timeout_s: Wait for the steady state.
        zero_s: Start of the stage on the monotonic clock.
        is_stop_requested: Whether to stop.
    """

    world: World
    traffic: Traffic
    steady_timeout_s: float
    zero_s: float
    is_stop_requested: Callable[[], bool]

    async def run(self, number: int, experiment: Experiment) -> Course:
        """Run an experiment to its end; what it did is undone, however it ends.

        Raises:
            Stopped: A stop was requested.
            ConfigError: An action has no such target, or the server has no ladder that could go down.
            PlatformError: The gateway does not answer, or an action failed.
        """
        course = self.begin()
        await self.follow(number, experiment, course)
        return course

    def begin(self) -> Course:
        """Return the course of an experiment that begins now."""
        return Course(self._tell_s())

    async def follow(self, number: int, experiment: Experiment, course: Course) -> None:
        """Run an experiment as :meth:`run` does, and note its course, of which something is known after an error too.

        Raises:
            Stopped: A stop was requested.
            ConfigError: An action has no such target, or the server has no ladder that could go down.
            PlatformError: The gateway does not answer, or an action failed.
        """
        has_ladder = await self.world.read_ladder() is not None
        if not has_ladder and experiment.configuration.lowest_rung is not Rung.FULL:
            raise ConfigError(
                f"'{experiment.title}' expects a ladder to go down, and the server has none",
                "set gateway.ladder=true, or configuration.lowest_rung: full in the experiment",
            )
        hypothesis = get_hypothesis(experiment, has_ladder=has_ladder)
        course.hypothesis = hypothesis.title
        probes = hypothesis.probes
        await self._wait_until_steady(probes, course)
        if not course.was_steady:
            return
        # What the ladder did before is of the fault before.
        course.start_s = self._tell_s()
        settings = experiment.configuration
        load_s = settings.steady_s + experiment.method_s + settings.recovery_s
        num_upstream = await self._count_upstream(settings)
        sending = asyncio.create_task(self.traffic.send(number, load_s))
        undos: list[Undo] = []
        try:
            await self._wait(settings.steady_s, sending)
            await self._do_method(experiment, undos, course, sending)
            await self._undo_all(undos, course)
            for activity in experiment.rollbacks:
                await act(activity.provider.func, self.world, activity.provider.arguments)
            await self._wait_for(sending)
            course.samples = sending.result()
            ratio = self._compare_upstream(settings, num_upstream, await self._count_upstream(settings), course)
            await self._wait_until_back(number, settings.max_recovery_s, course, probes)
            course.probed = [*ratio, *await self._probe(probes)]
            await self._read_changes(course)
        finally:
            # Asked to stop, or fallen over something: the service is left as it was found.
            if undos:
                await self._undo_all(undos, course)
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)

    async def _wait_until_back(self, number: int, seconds: float, course: Course, probes: Sequence[Activity]) -> None:
        """Send more requests until the best rung answers, or the hypothesis holds, for so long at most."""
        deadline_s = time.monotonic() + seconds
        part = 1
        while not await self._is_back(probes) and time.monotonic() < deadline_s:
            sending = asyncio.create_task(self.traffic.send(number, _PART_S, part))
            try:
                await self._wait_for(sending)
                course.samples += sending.result()
            finally:
                sending.cancel()
            part += 1

    async def _count_upstream(self, settings: Settings) -> int:
        return 0 if settings.max_upstream_ratio is None else await self.world.count_upstream()

    @staticmethod
    def _compare_upstream(settings: Settings, before: int, after: int, course: Course) -> list[Finding]:
        """List whether the engines got more requests than clients sent, where an experiment asks for that."""
        bound = settings.max_upstream_ratio
        if bound is None:
            return []
        ratio = (after - before) / max(len(course.samples), 1)
        return [Finding(name="upstream_ratio", shown=f"{ratio:.2f}", bound=f"<= {bound:g}", is_met=ratio <= bound)]

    async def _is_back(self, probes: Sequence[Activity]) -> bool:
        ladder = await self.world.read_ladder()
        if ladder is not None:
            return ladder.rung == Rung.FULL
        return all(finding.is_met for finding in await self._probe(probes))

    async def _do_method(
        self, experiment: Experiment, undos: list[Undo], course: Course, sending: asyncio.Task[list[LoadSample]]
    ) -> None:
        for activity in experiment.method:
            await self._wait(activity.pauses.before, sending)
            if activity.type == "probe":
                course.probed.append(await self._ask(activity))
            else:
                undos.append(await act(activity.provider.func, self.world, activity.provider.arguments))
                course.fault_s = self._tell_s() if course.fault_s is None else course.fault_s
            await self._wait(activity.pauses.after, sending)

    async def _undo_all(self, undos: list[Undo], course: Course) -> None:
        """Take back every action, the last one first; what cannot be taken back is noted."""
        while undos:
            undo = undos.pop()
            try:
                await undo.run()
            except (ConfigError, PlatformError, OSError) as error:  # TimeoutError is an OSError
                course.left_behind.append(f"{undo.what} ({error or type(error).__name__}); {undo.by_hand}")
        course.undone_s = self._tell_s()

    async def _wait_until_steady(self, probes: Sequence[Activity], course: Course) -> None:
        """Wait until the ladder has settled and the hypothesis holds; note whether it does."""
        deadline_s = time.monotonic() + self.steady_timeout_s
        while True:
            ladder = await self.world.read_ladder()
            is_settled = ladder is None or ladder.is_settled
            course.probed = await self._probe(probes) if is_settled else []
            course.was_steady = is_settled and all(finding.is_met for finding in course.probed)
            if course.was_steady or time.monotonic() >= deadline_s:
                return
            await self._wait(_ASK_AGAIN_S)

    async def _probe(self, probes: Sequence[Activity]) -> list[Finding]:
        return [await self._ask(probe) for probe in probes]

    async def _ask(self, probe: Activity) -> Finding:
        found = await PROBES[probe.provider.func](self.world, **probe.provider.arguments)
        tolerance = probe.tolerance["range"] if isinstance(probe.tolerance, dict) else probe.tolerance
        return Finding(
            name=f"probe:{probe.name}", shown=str(found), bound=str(tolerance), is_met=is_within(found, probe.tolerance)
        )

    async def _read_changes(self, course: Course) -> None:
        """Read the steps of the ladder since the start of an experiment, on the clock of the stage."""
        ladder = await self.world.read_ladder()
        if ladder is None:
            return
        offset_s = time.time() - self._tell_s()
        shifted = [one.model_copy(update={"at_s": round(one.at_s - offset_s, 3)}) for one in ladder.changes]
        course.changes = [one for one in shifted if one.at_s >= course.start_s]
        course.last_rung = Rung(ladder.rung)

    async def _wait(self, seconds: float, sending: asyncio.Task[list[LoadSample]] | None = None) -> None:
        """Wait, unless a stop is requested or the load fails."""
        deadline_s = time.monotonic() + seconds
        while (left_s := deadline_s - time.monotonic()) > 0:
            self._check(sending)
            await asyncio.sleep(min(_POLL_S, left_s))

    async def _wait_for(self, sending: asyncio.Task[list[LoadSample]]) -> None:
        while not sending.done():
            self._check(sending)
            await asyncio.wait({sending}, timeout=_POLL_S)

    def _check(self, sending: asyncio.Task[list[LoadSample]] | None) -> None:
        if self.is_stop_requested():
            raise Stopped
        if sending is not None and sending.done():
            sending.result()

    def _tell_s(self) -> float:
        return round(time.monotonic() - self.zero_s, 3)
