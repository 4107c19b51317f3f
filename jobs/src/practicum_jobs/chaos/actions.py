"""Actions of experiments. Each does one fault, and returns how it is taken back."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import inspect
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil
import yaml
from pydantic import ValidationError

from practicum_core.api_keys import change_key_file
from practicum_core.atomic import write_json_atomic
from practicum_core.errors import ConfigError, PlatformError, Reason
from practicum_core.faults import GATEWAY_FAULT_FILE, Fault, FaultKind, GatewayFault
from practicum_core.layout import StageLayout
from practicum_core.problems import list_problems
from practicum_core.stages.experiments import Activity, Experiment
from practicum_jobs.chaos.local_servers import find_listener, suspend_process
from practicum_jobs.chaos.undo import Undo
from practicum_jobs.chaos.world import World

_KEY_S = 10.0
_REOPEN_S = 5.0
_POLL_S = 0.25


async def kill(world: World, step: str) -> Undo:
    """Kill a server of this run with all of its processes, as a lost pod; it is started again."""
    return await world.servers.kill(step)


async def run_out_of_memory(world: World, step: str) -> Undo:
    """Kill the largest process of a server with SIGKILL, and no other, as the kernel does where memory runs out."""
    return await world.servers.run_out_of_memory(step)


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
    if step:
        return await world.servers.hang(step)
    return suspend_process(find_listener(port), f"the process at port {port}")


async def fill_disk(world: World, step: str) -> Undo:
    """Let every write of a server to a file fail, as on a full disk."""
    return await world.servers.fill_disk(step)


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
    """Let no name resolve for a gateway of this run, no search succeed, or its clock jump; needs ``gateway.faults``.

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
    path = await _find_fault_file(world, step)
    write_json_atomic(path, wanted.model_dump(mode="json"))
    # It looks ten times a second.
    await asyncio.sleep(_POLL_S)

    async def mend() -> None:
        path.unlink(missing_ok=True)
        await asyncio.sleep(_POLL_S)

    return Undo(f"the surroundings of {step} are broken", f"rm {path}", mend)


async def _find_fault_file(world: World, step: str) -> Path:
    folder = await world.servers.find_folder(step)
    config = StageLayout(folder).config
    options = yaml.safe_load(config.read_text(encoding="utf-8")) if config.exists() else {}
    if not options.get("faults"):
        raise ConfigError(f"{step} lets nobody break its surroundings", "set gateway.faults=true")
    return folder / GATEWAY_FAULT_FILE


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
