"""Decides what of a finished run goes to MLflow. The files stay the truth: a failing export is a warning, no more."""

from __future__ import annotations

import logging
import os
import warnings
from pathlib import Path
from typing import Any

from practicum_cli.runs import Run, read_run, read_step_config
from practicum_core.errors import PracticumError
from practicum_core.phases import Phase
from practicum_core.step_files import read_record

TRACKING_VARIABLE = "MLFLOW_TRACKING_URI"
_PARAMETER_LENGTH = 500


def export_run(path: Path) -> str | None:
    """Export a succeeded run where ``MLFLOW_TRACKING_URI`` is set; return a warning where that failed."""
    uri = os.environ.get(TRACKING_VARIABLE)
    if not uri:
        return None
    try:
        run = read_run(path)
        if run.status.phase is Phase.SUCCEEDED:
            _export(run, uri)
    except PracticumError as error:
        return f"not exported to MLflow: {error.detail}"
    except Exception as error:  # noqa: BLE001 - whatever the tracker raises, the run itself is whole
        return f"not exported to MLflow at {uri}: {type(error).__name__}: {' '.join(str(error).split())[:300]}"
    return None


def _export(run: Run, uri: str) -> None:
    os.environ.setdefault("MLFLOW_ENABLE_ASYNC_LOGGING", "false")
    os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")  # a file: address is an explicit choice here
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the tracker's own dependencies, on import and on use
        from mlflow.tracking import MlflowClient  # noqa: PLC0415 - a second that only an export needs

        logging.getLogger("mlflow").setLevel(logging.ERROR)
        client = MlflowClient(tracking_uri=uri)
        name = f"practicum-{run.weekjob.spec.unit}"
        experiment = client.get_experiment_by_name(name)
        experiment_id = experiment.experiment_id if experiment else client.create_experiment(name)
        tags = {"mlflow.runName": run.id, "practicum.run": run.id, "practicum.path": str(run.layout.root)}
        exported = client.create_run(experiment_id, tags=tags).info.run_id
        _log(client, exported, run)
        client.set_terminated(exported)


def _log(client: Any, exported: str, run: Run) -> None:  # noqa: ANN401 - the tracker is read without its types
    for stage in run.status.stages:
        for key, value in read_step_config(run.layout, stage.name).items():
            client.log_param(exported, f"{stage.name}.{key}", str(value)[:_PARAMETER_LENGTH])
        for metric in read_record(run.layout, stage.name).metrics:
            client.log_metric(exported, f"{stage.name}.{metric.name}", metric.value)
    for gate in run.status.gates:
        client.log_metric(exported, f"gate.{gate.name}", float(gate.passed))
    for path in (run.layout.evidence_json, run.layout.weekjob, run.layout.environment):
        if path.exists():
            client.log_artifact(exported, str(path))
