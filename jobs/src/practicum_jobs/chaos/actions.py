"""Actions of experiments. Each does one fault, and returns how it is taken back."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import psutil
from pydantic import ValidationError

from practicum_core.errors import ConfigError, PlatformError, Reason
from practicum_core.faults import Fault
from practicum_core.problems import list_problems
from practicum_jobs.chaos.world import World
from practicum_runtime.process_tree import find_process, kill_tree

_RESTART_S = 120.0
_POLL_S = 0.25


@dataclass(frozen=True)
class Undo:
    """How an action is taken back.

    Attributes:
        what: What it left, for people.
        by_hand: What a person does where :attr:`run` fails.
        run: Takes it back; done twice, it does nothing.
    """

    what: str
    by_hand: str
    run: Callable[[], Awaitable[None]]


async def kill(world: World, step: str) -> Undo:
    """Kill a server of this run with all of its processes, as a lost pod; its executor starts it again."""
    process = world.find_target(step)
    old = process.pid
    kill_tree(old)

    async def wait_for_next() -> None:
        async with asyncio.timeout(_RESTART_S):
            while True:
                with contextlib.suppress(ConfigError):
                    if world.find_target(step).pid != old:
                        return
                await asyncio.sleep(_POLL_S)

    return Undo(f"{step} was killed", f"start the run again: its executor starts {step}", wait_for_next)


async def hang(world: World, step: str) -> Undo:
    """Stop a server of this run with all of its processes (SIGSTOP): it accepts connections and answers nothing."""
    process = world.find_target(step)
    family = [process, *process.children(recursive=True)]
    stopped = [(one.pid, one.create_time()) for one in family]
    for one in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            one.suspend()

    async def resume() -> None:
        for pid, created_s in stopped:
            member = find_process(pid, created_s)
            if member is not None:
                member.resume()

    numbers = " ".join(str(pid) for pid, _ in stopped)
    return Undo(f"{step} is stopped", f"kill -CONT {numbers}", resume)


async def break_answers(world: World, **fault: Any) -> Undo:  # noqa: ANN401 - the fields of Fault
    """Have the fault proxy break answers of the engine.

    Args:
        world: The service.
        **fault: Fields of :class:`practicum_core.faults.Fault`.

    Raises:
        ConfigError: They do not describe a fault.
    """
    try:
        wanted = Fault.model_validate(fault)
    except ValidationError as error:
        raise ConfigError(
            f"break_answers: {'; '.join(list_problems(error, Fault, noun='argument'))}", "correct the arguments"
        ) from error
    await world.set_fault(wanted)

    async def clear() -> None:
        await world.set_fault(None)

    return Undo(f"the fault proxy does {wanted.kind}", "stop the step faultproxy", clear)


ACTIONS: Mapping[str, Callable[..., Awaitable[Undo]]] = {
    "kill": kill,
    "hang": hang,
    "break_answers": break_answers,
}
"""What the method of an experiment may call, by name."""


async def act(name: str, world: World, arguments: Mapping[str, Any]) -> Undo:
    """Do an action.

    Raises:
        ConfigError: Its arguments do not fit, or it finds no target.
        PlatformError: It could not be done.
    """
    action = ACTIONS[name]
    try:
        inspect.signature(action).bind(world, **arguments)
    except TypeError as error:
        raise ConfigError(f"action {name}: {error}", "correct its arguments") from error
    try:
        return await action(world, **arguments)
    except (psutil.Error, OSError) as error:
        raise PlatformError(Reason.STAGE_CRASHED, f"action {name}: {error}", "see the step's log") from error
