"""vLLM's own HTTP application as a deployment of Ray Serve, whose replicas follow the requests under way.

Ray Serve's proxy hands a request to a replica as an ASGI scope. The application of vLLM exists only when its engine
runs, so what is mounted is a delegate that asks the replica for it.

Source: Ray 2.60, serve.ingress and serve.get_replica_context.
"""

from __future__ import annotations

import contextlib
from typing import Any

from practicum_jobs.adapters.doorway import PROBES, Message, Receive, Send
from practicum_jobs.adapters.engine_server import ServerSettings
from practicum_jobs.adapters.vllm_server import build_arguments, prepare_environment

_UPSCALE_S, _DOWNSCALE_S = 3, 30


class VllmReplica:
    """One replica: an engine and the application before it.

    Args:
        settings: What is served.
    """

    def __init__(self, settings: ServerSettings) -> None:
        self._settings = settings
        self._stack = contextlib.AsyncExitStack()
        self._engine: Any = None
        self._app: Any = None

    async def start(self) -> None:
        """Load the model; requests wait until it is there."""
        prepare_environment(self._settings.config)
        from vllm.entrypoints.launchers.api_server import entry  # noqa: PLC0415 - reads the environment
        from vllm.entrypoints.launchers.api_server.app_state import init_app_state  # noqa: PLC0415 - as above
        from vllm.entrypoints.launchers.app import build_app  # noqa: PLC0415 - as above

        args = build_arguments(self._settings)
        self._engine = await self._stack.enter_async_context(entry.build_async_engine_client(args))
        tasks = await self._engine.get_supported_tasks()
        self._app = build_app(args, tasks, self._engine.model_config)
        await init_app_state(self._engine, self._app.state, args, tasks)

    async def answer(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request; the probes of a stage say that this replica is there."""
        if scope.get("path") in PROBES:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"ok"})
            return
        await self._app(scope, receive, send)

    def is_well(self) -> bool:
        """Whether the engine lives."""
        return self._engine is not None and not self._engine.errored


def build_application(settings: ServerSettings, scale: dict[str, int], num_gpus: int) -> Any:  # noqa: ANN401 - Ray's
    """Build the application that Ray Serve runs.

    Args:
        settings: What is served; its address is Ray's.
        scale: ``fewest`` and ``most`` replicas, and ``requests_per_replica`` under way for which one more is started.
        num_gpus: GPUs of each replica.
    """
    from fastapi import FastAPI  # noqa: PLC0415 - in the environments with vLLM alone
    from ray import serve  # noqa: PLC0415 - as above

    async def delegate(scope: Message, receive: Receive, send: Send) -> None:
        await serve.get_replica_context().servable_object.replica.answer(scope, receive, send)

    ingress = FastAPI()
    ingress.mount("/", delegate)

    class Engine:
        async def __init__(self, told: ServerSettings) -> None:  # type: ignore[misc]  # Ray awaits it
            self.replica = VllmReplica(told)
            await self.replica.start()

        async def check_health(self) -> None:
            if not self.replica.is_well():
                raise RuntimeError("the engine died")

    scaling = {
        "min_replicas": scale["fewest"],
        "initial_replicas": max(scale["fewest"], 1),
        "max_replicas": scale["most"],
        "target_ongoing_requests": scale["requests_per_replica"],
        "upscale_delay_s": _UPSCALE_S,
        "downscale_delay_s": _DOWNSCALE_S,
    }
    deployment = serve.deployment(
        name="engine",
        ray_actor_options={"num_cpus": 1, "num_gpus": num_gpus},
        autoscaling_config=scaling,
        max_ongoing_requests=max(settings.config.max_num_seqs * 4, 64),
        health_check_timeout_s=60,
        graceful_shutdown_timeout_s=max(settings.config.drain_s, 1) + 1,
    )(serve.ingress(ingress)(Engine))
    return deployment.bind(settings)
