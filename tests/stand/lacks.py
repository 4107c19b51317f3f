"""Says what a machine lacks for a test."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def skip_lacking(what: str, name: str = "cluster") -> NoReturn:
    """Skip the test because this machine lacks something, or fail it where that was ruled out.

    Args:
        what: What it lacks.
        name: By which ``PRACTICUM_REQUIRE`` rules that out.
    """
    sentence = f"this machine lacks {what}"
    if name in os.environ.get("PRACTICUM_REQUIRE", "").split(","):
        pytest.fail(f"{sentence}, and PRACTICUM_REQUIRE names {name}")
    pytest.skip(sentence)
