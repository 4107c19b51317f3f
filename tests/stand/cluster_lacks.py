"""Says what a machine lacks for a test on a cluster."""

from __future__ import annotations

import os

import pytest

from practicum_cluster.bare import get_reason_impossible


def skip_lacking(what: str) -> None:
    """Skip the test because this machine lacks something, or fail it where that was ruled out."""
    sentence = f"this machine lacks {what}"
    if "cluster" in os.environ.get("PRACTICUM_REQUIRE", "").split(","):
        pytest.fail(f"{sentence}, and PRACTICUM_REQUIRE names cluster")
    pytest.skip(sentence)


def require_bare_cluster() -> None:
    """Skip the test where no bare cluster can run."""
    reason = get_reason_impossible()
    if reason:
        skip_lacking(reason)
