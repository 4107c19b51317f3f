"""The servers of a run as they are now: where they answer, what they say of themselves, and their limits."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

import httpx

from practicum_core.deployment import Component, Limit, Words
from practicum_core.environment import RunEnvironment
from practicum_core.json_files import read_json_or_empty
from practicum_core.layout import RunLayout
from practicum_core.resolve import ResolvedStep
from practicum_core.rungs import Rung
from practicum_core.stage_process import ENDPOINTS_VARIABLE
from practicum_core.texts import Bilingual

_READY = Bilingual("ready", "就绪")
_NOT_READY = Bilingual("not ready ({why})", "未就绪（{why}）")
_OK = 200


def find_urls(run: RunLayout, names: Sequence[str], variables: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Find the addresses of servers: as this step was told, or by their ports on this machine."""
    told: dict[str, str] = json.loads(variables.get(ENDPOINTS_VARIABLE, "{}"))
    ports = {name: read_json_or_empty(run.stage(name).port).get("port") for name in names}
    found = {name: f"http://127.0.0.1:{port}" for name, port in ports.items() if isinstance(port, int)}
    return {**found, **{name: url for name, url in told.items() if name in names}}


def build_component(
    step: ResolvedStep, url: str, client: httpx.Client, environment: RunEnvironment | None
) -> Component:
    """Ask a server whether it is ready, and say what it runs."""
    endpoint = step.spec.endpoint
    ready_path = endpoint.ready_path if endpoint else ""
    why = ask_ready(client, f"{url}{ready_path}") if url else "no address"
    packages = environment.packages.get(step.environment, {}) if environment else {}
    return Component(
        name=step.name,
        title=Words.of(step.spec.title),
        url=url,
        is_ready=not why,
        state=Words.of(_NOT_READY.format(why=why) if why else _READY),
        versions={name: packages[name] for name in step.spec.packages if name in packages},
        ready_path=ready_path,
        live_path=endpoint.live_path if endpoint else "",
        startup_s=endpoint.startup_s if endpoint else 0.0,
        limits=list_limits(step),
    )


def list_limits(step: ResolvedStep) -> list[Limit]:
    """List the limits of a server as its options have them; those that are off are left out."""
    values = step.config.model_dump()
    return [
        Limit(title=Words.of(title), value=str(values[name]))
        for name, title in step.spec.limits.items()
        if values.get(name) not in (None, "", ())
    ]


def ask_ready(client: httpx.Client, address: str) -> str:
    """Ask for readiness; return why a server is not ready, empty where it is."""
    try:
        answer = client.get(address)
    except httpx.HTTPError as error:
        return type(error).__name__
    return "" if answer.status_code == _OK else f"{address.rpartition('/')[2]} {answer.status_code}"


def read_rungs(client: httpx.Client, urls: Sequence[str]) -> list[Rung]:
    """Read the rungs of the ladder of the first server that has one."""
    for url in urls:
        try:
            answer = client.get(f"{url}/ladder")
            page: Any = answer.json() if answer.status_code == _OK else {}
        except (httpx.HTTPError, ValueError):
            continue
        named = page.get("rungs", []) if isinstance(page, dict) else []
        if named:
            return [Rung(one) for one in named if one in set(Rung)]
    return []
