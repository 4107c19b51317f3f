"""The export to MLflow, to a real store in files; its failure is a warning."""

from __future__ import annotations

import socket
import time
import warnings

import pytest

from practicum_cli.mlflow_export import export_run, find_address_problem

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


@pytest.fixture
def silent_server():
    """A server that takes connections and never answers."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield f"http://student:secret@127.0.0.1:{server.getsockname()[1]}"


def test_a_server_that_is_down_costs_seconds_and_one_warning(finish_run, monkeypatch, capfd):
    path = finish_run()
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{unused.getsockname()[1]}")
        capfd.readouterr()
        started_s = time.monotonic()
        warning = export_run(path)
    assert time.monotonic() - started_s < 30
    assert "unset MLFLOW_TRACKING_URI" in warning
    assert capfd.readouterr().err == ""


def test_a_server_that_never_answers_is_given_up_and_its_password_is_not_shown(finish_run, monkeypatch, silent_server):
    path = finish_run()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", silent_server)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    started_s = time.monotonic()
    warning = export_run(path)
    assert time.monotonic() - started_s < 20
    assert "student:***@127.0.0.1" in warning
    assert "secret" not in warning


@pytest.mark.parametrize("uri", ["sqlite:///runs.db", "postgresql://u:secret@host/db", "databricks:x", "ftp://host"])
def test_addresses_that_are_not_spoken_are_named_before_the_run_and_not_tried_after_it(finish_run, monkeypatch, uri):
    path = finish_run()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    problem = find_address_problem()
    assert f"names a {uri.partition(':')[0]}: address, which is not spoken here; " in problem
    assert "secret" not in problem
    assert export_run(path) is None


@pytest.mark.parametrize("uri", ["", "http://host:5000", "https://host", "file:///folder", "mlruns", "/srv/mlruns"])
def test_addresses_that_are_spoken(monkeypatch, uri):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    assert find_address_problem() == ""
