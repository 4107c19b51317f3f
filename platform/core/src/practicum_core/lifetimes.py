"""How long servers live: which steps use one, which servers live beside a step, and when a step may start. Pure.

A task is done when it succeeded. A server is done when the last step that uses it is, and ready before that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from practicum_core.observed import ObservedStep
from practicum_core.phases import Phase
from practicum_core.resolve import ResolvedStep

Steps = Sequence[ResolvedStep]
Seen = Mapping[str, ObservedStep]


def list_users(server: ResolvedStep, steps: Steps) -> list[ResolvedStep]:
    """List the steps that use a server. A stage that only draws what others measured uses none."""
    return [step for step in steps if server.name in step.needs and not step.spec.is_presentation]


def list_companions(step: ResolvedStep, steps: Steps) -> list[ResolvedStep]:
    """List the servers that live while a step does: those it uses, and those that these use."""
    by_name = {one.name: one for one in steps}
    used = [by_name[name] for name in step.needs if by_name[name].spec.is_server and not step.spec.is_presentation]
    found = {server.name: server for server in used}
    for server in used:
        found |= {one.name: one for one in list_companions(server, steps)}
    return list(found.values())


def list_coexisting(steps: Steps, *, keeps_servers: bool) -> list[list[ResolvedStep]]:
    """List, for each step, the steps that exist while it does, itself first.

    Kept servers exist beside every later step too.
    """
    groups = []
    for index, step in enumerate(steps):
        kept = [one for one in steps[:index] if keeps_servers and one.spec.is_server]
        groups.append([*{one.name: one for one in (step, *list_companions(step, steps), *kept)}.values()])
    return groups


def is_done(step: ResolvedStep, steps: Steps, seen: Seen) -> bool:
    """Whether nothing needs a step any more: a task succeeded, or every step that uses a server is done."""
    if step.spec.is_server:
        return all(is_done(user, steps, seen) for user in list_users(step, steps))
    own = seen.get(step.name)
    return own is not None and own.phase is Phase.SUCCEEDED


def may_stay(step: ResolvedStep, steps: Steps, seen: Seen) -> bool:
    """Whether a step that runs may go on: every task before it is done.

    A server that it uses may be away for a while.
    """
    before = [one for one in steps if one.name in step.needs]
    return all(one.spec.is_server or is_done(one, steps, seen) for one in before) and all(
        may_stay(one, steps, seen) for one in before
    )


def may_start(step: ResolvedStep, steps: Steps, seen: Seen, *, keeps_servers: bool) -> bool:
    """Whether every step that this one needs has ended, or is ready where it is a server.

    What draws the evidence also waits until the servers have ended that are not kept: their records belong to it.
    """
    needed = [one for one in steps if one.name in step.needs]
    are_satisfied = all(_is_satisfied(one, step, steps, seen, keeps_servers=keeps_servers) for one in needed)
    return are_satisfied and may_stay(step, steps, seen)


def _is_satisfied(needed: ResolvedStep, step: ResolvedStep, steps: Steps, seen: Seen, *, keeps_servers: bool) -> bool:
    if not needed.spec.is_server:
        return is_done(needed, steps, seen)
    own = seen.get(needed.name)
    is_ready = own is not None and own.phase is Phase.SERVING
    if not step.spec.is_presentation:
        return is_ready
    has_ended = own is None or not own.is_alive
    return is_done(needed, steps, seen) and (is_ready if keeps_servers else has_ended)
