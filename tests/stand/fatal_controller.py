"""The controller's real process, which sends itself SIGKILL at its N-th change in one namespace.

Variables: PRACTICUM_TEST_FAULT ``NAMESPACE:N:before`` or ``NAMESPACE:N:after``, PRACTICUM_TEST_CALLS a file to which
each change there is added as a line. Nothing of it is in the product: the client is wrapped from here.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from faulty_cluster import FaultyCluster
from practicum_controller.__main__ import main
from practicum_controller.client import KubernetesCluster


class FatalCluster(FaultyCluster):
    """Takes its whole process along, and leaves behind what it changed before."""

    def _note(self, change):
        super()._note(change)
        with Path(os.environ["PRACTICUM_TEST_CALLS"]).open("a", encoding="ascii") as file:
            file.write(f"{change}\n")

    async def _die(self):
        os.kill(os.getpid(), signal.SIGKILL)


async def connect(_class):
    namespace, at, moment = os.environ["PRACTICUM_TEST_FAULT"].split(":")
    return FatalCluster(await CONNECT(), int(at), is_after=moment == "after", namespace=namespace)


if __name__ == "__main__":
    CONNECT = KubernetesCluster.connect
    KubernetesCluster.connect = classmethod(connect)
    sys.exit(main())
