"""Options of levers, the named bottleneck, the ladder of memory, and the arithmetic of utilization."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from practicum_core.stages.trainprofile import LADDER, LEVERS, Rung, TrainProfileConfig, is_exact
from practicum_jobs.adapters.lever_measurement import TimedStep, TrainingMeasurement
from practicum_jobs.adapters.training_job import TokenRow
from practicum_jobs.training.memory import ModelShape
from practicum_jobs.trainprofile.effects import compare_losses
from practicum_jobs.trainprofile.efficiency import estimate_mfu
from practicum_jobs.trainprofile.ladder import (
    Estimator,
    count_estimated_bytes,
    find_largest_ratio,
    find_worst_ratio,
    measure_saving,
)
from practicum_jobs.trainprofile.phases import group_operations, list_phases, name_bottleneck

SHAPE = ModelShape(num_parameters=135_000_000, hidden=576, intermediate=1536, layers=30, heads=9, vocab=49_152)


def make_measurement(losses, tokens=100):
    steps = [TimedStep(1.0, tokens, loss) for loss in losses[1:]]
    return TrainingMeasurement(steps, losses[0], 0, 0, 0, 1.0, 1000, 100)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"levers": ("packng=true",)}, "did you mean 'packing'"),
        ({"levers": ("learning_rate=1",)}, "is no lever"),
        ({"levers": ("packing",)}, "is no option"),
        ({"levers": ("batch_size=0",)}, "batch_size"),
        ({"levers": ("",)}, "is no lever"),
        ({"ladder": ("method=half",)}, "method"),
        ({"baseline": "num_workers=2"}, "no option of the baseline"),
        ({"baseline": "batch_size=1 batch_size=2"}, "stands twice"),
    ],
)
def test_wrong_options_are_refused_before_anything_runs(options, said):
    with pytest.raises(ValidationError, match=said):
        TrainProfileConfig(**options)


def test_each_rung_keeps_what_those_before_it_changed():
    config = TrainProfileConfig(baseline="batch_size=16")
    assert config.build_training().batch_size == 16
    last = config.build_training(*LADDER)
    assert (last.method, last.optimizer, last.batch_size, last.gradient_checkpointing) == ("qlora", "adamw", 2, True)
    assert [is_exact(lever) for lever in LEVERS] == [True, True, True, False, False, False]


def test_the_estimate_falls_with_every_saving_that_it_knows():
    config = TrainProfileConfig()
    rows = [TokenRow(str(number), [1] * (40 + number), [1] * (40 + number)) for number in range(40)]
    estimator = Estimator(SHAPE, rows)
    full, eight, checkpointed, small, lora, qlora = (
        count_estimated_bytes(estimator.estimate(config.build_training(*LADDER[: number + 1])))
        for number in range(len(LADDER))
    )
    assert full > eight > checkpointed > small > lora > qlora
    assert full - eight == pytest.approx(135e6 * 5.96, rel=0.01)
    packed = estimator.estimate(config.build_training("packing=true"))
    assert packed.activations < estimator.estimate(config.build_training()).activations


@pytest.mark.parametrize(
    ("seconds", "operations", "said"),
    [
        ({"data": 3.0, "forward": 3.0, "backward": 3.0, "optimizer": 1.0}, {}, "waiting for data: 30%"),
        ({"data": 0.1, "forward": 2.0, "backward": 4.0, "optimizer": 3.9}, {}, "the optimizer: 39%"),
        ({"data": 0.1, "forward": 3.0, "backward": 6.0}, {"aten::mm": 7.0, "aten::mul": 2.0}, "matrix products"),
        (
            {"data": 0.1, "forward": 6.0, "backward": 3.0, "optimizer": 0.5},
            {"bitsandbytes::dequantize_4bit": 5.0, "aten::mm": 3.0},
            "forward pass, 60% of a step, most of it turning 4-bit weights",
        ),
        ({"forward": 6.0, "backward": 3.0}, {"aten::mm": 2.0, "aten::mul": 2.0, "aten::copy_": 2.0}, "spread over"),
    ],
)
def test_the_bottleneck_is_named_from_parts_and_operations(seconds, operations, said):
    found = name_bottleneck(list_phases(seconds, 2, 10.0), group_operations(operations, 2))
    assert said in found.en
    assert found.zh != found.en


def test_nothing_timed_names_nothing():
    assert name_bottleneck(list_phases({}, 1, 1.0), []) is None


def test_losses_are_compared_on_the_same_rows_only():
    baseline = make_measurement([2.0, 1.0, 0.5])
    assert compare_losses(baseline, make_measurement([2.0, 1.0, 0.55])) == pytest.approx(0.1)
    assert compare_losses(baseline, make_measurement([2.0, 1.0, 0.5], tokens=120)) is None


def test_the_worst_estimate_and_the_saving_leave_out_rungs_that_were_not_run():
    rungs = [
        Rung(name="a", estimated_bytes=100, peak_bytes=110),
        Rung(name="b", estimated_bytes=100, note="needs 9 GiB"),
        Rung(name="c", estimated_bytes=100, peak_bytes=55),
    ]
    assert find_worst_ratio(rungs) == 0.55
    assert find_largest_ratio(rungs) == 1.1
    assert find_largest_ratio(rungs[1:2]) is None
    assert measure_saving(rungs) == 0.5
    assert measure_saving(rungs[1:]) is None


def test_utilization_needs_a_gpu_of_a_known_peak():
    config, measured = TrainProfileConfig().build_training(), make_measurement([1.0, 1.0])
    assert estimate_mfu(measured, 1e9, config, []) is None
    assert estimate_mfu(measured, 1e9, config, ["Some GPU, 1 MiB"]) is None
    assert estimate_mfu(measured, 1e9, config, ["NVIDIA L4, 23034 MiB"]) == pytest.approx(1e9 * 4200 / 121e12)
