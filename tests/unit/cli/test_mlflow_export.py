"""The export to MLflow, to a real store in files; its failure is a warning."""

from __future__ import annotations

import warnings

import pytest

from practicum_cli.mlflow_export import export_run

# Of mlflow-skinny's own imports (pydantic and opentelemetry deprecations) and of its file store.
pytestmark = pytest.mark.filterwarnings("ignore")


def test_parameters_metrics_and_gates_are_exported(finish_run, workplace, monkeypatch):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from mlflow.tracking import MlflowClient  # noqa: PLC0415 - its import warns
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (workplace / "mlruns").as_uri())
    path = finish_run()
    assert export_run(path) is None
    client = MlflowClient(tracking_uri=(workplace / "mlruns").as_uri())
    experiment = client.get_experiment_by_name("practicum-experiments")
    (exported,) = client.search_runs([experiment.experiment_id])
    assert exported.info.status == "FINISHED"
    assert exported.data.params["evaluate.limit"] == "60"
    assert exported.data.metrics["evaluate.num_rows"] == 60
    assert exported.data.metrics["gate.no_leakage"] == 1
    names = {artifact.path for artifact in client.list_artifacts(exported.info.run_id)}
    assert {"weekjob.yaml", "environment.json"} <= names


def test_without_a_uri_nothing_happens(finish_run):
    assert export_run(finish_run()) is None


def test_a_failing_tracker_is_a_warning(finish_run, monkeypatch):
    path = finish_run()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "file:///proc/nowhere")
    assert "not exported to MLflow" in export_run(path)
