"""Pods of one student, and the ingest that takes their reports."""

from __future__ import annotations

import pytest

from agent_stand import IngestServer, Workplace
from controller_process import write_certificate


@pytest.fixture(scope="session")
def tls(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    write_certificate(folder)
    return folder


@pytest.fixture
def server(tls, tmp_path):
    with IngestServer(tls, tmp_path / "history.sqlite") as started:
        yield started


@pytest.fixture
def place(tmp_path, server):
    made = Workplace(tmp_path, server)
    yield made
    made.close()
