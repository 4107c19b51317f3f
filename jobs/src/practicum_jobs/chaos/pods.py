"""The servers of a week job in pods as targets of faults, each by one pod of it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shlex
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from practicum_core.errors import ConfigError, PlatformError, Reason
from practicum_core.layout import RunLayout
from practicum_jobs.chaos.cluster_api import ClusterApi, Pod
from practicum_jobs.chaos.undo import Undo

_PROGRAM = ("python", "-m", "practicum_runtime.faults_in_pod")
_RESTART_S = 120.0
_END_S = 10.0
_POLL_S = 0.5


class PodServers:
    """The servers of a week job; its own objects start them again.

    Args:
        api: The pods.
        run: The run directory, which lies in the volume that all pods of a student share.
    """

    def __init__(self, api: ClusterApi, run: RunLayout) -> None:
        self._api = api
        self._run = run

    async def kill(self, step: str) -> Undo:
        """Delete a pod of a server at once."""
        pod = await self._find(step)
        await self._api.delete_pod(pod)

        def is_another(found: list[Pod]) -> bool:
            return any(one.uid != pod.uid for one in found)

        async def wait() -> None:
            if not await self._wait_for(step, is_another, _RESTART_S):
                raise PlatformError(Reason.UPSTREAM_UNAVAILABLE, f"no other pod of {step} runs", "look at its events")

        return Undo(f"the pod {pod.name} was deleted", f"kubectl get pods -n {self._api.namespace}", wait)

    async def hang(self, step: str) -> Undo:
        """Stop the server in a pod with all of its processes."""
        pod = await self._find(step)
        return await self._change(pod, "suspend", "resume", f"{step} is stopped in {pod.name}")

    async def run_out_of_memory(self, step: str) -> Undo:
        """Kill the largest process in a pod and no other."""
        pod = await self._find(step)
        await self._run_in(pod, "kill-largest")

        def is_started_again(found: list[Pod]) -> bool:
            return any(one.uid != pod.uid or one.restarts > pod.restarts for one in found)

        async def wait() -> None:
            # A server either ends with its engine, and its container is started again, or lives on by itself.
            await self._wait_for(step, is_started_again, _END_S)

        return Undo(f"the largest process of {pod.name} was killed", "nothing: it is started again", wait)

    async def fill_disk(self, step: str) -> Undo:
        """Let every write of the server in a pod to a file fail."""
        pod = await self._find(step)
        return await self._change(pod, "limit-files", "lift-limits", f"{step} cannot write to files in {pod.name}")

    async def find_folder(self, step: str) -> Path:
        """Return the folder of a server's step."""
        await self._find(step)
        return self._run.stage(step).root

    async def _find(self, step: str) -> Pod:
        pods = await self._api.list_pods(step)
        if not pods:
            raise ConfigError(f"no pod of '{step}' runs in this week job", "name one of its own servers")
        return pods[0]

    async def _change(self, pod: Pod, action: str, opposite: str, what: str) -> Undo:
        state = json.dumps(await self._run_in(pod, action))

        async def take_back() -> None:
            # With a pod that is gone, so is what was done to its processes.
            if any(one.uid == pod.uid for one in await self._api.list_pods()):
                await self._api.run(pod, (*_PROGRAM, opposite, state))

        words = ("kubectl", "exec", "-n", self._api.namespace, pod.name, "-c", pod.container, "--")
        return Undo(what, shlex.join((*words, *_PROGRAM, opposite, state)), take_back)

    async def _run_in(self, pod: Pod, action: str) -> Any:  # noqa: ANN401 - the state of that action
        return json.loads(await self._api.run(pod, (*_PROGRAM, action)))

    async def _wait_for(self, step: str, is_met: Callable[[list[Pod]], bool], seconds: float) -> bool:
        deadline_s = time.monotonic() + seconds
        while time.monotonic() < deadline_s:
            # The API may be away for a moment.
            with contextlib.suppress(PlatformError):
                if is_met(await self._api.list_pods(step)):
                    return True
            await asyncio.sleep(_POLL_S)
        return False
