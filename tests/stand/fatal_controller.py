"""The controller's real process, which sends itself SIGKILL at its N-th change in one namespace.

Variables: PRACTICUM_TEST_FAULT ``NAMESPACE:N:before`` or ``NAMESPACE:N:after``, PRACTICUM_TEST_CALLS a file to which
each change there is added as a line. Nothing of it is in the product: the client's methods are wrapped from here.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from practicum_controller.__main__ import main
from practicum_controller.client import KubernetesCluster


def wrap(name, namespace, at, *, is_after):
    call = getattr(KubernetesCluster, name)

    async def changing(self, resource, *arguments, **options):
        where = arguments[0]["metadata"].get("namespace") if name in {"apply", "make"} else arguments[0]
        if where != namespace:
            return await call(self, resource, *arguments, **options)
        number = note(f"{name} {resource.plural}")
        if number == at and not is_after:
            die()
        answer = await call(self, resource, *arguments, **options)
        if number == at:
            die()
        return answer

    setattr(KubernetesCluster, name, changing)


def note(change):
    """Add a change to the file and return which one it is."""
    with Path(os.environ["PRACTICUM_TEST_CALLS"]).open("a+", encoding="ascii") as file:
        file.write(f"{change}\n")
        file.flush()
        file.seek(0)
        return len(file.readlines())


def die():
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    namespace, number, moment = os.environ["PRACTICUM_TEST_FAULT"].split(":")
    for method in ("apply", "make", "patch", "delete"):
        wrap(method, namespace, int(number), is_after=moment == "after")
    sys.exit(main())
