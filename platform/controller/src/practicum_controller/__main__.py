"""Runs the controller: watches, leads or waits to lead, takes reports, shows metrics.

SIGTERM and SIGINT end it. SIGHUP starts it anew in the same process, with the code and the settings that are there now.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import signal
import sys
import time
from collections.abc import Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

from practicum_controller import metrics
from practicum_controller.census import count_phases, list_progress
from practicum_controller.certificates import AUTHORITY
from practicum_controller.client import KubernetesCluster
from practicum_controller.controller import Controller, get_now
from practicum_controller.database import Database
from practicum_controller.history import History
from practicum_controller.ingest import Ingest
from practicum_controller.leader import Candidate, LedCluster
from practicum_controller.own_certificate import OwnCertificate
from practicum_controller.server import serve
from practicum_controller.settings import Settings, read_name_servers, read_settings
from practicum_controller.supervisor import keep_running
from practicum_controller.tokens import TokenReviewer
from practicum_core.errors import EXIT_OK, ConfigError, PracticumError
from practicum_core.reports import StepReport

_REVIEWS = "/apis/authentication.k8s.io/v1/tokenreviews"
_TICK_S = 5.0
_RESOLVER = Path("/etc/resolv.conf")


def main() -> int:
    """Run until told to stop, or until another replica leads."""
    try:
        settings = read_settings(os.environ)
        logging.basicConfig(level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s %(message)s")
        if not settings.dns_networks:
            settings = replace(settings, dns_networks=_find_name_servers())
        is_again = asyncio.run(_run(settings))
    except PracticumError as error:
        print(f"{error.reason}: {error}", file=sys.stderr)
        return error.exit_code
    if is_again:
        os.execv(sys.executable, sys.orig_argv)  # noqa: S606 - this very program
    return EXIT_OK


async def _run(settings: Settings) -> bool:
    """Run until told to stop, and return whether to start anew: where nothing but SIGHUP told it."""
    stop, told = asyncio.Event(), list[signal.Signals]()

    def take(number: signal.Signals) -> None:
        told.append(number)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, take, number)
    history = History(await asyncio.to_thread(Database, settings.database_url))
    cluster = await KubernetesCluster.connect()
    try:
        certificate = OwnCertificate(cluster, settings, get_now) if settings.tls_secret else None
        if certificate is not None:
            await certificate.ensure()
        read_authority = functools.partial(_read_authority, Path(settings.tls_dir) / AUTHORITY)
        read_authority()
        led = LedCluster(cluster, lambda: candidate.is_leading())  # noqa: PLW0108 - the candidate is made below
        controller = Controller(cluster, led, history, settings, read_authority)
        candidate = Candidate(cluster, settings, controller.wait_until_synced, controller.work)
        async with serve(settings, _build_ingest(controller, cluster, history, candidate)):
            loops = [keep_running("metrics", functools.partial(_tick, controller))]
            if certificate is not None:
                loops.append(keep_running("certificate", certificate.keep_fresh))
            await _run_until(stop, controller.watch(), candidate.run(), *loops)
            await candidate.resign()
    finally:
        await cluster.close()
    return set(told) == {signal.SIGHUP}


async def _run_until(stop: asyncio.Event, *parts: Coroutine[Any, Any, None]) -> None:
    """Run every part until one ends, which only ``stop`` does without a fault."""
    tasks = [asyncio.ensure_future(part) for part in (*parts, stop.wait())]
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()


def _build_ingest(controller: Controller, cluster: KubernetesCluster, history: History, candidate: Candidate) -> Ingest:
    async def review(document: dict[str, object]) -> dict[str, object]:
        return await cluster.create(_REVIEWS, document)

    def save(report: StepReport) -> bool:
        return history.save_report(report, get_now())

    return Ingest(
        TokenReviewer(review, time.monotonic),
        controller.find_pod,
        save,
        controller.take_report,
        lambda: candidate.standing,
        time.monotonic,
    )


async def _tick(controller: Controller) -> None:
    while True:
        metrics.set_phases(count_phases(controller.store.week_jobs.values()))
        metrics.set_progress(list_progress(controller.store.week_jobs.values()))
        metrics.QUEUE_LENGTH.set(len(controller.week_jobs))
        await asyncio.sleep(_TICK_S)


def _find_name_servers() -> str:
    try:
        return read_name_servers(_RESOLVER.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        fix = "name the cluster's DNS in controller.extraEnv.PRACTICUM_DNS_NETWORKS"
        raise ConfigError(f"{_RESOLVER}: {error}", fix) from error


def _read_authority(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        fix = "mount a Secret with tls.crt, tls.key and ca.crt, and name the folder in PRACTICUM_TLS_DIR"
        raise ConfigError(f"{path}: {error}", fix) from error


if __name__ == "__main__":
    sys.exit(main())
