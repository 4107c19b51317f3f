"""A real Prometheus for tests: Debian's, on loopback, with its data in the test's folder.

Without one they are skipped by name.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import time
from pathlib import Path

import httpx
import yaml

from gateway_stand import find_port
from lacks import skip_lacking

SCRAPE = "500ms"


def require_program(name: str) -> str:
    """Return the path of ``prometheus`` or ``promtool``, or skip the test."""
    found = shutil.which(name)
    if not found:
        skip_lacking(f"{name} (Debian's package prometheus)", "prometheus")
    return found


class Prometheus:
    """Asks a server."""

    def __init__(self, url: str) -> None:
        self.url = url

    def get(self, path: str, **options: str) -> dict:
        answer = httpx.get(f"{self.url}{path}", params=options, timeout=10, trust_env=False)
        answer.raise_for_status()
        return answer.json()["data"]

    def query(self, expression: str) -> list[dict]:
        """Return the series of an expression now; it is an error where it cannot be parsed."""
        return self.get("/api/v1/query", query=expression)["result"]

    def list_firing(self) -> set[str]:
        alerts = self.get("/api/v1/alerts")["alerts"]
        return {alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing"}


@contextlib.contextmanager
def serve_prometheus(folder: Path, targets: dict[str, str], rules: Path):
    """Serve Prometheus; gives what asks it.

    Args:
        folder: For its data.
        targets: HOST:PORT by job.
        rules: Its rules.
    """
    program, port = require_program("prometheus"), find_port()
    config = {
        "global": {"scrape_interval": SCRAPE, "evaluation_interval": SCRAPE, "scrape_timeout": SCRAPE},
        "rule_files": [str(rules)],
        "scrape_configs": [
            {"job_name": job, "static_configs": [{"targets": [address], "labels": {"namespace": "student-01"}}]}
            for job, address in targets.items()
        ],
    }
    file = folder / "prometheus.yaml"
    file.write_text(yaml.safe_dump(config), encoding="utf-8")
    options = (
        f"--config.file={file}",
        f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{port}",
    )
    with (folder / "prometheus.log").open("w") as log:
        process = subprocess.Popen([program, *options], stdout=log, stderr=subprocess.STDOUT)
    server = Prometheus(f"http://127.0.0.1:{port}")
    try:
        deadline_s = time.monotonic() + 20
        while True:
            with contextlib.suppress(httpx.HTTPError):
                server.query("1")
                break
            assert process.poll() is None, (folder / "prometheus.log").read_text()
            assert time.monotonic() < deadline_s, "Prometheus did not start"
            time.sleep(0.1)
        yield server
    finally:
        process.kill()
        process.wait()
