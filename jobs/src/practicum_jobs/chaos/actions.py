"""Actions of experiments. Each does one fault, and returns how it is taken back."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import datetime as dt
import inspect
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psutil
from pydantic import ValidationError

from practicum_core.api_keys import change_key_file
from practicum_core.atomic import write_json_atomic
from practicum_core.errors import ConfigError, PlatformError, Reason
from practicum_core.faults import Fault, FaultKind, GatewayFault
from practicum_core.problems import list_problems
from practicum_core.stages.experiments import Activity, Experiment
from practicum_jobs.chaos.world import World
from practicum_runtime.process_tree import find_process, kill_tree

_RESTART_S = 120.0
_END_S = 10.0
_KEY_S = 10.0
_REOPEN_S = 5.0
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
    old = world.find_target(step).pid
    kill_tree(old)
    return _build_restart(world, step, old, f"{step} was killed")


async def run_out_of_memory(world: World, step: str) -> Undo:
    """Kill the largest process of a server with SIGKILL, and no other, as the kernel does where memory runs out."""
    process = world.find_target(step)
    family = [process, *process.children(recursive=True)]
    victim = max(family, key=_measure_memory)
    victim.kill()
    undo = _build_restart(world, step, process.pid, f"the largest process of {step} was killed")
    if victim.pid == process.pid:
        return undo

    async def wait_for_server() -> None:
        # A server either ends with its engine, and is started again, or lives on by itself.
        deadline_s = time.monotonic() + _END_S
        while process.is_running() and time.monotonic() < deadline_s:  # noqa: ASYNC110 - a process wakes nobody
            await asyncio.sleep(_POLL_S)
        if not process.is_running():
            await undo.run()

    return dataclasses.replace(undo, run=wait_for_server)


def _measure_memory(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def _build_restart(world: World, step: str, old: int, what: str) -> Undo:
    async def wait_for_next() -> None:
        async with asyncio.timeout(_RESTART_S):
            while True:
                with contextlib.suppress(ConfigError):
                    if world.find_target(step).pid != old:
                        return
                await asyncio.sleep(_POLL_S)

    return Undo(what, f"start the run again: its executor starts {step}", wait_for_next)


async def hang(world: World, step: str = "", port: int = 0) -> Undo:
    """Stop a server with all of its processes (SIGSTOP): it accepts connections and answers nothing.

    Args:
        world: The service.
        step: A server of the run.
        port: Of a process of the same user on this machine in its place, such as a Redis.

    Raises:
        ConfigError: Neither or both are named, or there is no such process.
    """
    if bool(step) == bool(port):
        raise ConfigError("action hang: name step or port", "correct its arguments")
    process = world.find_target(step) if step else world.find_listener(port)
    family = [process, *process.children(recursive=True)]
    stopped = [(one.pid, one.create_time()) for one in family]

    async def resume() -> None:
        for pid, created_s in stopped:
            member = find_process(pid, created_s)
            # One that ends in between must not leave the others stopped.
            with contextlib.suppress(psutil.NoSuchProcess):
                if member is not None:
                    member.resume()

    try:
        for one in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.suspend()
    except psutil.Error:
        await resume()
        raise
    numbers = " ".join(str(pid) for pid, _ in stopped)
    return Undo(f"{step or f'the process at port {port}'} is stopped", f"kill -CONT {numbers}", resume)


async def fill_disk(world: World, step: str) -> Undo:
    """Let every write of a server to a file fail, as on a full disk, without filling one.

    The soft limit of the size of files (RLIMIT_FSIZE) becomes 0, which needs no root and is taken back. A write fails
    with EFBIG; on a full disk it would be ENOSPC.
    """
    process = world.find_target(step)
    old: list[tuple[int, float, tuple[int, int]]] = []
    for one in [process, *process.children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess):
            limits = one.rlimit(psutil.RLIMIT_FSIZE)
            one.rlimit(psutil.RLIMIT_FSIZE, (0, limits[1]))
            old.append((one.pid, one.create_time(), limits))

    async def lift() -> None:
        for pid, created_s, limits in old:
            member = find_process(pid, created_s)
            with contextlib.suppress(psutil.NoSuchProcess):
                if member is not None:
                    member.rlimit(psutil.RLIMIT_FSIZE, limits)

    commands = "; ".join(f"prlimit --pid {pid} --fsize={_name_limit(limits[0])}:" for pid, _, limits in old)
    return Undo(f"{step} cannot write to files", commands, lift)


def _name_limit(value: int) -> str:
    return "unlimited" if value < 0 else str(value)


async def revoke_key(world: World) -> Undo:
    """Revoke the key of the requests while they are sent; return once the gateway refuses it."""
    path, key = world.get_own_key()
    now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    change_key_file(path, lambda file: file.revoke_if_valid(key, now))

    async def restore() -> None:
        change_key_file(path, lambda file: file.restore(key))
        await _wait_for_key(world, is_valid=True)

    undo = Undo(f"key {key} is revoked", "nothing: it was made for this experiment", restore)
    try:
        await _wait_for_key(world, is_valid=False)
    except (PlatformError, TimeoutError):
        await restore()
        raise
    return undo


async def _wait_for_key(world: World, *, is_valid: bool) -> None:
    async with asyncio.timeout(_KEY_S):
        while await world.is_admitted() is not is_valid:  # noqa: ASYNC110 - the gateway looks at its file at times
            await asyncio.sleep(_POLL_S)


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
    try:
        await world.set_fault(wanted)
    except PlatformError:
        # The proxy may have the fault all the same, where only its answer was lost.
        with contextlib.suppress(PlatformError):
            await world.set_fault(None)
        raise

    async def clear() -> None:
        # A proxy that refuses connections refuses this one too, until the fault ends by itself.
        wait_s = wanted.for_s + _REOPEN_S if wanted.kind is FaultKind.REFUSED else 0.0
        deadline_s = time.monotonic() + wait_s
        while True:
            try:
                await world.set_fault(None)
            except PlatformError:
                if time.monotonic() >= deadline_s:
                    raise
                await asyncio.sleep(_POLL_S)
            else:
                return

    return Undo(f"the fault proxy does {wanted.kind}", "stop the step faultproxy", clear)


async def break_surroundings(world: World, step: str, **fault: Any) -> Undo:  # noqa: ANN401 - as above
    """Let no name resolve for a gateway of this run, or let its wall clock jump; needs ``gateway.faults``.

    Args:
        world: The service.
        step: The gateway.
        **fault: Fields of :class:`practicum_core.faults.GatewayFault`.

    Raises:
        ConfigError: They do not describe a fault, or the gateway lets nobody break it.
    """
    try:
        wanted = GatewayFault.model_validate(fault)
    except ValidationError as error:
        problems = list_problems(error, GatewayFault, noun="argument")
        raise ConfigError(f"break_surroundings: {'; '.join(problems)}", "correct the arguments") from error
    world.find_target(step)
    path = world.find_fault_file(step)
    write_json_atomic(path, wanted.model_dump(mode="json"))
    # It looks ten times a second.
    await asyncio.sleep(_POLL_S)

    async def mend() -> None:
        path.unlink(missing_ok=True)
        await asyncio.sleep(_POLL_S)

    return Undo(f"the surroundings of {step} are broken", f"rm {path}", mend)


ACTIONS: Mapping[str, Callable[..., Awaitable[Undo]]] = {
    "kill": kill,
    "hang": hang,
    "run_out_of_memory": run_out_of_memory,
    "fill_disk": fill_disk,
    "revoke_key": revoke_key,
    "break_answers": break_answers,
    "break_surroundings": break_surroundings,
}
"""What the method of an experiment may call, by name."""


_OF_PROCESSES = ("kill", "hang", "run_out_of_memory", "fill_disk", "break_surroundings")


def leave_out(experiments: Sequence[tuple[str, Experiment]]) -> tuple[list[tuple[str, Experiment]], list[str]]:
    """Return the experiments that need no process of a server on this machine, and the names of the others.

    On a cluster the servers run in other pods. Where nothing else is asked for, nothing is left out: the action itself
    says what it lacks.
    """
    kept = [(name, one) for name, one in experiments if not any(_needs_process(each) for each in one.method)]
    if not kept:
        return list(experiments), []
    names = {name for name, _ in kept}
    return kept, [name for name, _ in experiments if name not in names]


def _needs_process(activity: Activity) -> bool:
    return activity.provider.func in _OF_PROCESSES and "step" in activity.provider.arguments


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
