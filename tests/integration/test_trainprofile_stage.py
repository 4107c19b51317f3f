"""The stage ``trainprofile`` on a tiny model: real trainers in forked processes, and what levers change."""

from __future__ import annotations

import pytest

from practicum_core.rows import Message, Row
from practicum_core.stages.levers import BASELINE, CONTROL
from practicum_core.stages.trainprofile import LADDER, LEVERS, TrainProfileConfig
from practicum_jobs.trainprofile import stage
from training_stand import MARKS, write_run

pytestmark = MARKS
OPTIONS = {"rounds": 2, "steps": 2, "timeout_s": 120.0}


def make_rows(count, prefix):
    """Make rows of very different lengths, so that padding weighs."""
    return [
        Row(
            id=f"{prefix}{number}",
            messages=[Message(role="user", content="word " * (2 + 5 * (number % 8)))],
            answer="yes " * (1 + number % 3),
        )
        for number in range(count)
    ]


@pytest.fixture(scope="module")
def measured(tmp_path_factory, tiny_model_dir):
    """One run that several tests look at."""
    folder = tmp_path_factory.mktemp("profile") / "run"
    ctx = write_run(folder, "trainprofile", make_rows(64, "t"), make_rows(8, "v"))
    config = TrainProfileConfig(
        model=str(tiny_model_dir),
        baseline="learning_rate=1e-3",
        levers=tuple(name for name in LEVERS if name not in ("dtype=bfloat16", "optimizer=adamw_8bit")),
        ladder=LADDER[:2],
        **OPTIONS,
    )
    return stage.run(config, ctx), ctx


def get_metrics(record):
    return {metric.name: metric.value for metric in record.metrics}


def test_every_lever_is_measured_in_every_round(measured):
    record, ctx = measured
    assert [row.name for row in record.rows] == [BASELINE, CONTROL, *LEVERS[:3], "method=qlora"]
    assert [row.note for row in record.rows] == [""] * 6
    assert all(row.num_rounds == 2 and row.figures["tokens_per_s"] > 0 for row in record.rows)
    assert all(row.ratios["step_s"].low <= row.ratios["step_s"].value for row in record.rows[1:])
    assert get_metrics(record)["num_unmeasured"] == 0
    assert not (ctx.layout.root / "work").exists()


def test_what_only_reorders_the_sum_keeps_the_loss_and_4_bit_weights_change_it(measured):
    effects = {row.name: (row.effect, row.effect_size) for row in measured[0].rows}
    assert [effects[name][0] for name in (CONTROL, *LEVERS[:3])] == ["same"] * 4
    assert effects[CONTROL][1] == 0
    assert all(effects[name][1] < 1e-4 for name in LEVERS[:3])
    assert effects["method=qlora"][1] > effects["packing=true"][1]


def test_the_profile_explains_the_step_and_names_its_bottleneck(measured):
    record, _ = measured
    assert [one.name for one in record.phases] == ["data", "forward", "backward", "optimizer"]
    assert all(one.seconds > 0 for one in record.phases)
    assert 0.8 < get_metrics(record)["phase_coverage"] <= 1.001
    assert sum(one.ratio for one in record.operations) == pytest.approx(1)
    assert record.bottleneck_en
    assert (record.gpus, record.mfu) == ([], None)


def test_the_ladder_has_every_rung_measured(measured):
    record, _ = measured
    assert [one.name for one in record.ladder] == list(LADDER[:2])
    assert all(one.peak_bytes and one.peak_bytes > 0 for one in record.ladder)


def test_a_slow_loader_is_named(tmp_path, tiny_model_dir, monkeypatch):
    monkeypatch.setattr(stage, "TRAINER", "slow_loading:build_trainer")
    monkeypatch.setattr(stage, "plan_order", lambda names, num_rounds, seed: [[BASELINE], [BASELINE]])
    monkeypatch.syspath_prepend("tests/stand")
    ctx = write_run(tmp_path / "run", "trainprofile", make_rows(32, "t"), make_rows(4, "v"))
    config = TrainProfileConfig(model=str(tiny_model_dir), levers=(), ladder=(), **{**OPTIONS, "steps": 1})
    record = stage.run(config, ctx)
    assert "waiting for data" in record.bottleneck_en
    assert get_metrics(record)["data_ratio"] > 0.5
