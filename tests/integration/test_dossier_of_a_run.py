"""The dossier of a failed fine-tuning: what is captured, and that it fails again in a clean environment."""

from __future__ import annotations

import shutil

import pytest
import yaml

from practicum_core.dossier_files import Axis, Outcome, read_dossier
from practicum_core.errors import ConfigError
from practicum_core.layout import RunLayout
from practicum_core.rows import Message, Row
from practicum_core.stages.dossier import DossierConfig
from practicum_jobs import dossier
from practicum_jobs.context import StageContext
from practicum_jobs.dossier.execution import CleanRoom, judge
from practicum_jobs.dossier.material import read_material
from practicum_jobs.dossier.search import build_config_space
from training_stand import MARKS, start_stage, write_run

pytestmark = MARKS
FAILED, GOOD = "20260102t030405-00000a", "20260101t030405-00000b"


def make_row(number, question):
    return Row(id=f"r{number}", messages=[Message(role="user", content=question)], answer=f"In box {number}.")


def run_sft(root, run_id, options, rows):
    """Run the step sft as the executor does, in a run directory of the unit sft."""
    ctx = write_run(root / "sft" / run_id, "sft", rows, rows[:2])
    ctx.run.weekjob.write_text("metadata: {name: week-03}\nspec: {unit: sft}\n...\n")
    ctx.layout.root.mkdir(parents=True)
    ctx.layout.config.write_text(yaml.safe_dump(options))
    start_stage(ctx, options).wait(timeout=120)
    shutil.copyfile(ctx.run.root / "log.txt", ctx.layout.log)
    return ctx


@pytest.fixture
def failed(tmp_path, tiny_model_dir, monkeypatch):
    rows = [make_row(number, f"Where is order {number}?") for number in range(8)]
    rows[5] = make_row(5, "Where is order 5? " + "I wrote before. " * 40)
    options = {"model": f"file://{tiny_model_dir}", "engine": "flat", "max_length": 96, "batch_size": 4, "max_steps": 1}
    ctx = run_sft(tmp_path / "experiments", FAILED, {**options, "max_truncation_ratio": 1.0}, rows)
    monkeypatch.setenv("PRACTICUM_CACHE", str(ctx.cache_dir))
    good = RunLayout(tmp_path / "experiments" / "sft" / GOOD)
    shutil.copytree(ctx.run.root, good.root)
    kept = {**options, "max_length": 1024, "batch_size": 2, "max_truncation_ratio": 1.0}
    good.stage("sft").config.write_text(yaml.safe_dump(kept))
    assert ctx.layout.error.exists(), ctx.layout.log.read_text()
    return ctx.run, good


def act(folder, **options):
    config = DossierConfig(folder=str(folder), environment="train", repeats=2, **options)
    dossier.run(config, StageContext(folder.parent / "run", "dossier", "dossier"))
    return read_dossier(folder)


def test_a_failed_run_is_captured_and_fails_again_in_a_clean_environment_by_its_row_alone(failed, tmp_path):
    run, good = failed
    folder = tmp_path / "made"
    begun = act(folder, action="new", source=str(run.root), step="sft", good=str(good.root))
    assert begun.source == f"sft/{FAILED}"
    assert begun.symptom.reason == "PreflightFailed"
    assert "no token that counts" in begun.symptom.text
    assert {"error.json", "config.yaml", "weekjob.yaml", "data.lock.json", "log.txt"} <= set(begun.captured)
    assert (begun.repro.kind, begun.repro.stage, begun.repro.split) == ("stage", "sft", "train")

    cache = set((tmp_path / "experiments" / "sft" / "cache").rglob("*"))
    material, room = read_material(folder / "repro"), CleanRoom(tmp_path / "room")
    others = [name for name in material.rows if name != "r5"]
    outcomes = [
        judge(room, begun.repro, some, begun.symptom).outcome
        for some in (material.with_rows(["r5"]), material.with_rows(others))
    ]
    assert outcomes == [Outcome.BAD, Outcome.GOOD]
    assert set((tmp_path / "experiments" / "sft" / "cache").rglob("*")) == cache
    assert build_config_space(material, read_material(folder / "good").config).candidates == [
        "batch_size",
        "max_length",
    ]

    (folder / "good" / "config.yaml").unlink()
    with pytest.raises(ConfigError, match="known to be good"):
        act(folder, action="bisect", axis=Axis.CONFIG)
    run.stage("sft").record.write_text("{}")
    with pytest.raises(ConfigError, match="ended well"):
        act(tmp_path / "other", action="new", source=str(run.root), step="sft")
