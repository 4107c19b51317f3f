"""Runs the controller: watches, leads or waits to lead, takes reports, shows metrics, ends on SIGTERM."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

from aiohttp import web
from kubernetes_asyncio.client import ApiClient
from kubernetes_asyncio.leaderelection import electionconfig, leaderelection
from kubernetes_asyncio.leaderelection.resourcelock.leaselock import LeaseLock

from practicum_controller import metrics
from practicum_controller.client import KubernetesCluster
from practicum_controller.controller import Controller, get_now
from practicum_controller.database import Database
from practicum_controller.history import History
from practicum_controller.ingest import Certificate, Ingest
from practicum_controller.settings import Settings, read_settings
from practicum_controller.tokens import TokenReviewer
from practicum_core.errors import EXIT_OK, PracticumError
from practicum_core.reports import StepReport

LOGGER = logging.getLogger("practicum_controller")
_REVIEWS = "/apis/authentication.k8s.io/v1/tokenreviews"
_TICK_S = 5.0
_LEASE_S, _RENEW_S, _RETRY_S = 15, 10, 2


def main() -> int:
    """Run until told to stop, or until another replica leads."""
    try:
        settings = read_settings(os.environ)
        logging.basicConfig(level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s %(message)s")
        asyncio.run(_run(settings))
    except PracticumError as error:
        print(f"{error.reason}: {error}", file=sys.stderr)
        return error.exit_code
    return EXIT_OK


class _Leadership:
    is_held = False


async def _run(settings: Settings) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    cluster = await KubernetesCluster.connect()
    history = History(await asyncio.to_thread(Database, settings.database_url))
    folder = Path(settings.tls_dir)
    controller = Controller(cluster, cluster, history, settings, (folder / "ca.crt").read_text(encoding="ascii"))
    leadership = _Leadership()
    try:
        async with _serve(settings, controller, cluster, history, leadership):
            tasks = [
                asyncio.create_task(controller.watch()),
                asyncio.create_task(_lead(settings, controller, cluster, leadership)),
                asyncio.create_task(_tick(controller)),
            ]
            waiting = asyncio.create_task(stop.wait())
            done, _ = await asyncio.wait([*tasks, waiting], return_when=asyncio.FIRST_COMPLETED)
            for task in (*tasks, waiting):
                task.cancel()
            await asyncio.gather(*tasks, waiting, return_exceptions=True)
            for task in done - {waiting}:
                task.result()
    finally:
        await cluster.close()


async def _lead(
    settings: Settings, controller: Controller, cluster: KubernetesCluster, leadership: _Leadership
) -> None:
    """Work while the lease is held; return when it is lost, so that the process ends and starts afresh."""

    async def work() -> None:
        leadership.is_held = True
        metrics.IS_LEADER.set(1)
        LOGGER.info("leads")
        try:
            await controller.work()
        except Exception:
            LOGGER.exception("the work ended")
            os.kill(os.getpid(), signal.SIGTERM)

    if not settings.leader_election:
        await work()
        return
    identity = f"{socket.gethostname()}-{os.getpid()}"
    client: ApiClient = cluster.client
    lock = LeaseLock("practicum-controller", settings.namespace, identity, client)

    async def stopped() -> None:
        leadership.is_held = False
        LOGGER.warning("lost the lease")

    lease = electionconfig.Config(lock, _LEASE_S, _RENEW_S, _RETRY_S, work, stopped)
    await leaderelection.LeaderElection(lease).run()


async def _tick(controller: Controller) -> None:
    while True:
        metrics.set_phases(controller.store.count_phases())
        metrics.QUEUE_LENGTH.set(len(controller.week_jobs))
        await asyncio.sleep(_TICK_S)


@contextlib.asynccontextmanager
async def _serve(
    settings: Settings,
    controller: Controller,
    cluster: KubernetesCluster,
    history: History,
    leadership: _Leadership,
) -> AsyncIterator[None]:
    async def review(document: dict[str, object]) -> dict[str, object]:
        return await cluster.create(_REVIEWS, document)

    def save(report: StepReport) -> bool:
        return history.save_report(report, get_now())

    certificate = Certificate(Path(settings.tls_dir))
    ingest = Ingest(
        TokenReviewer(review, time.monotonic),
        controller.find_pod,
        save,
        controller.take_report,
        lambda: leadership.is_held,
        time.monotonic,
    )
    figures = web.Application()
    figures.router.add_get("/metrics", _show_metrics)
    figures.router.add_get("/healthz", _show_health)
    runners = [web.AppRunner(ingest.build_app(), access_log=None), web.AppRunner(figures, access_log=None)]
    for runner in runners:
        await runner.setup()
    everywhere = "0.0.0.0"  # noqa: S104 - of the pod; network policies say who reaches it
    await web.TCPSite(runners[0], everywhere, settings.ingest_port, ssl_context=certificate.context).start()
    await web.TCPSite(runners[1], everywhere, settings.metrics_port).start()
    refresher = asyncio.create_task(_refresh(certificate))
    try:
        yield
    finally:
        refresher.cancel()
        for runner in runners:
            await runner.cleanup()


async def _refresh(certificate: Certificate) -> None:
    while True:
        await asyncio.sleep(60)
        with contextlib.suppress(OSError):
            certificate.refresh()


async def _show_metrics(_: web.Request) -> web.Response:
    return web.Response(body=metrics.render(), content_type="text/plain", charset="utf-8")


async def _show_health(_: web.Request) -> web.Response:
    return web.json_response({"status": "ok"})


if __name__ == "__main__":
    sys.exit(main())
