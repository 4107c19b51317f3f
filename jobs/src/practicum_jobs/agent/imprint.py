"""Writes ``build.json``, what an image says about itself: run once, as the last step of its build.

Usage: ``python -m practicum_jobs.agent.imprint ENVIRONMENT LOCK VERSION [COMMIT [dirty]]``
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

from practicum_core.atomic import write_json_atomic
from practicum_core.environment import Repository
from practicum_core.stage_process import hash_stage_sources
from practicum_jobs.agent.surroundings import BUILD_FILE, Build


def build_imprint(environment: str, lock: Path, version: str, commit: str = "", state: str = "") -> Build:
    """Describe the image that this process runs in.

    Args:
        environment: Name of the environment that fills it.
        lock: The lock that it was filled from.
        version: Of the project.
        commit: That the sources were at; empty where nobody knows.
        state: ``dirty`` where files differed from the commit.
    """
    return Build(
        environment=environment,
        lock_sha256=hashlib.sha256(lock.read_bytes()).hexdigest(),
        version=version,
        source_sha256=hash_stage_sources(),
        repository=Repository(commit=commit, is_dirty=state == "dirty") if commit else None,
    )


def main(argv: list[str]) -> None:
    """Write the imprint."""
    environment, lock, *rest = argv
    write_json_atomic(BUILD_FILE, build_imprint(environment, Path(lock), *rest).model_dump(mode="json"))


if __name__ == "__main__":
    main(sys.argv[1:])
