"""Services that run on this machine: their run directories, and the addresses of gateway and fault proxy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from practicum_cli.run_lock import is_run_held
from practicum_cli.runs import find_run
from practicum_core.curriculum import TOOLS
from practicum_core.errors import ConfigError
from practicum_core.faults import FAULT_KEY_FILE
from practicum_core.json_files import read_json_or_empty
from practicum_core.layout import RunLayout
from practicum_core.run_folders import get_age, iter_run_dirs
from practicum_runtime.ports import LOOPBACK

_OUTER = TOOLS["service"].steps[-1].name
"""The step of a service that clients ask."""
_OWN_HOSTS = frozenset({LOOPBACK, "localhost"})


@dataclass(frozen=True)
class HeldService:
    """A run whose servers are up.

    Attributes:
        run: Its directory.
        url: Address of its gateway; empty without one.
        proxy_url: Address of its fault proxy; empty without one.
    """

    run: RunLayout
    url: str
    proxy_url: str


def find_service(reference: str | None, url: str | None, root: Path) -> HeldService | None:
    """Find the service that an experiment may break; ``None`` where none is meant.

    Args:
        reference: Run that a person named.
        url: Address that a person named: the service must have a server there, unless its run is named too.
        root: Folder of all runs.

    Raises:
        ConfigError: There is no such run, or it does not run.
    """
    if reference is not None:
        run = RunLayout(find_run(reference, root))
        if not is_run_held(run):
            raise ConfigError(f"run {run.root.name} does not run now", "start it again, or name one that runs")
        return _read_service(run)
    port = _find_own_port(url) if url else None
    for path in sorted(iter_run_dirs(root), key=get_age, reverse=True):
        run = RunLayout(path)
        ports = _read_ports(run)
        is_meant = port in ports.values() if url else _OUTER in ports
        if is_meant and is_run_held(run):
            return _read_service(run)
    return None


def _find_own_port(url: str) -> int | None:
    """Return the port of an address of this machine; ``None`` for one elsewhere, or that the step will refuse."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    return port if parts.hostname in _OWN_HOSTS else None


def _read_service(run: RunLayout) -> HeldService:
    ports = _read_ports(run)
    proxies = [port for step, port in ports.items() if (run.stage(step).root / FAULT_KEY_FILE).exists()]
    return HeldService(run, _build_url(ports.get(_OUTER)), _build_url(proxies[0] if proxies else None))


def _read_ports(run: RunLayout) -> dict[str, int]:
    found = {path.parent.name: read_json_or_empty(path).get("port") for path in sorted(run.stages.glob("*/port.json"))}
    return {step: port for step, port in found.items() if isinstance(port, int)}


def _build_url(port: int | None) -> str:
    return f"http://{LOOPBACK}:{port}" if port else ""
