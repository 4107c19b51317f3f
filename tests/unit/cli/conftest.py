"""Finished runs, made by the real executor with the stage program of the tests."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pytest

from practicum_cli.provenance import build_environment
from practicum_cli.request import RunRequest, build_weekjobs
from practicum_cli.runs import create_run
from practicum_core.resolve import resolve_steps

FOLDER = Path(__file__).parent


def load_driver():
    spec = importlib.util.spec_from_file_location("executor_driver", FOLDER / "executor_driver.py")
    driver = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(driver)
    return driver


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """An empty folder to work in, with a cache of its own; its name has a space and Chinese characters."""
    folder = tmp_path / "我的 实验"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PRACTICUM_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (folder / "model").mkdir()
    return folder


@pytest.fixture
def execute():
    """Return a function that takes a run directory to its end with the stage program of the tests."""
    return load_driver().execute


@pytest.fixture
def finish_run(workplace, execute):
    """Return a function that runs a week to its end and returns the run directory."""

    def finish(week="week-01", control=None, **options):
        request = RunRequest(profile="quick", model="model", **options)
        weekjob = build_weekjobs((week,), request)[0]
        environment, diff = build_environment((step.environment for step in resolve_steps(weekjob)), ["practicum"])
        path = create_run(Path("experiments"), weekjob, environment, diff).resolve()
        assert execute(path) == 0
        return path

    return finish


@pytest.fixture
def is_root():
    return os.geteuid() == 0
