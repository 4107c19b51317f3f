"""A dossier whose repro or fix was changed after it was measured says no more than what holds now."""

from __future__ import annotations

import shutil

import pytest

from practicum_core.dossier_files import (
    Axis,
    Closing,
    Reproduction,
    Search,
    SearchVerdict,
    State,
    TestOutcome,
    Verdict,
    read_dossier,
    write_dossier,
)
from practicum_core.stages.dossier import DossierConfig
from practicum_jobs.context import StageContext
from practicum_jobs.dossier import run
from practicum_jobs.dossier.exercises import FOLDER
from practicum_jobs.dossier.steps import hash_material

NAME = "retry-storm"


def act(folder, **options):
    run(
        DossierConfig(folder=str(folder), repeats=2, **options),
        StageContext(folder.parent / "run", "dossier", "dossier"),
    )
    return read_dossier(folder)


@pytest.fixture
def closed(tmp_path):
    """A dossier that was closed, without the executions that it took."""
    folder = tmp_path / NAME
    begun = act(folder, action="new", source=f"exercise:{NAME}")
    for part in ("fix", "regression"):
        shutil.copytree(FOLDER / NAME / part, folder / part)
    outcome = Reproduction(verdict=Verdict.REPRODUCED, num_runs=2, num_bad=2)
    found = Search(axis=Axis.EDITS, verdict=SearchVerdict.FOUND, culprits=["x"], num_candidates=3, num_trials=9)
    closing = Closing(
        before=TestOutcome(failed=["t"]), after=TestOutcome(passed=["t"]), material_sha256=hash_material(folder)
    )
    update = {"reproduction": outcome, "searches": [found], "closing": closing}
    write_dossier(folder, begun.model_copy(update=update))
    assert read_dossier(folder).state is State.CLOSED
    return folder


def test_a_changed_fix_opens_a_closed_dossier(closed):
    (closed / "fix" / "edits.yaml").write_text("[]")
    seen = act(closed, action="run")
    assert (seen.state, seen.closing) == (State.LOCATED, None)
    assert "no longer closed" in " ".join(event.en for event in seen.events)


def test_a_changed_repro_makes_every_measurement_void(closed):
    (closed / "repro" / "config.yaml").write_text("{max_tries: 9, offered_per_s: 10, outage_s: 2, retry_share: 0.2}")
    seen = act(closed, action="close")
    assert (seen.state, seen.searches) == (State.OPEN, [])
    assert [problem for problem in seen.closing.problems if "not executed yet" in problem]
