"""Export of finished runs to MLflow. The files stay the truth: a failing export is one warning and takes seconds."""

from __future__ import annotations

import logging
import os
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from practicum_cli.runs import Run, read_run, read_step_config
from practicum_core.errors import PracticumError
from practicum_core.phases import Phase
from practicum_core.step_files import read_record

TRACKING_VARIABLE = "MLFLOW_TRACKING_URI"
SCHEMES = ("http", "https", "file", "")
_PARAMETER_LENGTH = 500
_BATCH = 100
"""The most parameters that a server takes at once."""
_SETTINGS = {
    # MLflow's own would ask a dead server for four minutes: 120 s, seven times again.
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_ENABLE_ASYNC_LOGGING": "false",
    "MLFLOW_ALLOW_FILE_STORE": "true",  # a file: address is an explicit choice here
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_USER = re.compile(r"//[^/@\s]*@")
"""Name and password in an address, as errors of the HTTP client repeat it."""


def find_address_problem() -> str:
    """Say why runs cannot be exported to the address that ``MLFLOW_TRACKING_URI`` names; empty where they can."""
    uri = os.environ.get(TRACKING_VARIABLE, "")
    match = _SCHEME.match(uri)
    scheme = match[1].lower() if match else ""
    if scheme in SCHEMES:
        return ""
    detail = f"runs will not be exported to MLflow: {TRACKING_VARIABLE} names a {scheme}: address, which is not spoken"
    if scheme in {"sqlite", "postgresql", "mysql", "mssql"}:
        server = f"run `mlflow server --backend-store-uri {hide_password(uri)}` and set its http:// address"
        return f"{detail} here; {server}, or a folder: file:///FOLDER"
    return f"{detail} here; set an http://, https:// or file:/// address"


def export_run(path: Path) -> str | None:
    """Export a succeeded run where ``MLFLOW_TRACKING_URI`` is set; return a warning where that failed."""
    uri = os.environ.get(TRACKING_VARIABLE)
    if not uri or find_address_problem():
        return None
    try:
        run = read_run(path)
        if run.status.phase is Phase.SUCCEEDED:
            _export(run, uri)
    except PracticumError as error:
        return f"not exported to MLflow: {error.detail}"
    except Exception as error:  # noqa: BLE001 - whatever the tracker raises, the run itself is whole
        text = " ".join(_USER.sub("//", str(error)).split())[:300]
        return (
            f"not exported to MLflow at {hide_password(uri)}: {type(error).__name__}: {text}; the run itself is whole."
            f" Start the server or unset {TRACKING_VARIABLE}"
        )
    return None


def hide_password(uri: str) -> str:
    """Return an address without the password in it.

    >>> hide_password("https://student:secret@tracker.example/x")
    'https://student:***@tracker.example/x'
    >>> hide_password("sqlite:///runs.db")
    'sqlite:///runs.db'
    """
    try:
        parts = urlsplit(uri)
        password = parts.password
    except ValueError:
        return "an address that cannot be read"
    if not password:
        return uri
    return urlunsplit(parts._replace(netloc=f"{parts.username or ''}:***@{parts.netloc.rpartition('@')[2]}"))


def _export(run: Run, uri: str) -> None:
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the tracker's own dependencies, on import and on use
        from mlflow.tracking import MlflowClient  # noqa: PLC0415 - a second that only an export needs

        for logger in ("mlflow", "urllib3"):  # each retry would be a warning of its own
            logging.getLogger(logger).setLevel(logging.ERROR)
        client = MlflowClient(tracking_uri=uri)
        name = f"practicum-{run.weekjob.spec.unit}"
        experiment = client.get_experiment_by_name(name)
        experiment_id = experiment.experiment_id if experiment else client.create_experiment(name)
        tags = {"mlflow.runName": run.id, "practicum.run": run.id, "practicum.path": str(run.layout.root)}
        exported = client.create_run(experiment_id, tags=tags).info
        _log(client, exported.run_id, exported.start_time, run)
        client.set_terminated(exported.run_id)


def _log(client: Any, exported: str, time_ms: int, run: Run) -> None:  # noqa: ANN401 - the tracker is read without its types
    from mlflow.entities import Metric, Param  # noqa: PLC0415 - as above

    params = [Param(key, value) for key, value in _list_parameters(run)]
    metrics = [Metric(key, value, time_ms, 0) for key, value in _list_metrics(run)]
    for start in range(0, max(len(params), len(metrics)), _BATCH):
        part = slice(start, start + _BATCH)
        client.log_batch(exported, metrics=metrics[part], params=params[part])
    for path in (run.layout.evidence_json, run.layout.weekjob, run.layout.environment):
        if path.exists():
            client.log_artifact(exported, str(path))


def _list_parameters(run: Run) -> Iterator[tuple[str, str]]:
    for stage in run.status.stages:
        for key, value in read_step_config(run.layout, stage.name).items():
            yield f"{stage.name}.{key}", str(value)[:_PARAMETER_LENGTH]


def _list_metrics(run: Run) -> Iterator[tuple[str, float]]:
    for stage in run.status.stages:
        for metric in read_record(run.layout, stage.name).metrics:
            yield f"{stage.name}.{metric.name}", metric.value
    yield from ((f"gate.{gate.name}", float(gate.passed)) for gate in run.status.gates)
