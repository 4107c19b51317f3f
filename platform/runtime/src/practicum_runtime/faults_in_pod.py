"""Changes the processes of the pod that it runs in; started there by the stage chaos.

``python -m practicum_runtime.faults_in_pod ACTION [STATE]`` prints what the opposite action needs to take it back. The
server is what the container's first process, the agent, started. It stands here because every image has this package
and psutil, whatever else its environment lacks.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from typing import Any

import psutil

from practicum_runtime.process_faults import (
    Known,
    Limited,
    kill_largest,
    lift_limits,
    limit_files,
    list_family,
    resume,
    suspend,
)

_FIRST = 1


def _list_server() -> list[psutil.Process]:
    return list_family(*psutil.Process(_FIRST).children())


DOINGS: Mapping[str, Callable[[], Any]] = {
    "suspend": lambda: suspend(_list_server()),
    "kill-largest": lambda: kill_largest(_list_server()),
    "limit-files": lambda: limit_files(_list_server()),
}
UNDOINGS: Mapping[str, Callable[[list[list[Any]]], None]] = {
    "resume": lambda state: resume([Known(*one) for one in state]),
    "lift-limits": lambda state: lift_limits([Limited(*one) for one in state]),
}


def main(arguments: list[str]) -> int:
    """Do an action and print its state as JSON, or take one back."""
    name, *state = arguments
    if name in UNDOINGS:
        UNDOINGS[name](json.loads(state[0]))
    else:
        json.dump(DOINGS[name](), sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
