"""Which service of this machine ``practicum chaos`` breaks: the one behind the address, and no other by chance."""

from __future__ import annotations

import json

import pytest

from practicum_cli import held_services


@pytest.mark.parametrize(
    ("url", "is_found"),
    [
        (None, True),
        ("http://127.0.0.1:8080/v1", True),
        ("http://localhost:8080", True),
        ("http://127.0.0.1:8081", False),
        ("http://10.0.0.5:8080", False),
        ("http://127.0.0.1", False),
        ("http://127.0.0.1:http", False),
        ("http://[::1", False),
    ],
)
def test_a_service_is_meant_by_an_address_of_this_machine_alone(tmp_path, monkeypatch, url, is_found):
    port = tmp_path / "service/20260102t030400-0a1b2c/stages/gateway/port.json"
    port.parent.mkdir(parents=True)
    port.write_text(json.dumps({"port": 8080}))
    monkeypatch.setattr(held_services, "is_run_held", lambda _: True)
    found = held_services.find_service(None, url, tmp_path)
    assert (found is not None) is is_found
    assert found is None or found.url == "http://127.0.0.1:8080"
